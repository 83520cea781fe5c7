/* SPDX-License-Identifier: MIT */
/*
 * What a kernel-mode driver needs of NT, beyond nt_base.h: objects at their real layouts and
 * functions with their real names, the same from Windows 7 to 11 and in the demo guest. A driver
 * that shall run in all of them (netprobe.sys) includes this and nothing of guest/demo; the demo
 * kernel's own headers include it too.
 *
 * Define KD_GUEST_DRIVER before the first include. Functions that only some Windows have are not
 * here: MmGetSystemRoutineAddress finds them.
 */
#ifndef KD_GUEST_NT_DRIVER_BASE_H
#define KD_GUEST_NT_DRIVER_BASE_H

#include "guest/common/nt_base.h"

#ifdef KD_GUEST_HAL
#define HALAPI
#else
#define HALAPI DLLIMPORT
#endif

typedef struct _GUID {
	ULONG Data1;
	USHORT Data2;
	USHORT Data3;
	UCHAR Data4[8];
} GUID;
C_ASSERT(sizeof(GUID) == 16);

#define PAGE_SIZE  0x1000u
#define PAGE_SHIFT 12

#define PASSIVE_LEVEL  0
#define APC_LEVEL      1
#define DISPATCH_LEVEL 2

#define THREAD_ALL_ACCESS 0x1FFFFFu
#define SYNCHRONIZE       0x100000u

#define STATUS_INVALID_HANDLE       ((NTSTATUS)0xC0000008)
#define STATUS_OBJECT_TYPE_MISMATCH ((NTSTATUS)0xC0000024)
#define STATUS_DEVICE_BUSY          ((NTSTATUS)0x80000011)
#define STATUS_DEVICE_NOT_READY     ((NTSTATUS)0xC00000A3)
#define STATUS_CANCELLED            ((NTSTATUS)0xC0000120)
#define STATUS_INVALID_DEVICE_STATE ((NTSTATUS)0xC0000184)
#define STATUS_NOT_FOUND            ((NTSTATUS)0xC0000225)
#define STATUS_DATA_NOT_ACCEPTED    ((NTSTATUS)0xC000021B)
#define STATUS_CONNECTION_ABORTED   ((NTSTATUS)0xC0000241)

typedef VOID(NTAPI *PKSTART_ROUTINE)(PVOID StartContext);

typedef enum _POOL_TYPE { NonPagedPool = 0, NonPagedPoolNx = 512 } POOL_TYPE;

/* --- dispatcher objects --- */
typedef struct _DISPATCHER_HEADER {
	UCHAR Type;
	UCHAR Signalling;
	UCHAR Size;
	UCHAR Reserved1;
	LONG SignalState;
	LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER, *PDISPATCHER_HEADER;
C_ASSERT(sizeof(DISPATCHER_HEADER) == NT_CPU(0x10, 0x18));

enum _KOBJECTS {
	EventNotificationObject = 0,
	EventSynchronizationObject = 1,
	ProcessObject = 3,
	ThreadObject = 6,
	TimerNotificationObject = 8,
};

typedef struct _KEVENT {
	DISPATCHER_HEADER Header;
} KEVENT, *PKEVENT;

typedef struct _KTIMER {
	DISPATCHER_HEADER Header;
	LARGE_INTEGER DueTime; /* interrupt time, 100 ns */
	LIST_ENTRY TimerListEntry;
	struct _KDPC *Dpc;
#ifndef __i386__
	USHORT Processor;
	USHORT TimerType;
#endif
	ULONG Period;
} KTIMER, *PKTIMER;
C_ASSERT(sizeof(KTIMER) == NT_CPU(0x28, 0x40));
ASSERT_OFFSET(KTIMER, DueTime, NT_CPU(0x10, 0x18));
ASSERT_OFFSET(KTIMER, Dpc, NT_CPU(0x20, 0x30));

typedef enum _EVENT_TYPE { NotificationEvent = 0, SynchronizationEvent = 1 } EVENT_TYPE;

typedef enum _KWAIT_REASON {
	Executive = 0,
	DelayExecution = 4,
	Suspended = 5,
	UserRequest = 6,
	WrDelayExecution = 11,
	WrUserRequest = 13,
	WrTerminated = 22,
	WrPreempted = 32,
} KWAIT_REASON;

typedef volatile ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;

/* --- memory descriptor lists --- */
#define MDL_MAPPED_TO_SYSTEM_VA     0x0001
#define MDL_PAGES_LOCKED            0x0002
#define MDL_SOURCE_IS_NONPAGED_POOL 0x0004
#define MDL_ALLOCATED_FIXED_SIZE    0x0008
#define MDL_PARTIAL                 0x0010

/* followed by the numbers of the pages it describes */
typedef struct _MDL {
	struct _MDL *Next;
	SHORT Size;
	SHORT MdlFlags;
	struct _EPROCESS *Process;
	PVOID MappedSystemVa;
	PVOID StartVa; /* of the page ByteOffset is in */
	ULONG ByteCount;
	ULONG ByteOffset;
} MDL, *PMDL;
C_ASSERT(sizeof(MDL) == NT_CPU(0x1C, 0x30));
ASSERT_OFFSET(MDL, Size, NT_CPU(4, 8));
ASSERT_OFFSET(MDL, MdlFlags, NT_CPU(6, 0xA));
ASSERT_OFFSET(MDL, Process, NT_CPU(8, 0x10));
ASSERT_OFFSET(MDL, MappedSystemVa, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(MDL, StartVa, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(MDL, ByteCount, NT_CPU(0x14, 0x28));
ASSERT_OFFSET(MDL, ByteOffset, NT_CPU(0x18, 0x2C));

typedef enum _MEMORY_CACHING_TYPE { MmNonCached = 0, MmCached = 1 } MEMORY_CACHING_TYPE;
enum { LowPagePriority = 0, NormalPagePriority = 16, HighPagePriority = 32 };

/* --- drivers, devices, requests --- */
#define IRP_MJ_CREATE           0x00
#define IRP_MJ_CLOSE            0x02
#define IRP_MJ_READ             0x03
#define IRP_MJ_WRITE            0x04
#define IRP_MJ_DEVICE_CONTROL   0x0E
#define IRP_MJ_CLEANUP          0x12
#define IRP_MJ_MAXIMUM_FUNCTION 0x1B

#define FILE_DEVICE_NULL    0x15
#define FILE_DEVICE_UNKNOWN 0x22

struct _DRIVER_OBJECT;
struct _DEVICE_OBJECT;
struct _IRP;

typedef NTSTATUS DRIVER_INITIALIZE(struct _DRIVER_OBJECT *DriverObject,
				   PUNICODE_STRING RegistryPath);
typedef NTSTATUS DRIVER_DISPATCH(struct _DEVICE_OBJECT *DeviceObject, struct _IRP *Irp);
typedef VOID DRIVER_UNLOAD(struct _DRIVER_OBJECT *DriverObject);

typedef struct _DRIVER_EXTENSION {
	struct _DRIVER_OBJECT *DriverObject;
	PVOID AddDevice;
	ULONG Count;
	UNICODE_STRING ServiceKeyName;
} DRIVER_EXTENSION, *PDRIVER_EXTENSION;

typedef struct _DRIVER_OBJECT {
	SHORT Type;
	SHORT Size;
	struct _DEVICE_OBJECT *DeviceObject;
	ULONG Flags;
	PVOID DriverStart;
	ULONG DriverSize;
	PVOID DriverSection;
	PDRIVER_EXTENSION DriverExtension;
	UNICODE_STRING DriverName;
	PUNICODE_STRING HardwareDatabase;
	PVOID FastIoDispatch;
	DRIVER_INITIALIZE *DriverInit;
	PVOID DriverStartIo;
	DRIVER_UNLOAD *DriverUnload;
	DRIVER_DISPATCH *MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
} DRIVER_OBJECT, *PDRIVER_OBJECT;
C_ASSERT(sizeof(DRIVER_OBJECT) == NT_CPU(0xA8, 0x150));
ASSERT_OFFSET(DRIVER_OBJECT, DriverStart, NT_CPU(0x0C, 0x18));
ASSERT_OFFSET(DRIVER_OBJECT, DriverName, NT_CPU(0x1C, 0x38));
ASSERT_OFFSET(DRIVER_OBJECT, DriverInit, NT_CPU(0x2C, 0x58));
ASSERT_OFFSET(DRIVER_OBJECT, DriverUnload, NT_CPU(0x34, 0x68));
ASSERT_OFFSET(DRIVER_OBJECT, MajorFunction, NT_CPU(0x38, 0x70));

typedef struct __attribute__((aligned(NT_CPU(8, 16)))) _DEVICE_OBJECT {
	SHORT Type;
	USHORT Size;
	LONG ReferenceCount;
	PDRIVER_OBJECT DriverObject;
	struct _DEVICE_OBJECT *NextDevice;
	struct _DEVICE_OBJECT *AttachedDevice;
	struct _IRP *CurrentIrp;
	PVOID Timer;
	ULONG Flags;
	ULONG Characteristics;
	PVOID Vpb;
	PVOID DeviceExtension;
	ULONG DeviceType;
	CHAR StackSize;
	UNICODE_STRING DeviceName;  /* ours: NT keeps names in the object manager */
	LIST_ENTRY DeviceListEntry; /* ours */
	UCHAR Reserved070[NT_CPU(0xB0 - 0x44, 0x138 - 0x70)];
	PVOID DeviceObjectExtension;
	PVOID Reserved140;
} DEVICE_OBJECT, *PDEVICE_OBJECT;
C_ASSERT(sizeof(DEVICE_OBJECT) == NT_CPU(0xB8, 0x150));
ASSERT_OFFSET(DEVICE_OBJECT, DriverObject, 0x08);
ASSERT_OFFSET(DEVICE_OBJECT, AttachedDevice, NT_CPU(0x10, 0x18));
ASSERT_OFFSET(DEVICE_OBJECT, Flags, NT_CPU(0x1C, 0x30));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceExtension, NT_CPU(0x28, 0x40));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceType, NT_CPU(0x2C, 0x48));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceObjectExtension, NT_CPU(0xB0, 0x138));

typedef struct _IO_STATUS_BLOCK {
	union {
		NTSTATUS Status;
		PVOID Pointer;
	};
	ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

typedef struct _FILE_OBJECT {
	SHORT Type;
	SHORT Size;
	PDEVICE_OBJECT DeviceObject;
	PVOID Vpb;
	PVOID FsContext; /* the driver's */
	PVOID FsContext2;
	UCHAR NT_CPU(Reserved14, Reserved28)[NT_CPU(0x70 - 0x14, 0xD8 - 0x28)];
} FILE_OBJECT, *PFILE_OBJECT;
C_ASSERT(sizeof(FILE_OBJECT) == NT_CPU(0x70, 0xD8));

typedef struct _IO_STACK_LOCATION {
	UCHAR MajorFunction;
	UCHAR MinorFunction;
	UCHAR Flags;
	UCHAR Control;
	union {
		struct {
			ULONG Length;
			ULONG Key;
			ULONG ByteOffset[2]; /* a LARGE_INTEGER, not aligned on x86 */
		} Write;
		struct {
			ULONG OutputBufferLength;
			__attribute__((aligned(sizeof(PVOID)))) ULONG InputBufferLength;
			__attribute__((aligned(sizeof(PVOID)))) ULONG IoControlCode;
			PVOID Type3InputBuffer; /* METHOD_NEITHER */
		} DeviceIoControl;
		PVOID Others[4];
	} Parameters;
	PDEVICE_OBJECT DeviceObject;
	PFILE_OBJECT FileObject;
	PVOID CompletionRoutine;
	PVOID Context;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;
C_ASSERT(sizeof(IO_STACK_LOCATION) == NT_CPU(0x24, 0x48));
ASSERT_OFFSET(IO_STACK_LOCATION, Parameters, NT_CPU(4, 8));
ASSERT_OFFSET(IO_STACK_LOCATION, DeviceObject, NT_CPU(0x14, 0x28));

typedef struct __attribute__((aligned(NT_CPU(8, 16)))) _IRP {
	SHORT Type;
	USHORT Size;
	PVOID MdlAddress;
	ULONG Flags;
	PVOID SystemBuffer; /* NT: AssociatedIrp.SystemBuffer */
	LIST_ENTRY ThreadListEntry;
	IO_STATUS_BLOCK IoStatus;
	CHAR RequestorMode;
	BOOLEAN PendingReturned;
	CHAR StackCount;
	CHAR CurrentLocation;
	UCHAR Reserved044[NT_CPU(0x3C - 0x24, 0x70 - 0x44)];
	PVOID UserBuffer;
	UCHAR Tail[NT_CPU(0x20, 0x40)];
	PIO_STACK_LOCATION CurrentStackLocation; /* NT: Tail.Overlay.CurrentStackLocation */
	PVOID OriginalFileObject;
	PVOID TailFill;
} IRP, *PIRP;
ASSERT_OFFSET(IRP, MdlAddress, NT_CPU(4, 8));
ASSERT_OFFSET(IRP, ThreadListEntry, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(IRP, IoStatus, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(IRP, StackCount, NT_CPU(0x22, 0x42));
ASSERT_OFFSET(IRP, CurrentLocation, NT_CPU(0x23, 0x43));
ASSERT_OFFSET(IRP, UserBuffer, NT_CPU(0x3C, 0x70));
ASSERT_OFFSET(IRP, Tail, NT_CPU(0x40, 0x78));
ASSERT_OFFSET(IRP, CurrentStackLocation, NT_CPU(0x60, 0xB8));

static inline PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(PIRP Irp)
{
	return Irp->CurrentStackLocation;
}

/* --- the page every address space shares --- */
#define SHARED_USER_DATA           NT_CPU(0xFFDF0000u, 0xFFFFF78000000000ull)
#define SHARED_USER_INTERRUPT_TIME 0x08
#define SHARED_USER_SYSTEM_TIME    0x14
#define SHARED_USER_TICK_COUNT     0x320

/** One of its times, whole: 100 ns (interrupt time since boot, system time since 1601), or ticks.
 */
static inline ULONG64 KiReadSharedTime(ULONG Offset)
{
	const volatile ULONG *time = (const volatile ULONG *)(ULONG_PTR)(SHARED_USER_DATA + Offset);
	ULONG high, low;

	do {
		high = time[1];
		low = time[0];
	} while (time[2] != high);
	return (ULONG64)high << 32 | low;
}

/* --- IRQL --- */
#ifdef __i386__
/* KPCR.Irql and the interrupt controller's task priority are the HAL's business, as on every NT x86
 */
HALAPI KIRQL FASTCALL KfRaiseIrql(KIRQL NewIrql);
HALAPI VOID FASTCALL KfLowerIrql(KIRQL NewIrql);
HALAPI KIRQL NTAPI KeGetCurrentIrql(VOID);

static inline VOID KeLowerIrql(KIRQL NewIrql)
{
	KfLowerIrql(NewIrql);
}
#else
/* CR8 is the truth, as on every x64 */
static inline KIRQL KeGetCurrentIrql(VOID)
{
	ULONG64 irql;

	__asm__ volatile("mov %%cr8, %0" : "=r"(irql));
	return (KIRQL)irql;
}

/* Writing CR8 leaves the virtual CPU and takes QEMU's big lock; reading it does not. */
static inline VOID KeLowerIrql(KIRQL NewIrql)
{
	if (KeGetCurrentIrql() == NewIrql)
		__asm__ volatile("" : : : "memory");
	else
		__asm__ volatile("mov %0, %%cr8" : : "r"((ULONG64)NewIrql) : "memory");
}

static inline KIRQL KfRaiseIrql(KIRQL NewIrql)
{
	KIRQL old = KeGetCurrentIrql();

	KeLowerIrql(NewIrql);
	return old;
}
#endif

/* --- spin locks --- */
#ifdef __i386__
HALAPI KIRQL FASTCALL KfAcquireSpinLock(PKSPIN_LOCK SpinLock);
HALAPI VOID FASTCALL KfReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql);
NTOSAPI VOID FASTCALL KefAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock);
NTOSAPI VOID FASTCALL KefReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock);
#define KeAcquireSpinLockRaiseToDpc(lock)   KfAcquireSpinLock(lock)
#define KeReleaseSpinLock(lock, irql)       KfReleaseSpinLock(lock, irql)
#define KeAcquireSpinLockAtDpcLevel(lock)   KefAcquireSpinLockAtDpcLevel(lock)
#define KeReleaseSpinLockFromDpcLevel(lock) KefReleaseSpinLockFromDpcLevel(lock)
#else
NTOSAPI KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock);
NTOSAPI VOID KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql);
NTOSAPI VOID KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock);
NTOSAPI VOID KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock);
#endif

static inline VOID KeInitializeSpinLock(PKSPIN_LOCK SpinLock)
{
	*SpinLock = 0;
}

/* --- events, waits, time --- */
NTOSAPI VOID NTAPI KeInitializeEvent(PKEVENT Event, ULONG Type, BOOLEAN State);
/** These give back what the state was. */
NTOSAPI LONG NTAPI KeSetEvent(PKEVENT Event, LONG Increment, BOOLEAN Wait);
NTOSAPI LONG NTAPI KeResetEvent(PKEVENT Event);
NTOSAPI VOID NTAPI KeClearEvent(PKEVENT Event);
/** Timeout: 100 ns, negative from now on, NULL for ever. STATUS_TIMEOUT is no failure. */
NTOSAPI NTSTATUS NTAPI KeWaitForSingleObject(PVOID Object, KWAIT_REASON Reason,
					     KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
					     PLARGE_INTEGER Timeout);
NTOSAPI NTSTATUS NTAPI KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
					      PLARGE_INTEGER Interval);
/** 100 ns per clock tick, as it is at its slowest. */
NTOSAPI ULONG NTAPI KeQueryTimeIncrement(VOID);
/** Ask for (or no longer for) clock ticks this short, in 100 ns; what they are now. */
NTOSAPI ULONG NTAPI ExSetTimerResolution(ULONG DesiredTime, BOOLEAN SetResolution);
HALAPI LARGE_INTEGER NTAPI KeQueryPerformanceCounter(PLARGE_INTEGER Frequency);
HALAPI VOID NTAPI KeStallExecutionProcessor(ULONG Microseconds);

/* --- threads, objects --- */
struct _KTHREAD;
#ifdef __i386__
#define KPCR_CURRENT_THREAD "%%fs:0x124"
#else
#define KPCR_CURRENT_THREAD "%%gs:0x188"
#endif

static inline struct _KTHREAD *KeGetCurrentThread(VOID)
{
	struct _KTHREAD *thread;

	__asm__ volatile("mov " KPCR_CURRENT_THREAD ", %0" : "=r"(thread));
	return thread;
}

/** In the System process where ProcessHandle is NULL. Close the handle with ZwClose. */
NTOSAPI NTSTATUS NTAPI PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess,
					    PVOID ObjectAttributes, HANDLE ProcessHandle,
					    PCLIENT_ID ClientId, PKSTART_ROUTINE StartRoutine,
					    PVOID StartContext);
NTOSAPI NORETURN NTSTATUS NTAPI PsTerminateSystemThread(NTSTATUS ExitStatus);
/** What the priority was. */
NTOSAPI LONG NTAPI KeSetPriorityThread(struct _KTHREAD *Thread, LONG Priority);
NTOSAPI HANDLE NTAPI PsGetCurrentProcessId(VOID);
NTOSAPI HANDLE NTAPI PsGetCurrentThreadId(VOID);
NTOSAPI NTSTATUS NTAPI ObReferenceObjectByHandle(HANDLE Handle, ULONG DesiredAccess,
						 PVOID ObjectType, KPROCESSOR_MODE AccessMode,
						 PVOID *Object, PVOID HandleInformation);
NTOSAPI LONG_PTR FASTCALL ObfDereferenceObject(PVOID Object);
#define ObDereferenceObject(object) ObfDereferenceObject(object)
NTOSAPI NTSTATUS NTAPI ZwClose(HANDLE Handle);

/* --- memory --- */
NTOSAPI PVOID NTAPI ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag);
NTOSAPI VOID NTAPI ExFreePoolWithTag(PVOID Block, ULONG Tag);
/** Physically contiguous whole pages below HighestAcceptableAddress; NULL if there are none. */
NTOSAPI PVOID NTAPI MmAllocateContiguousMemory(SIZE_T NumberOfBytes,
					       LARGE_INTEGER HighestAcceptableAddress);
NTOSAPI VOID NTAPI MmFreeContiguousMemory(PVOID BaseAddress);
NTOSAPI LARGE_INTEGER NTAPI MmGetPhysicalAddress(PVOID BaseAddress);
NTOSAPI PMDL NTAPI IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer,
				 BOOLEAN ChargeQuota, struct _IRP *Irp);
NTOSAPI VOID NTAPI IoFreeMdl(PMDL Mdl);
NTOSAPI VOID NTAPI MmBuildMdlForNonPagedPool(PMDL Mdl);
NTOSAPI PVOID NTAPI MmMapLockedPagesSpecifyCache(PMDL Mdl, KPROCESSOR_MODE AccessMode,
						 MEMORY_CACHING_TYPE CacheType,
						 PVOID RequestedAddress, ULONG BugCheckOnFailure,
						 ULONG Priority);

/** Where the bytes of an MDL are; NULL if they can't be mapped. */
static inline PVOID MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority)
{
	if ((Mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) != 0)
		return Mdl->MappedSystemVa;
	return MmMapLockedPagesSpecifyCache(Mdl, KernelMode, MmCached, NULL, FALSE, Priority);
}

/* --- drivers, devices, requests --- */
NTOSAPI NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
				PUNICODE_STRING DeviceName, ULONG DeviceType,
				ULONG DeviceCharacteristics, BOOLEAN Exclusive,
				PDEVICE_OBJECT *DeviceObject);
NTOSAPI VOID IoDeleteDevice(PDEVICE_OBJECT DeviceObject);
NTOSAPI NTSTATUS FASTCALL IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp);
NTOSAPI VOID FASTCALL IofCompleteRequest(PIRP Irp, CHAR PriorityBoost);
NTOSAPI NTSTATUS NTAPI IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName,
					    PUNICODE_STRING DeviceName);
NTOSAPI NTSTATUS NTAPI IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName);

/* --- the rest --- */
/** A function of ntoskrnl.exe or hal.dll; NULL if this Windows has none of that name. */
NTOSAPI PVOID NTAPI MmGetSystemRoutineAddress(PUNICODE_STRING SystemRoutineName);
NTOSAPI VOID NTAPI RtlInitUnicodeString(PUNICODE_STRING String, const WCHAR *Text);

#define DPFLTR_IHVDRIVER_ID  77u
#define DPFLTR_ERROR_LEVEL   0u
#define DPFLTR_WARNING_LEVEL 1u
#define DPFLTR_TRACE_LEVEL   2u
#define DPFLTR_INFO_LEVEL    3u
NTOSAPI CDECL ULONG DbgPrint(PCSTR Format, ...);
NTOSAPI CDECL ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...);

#endif
