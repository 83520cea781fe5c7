/* SPDX-License-Identifier: MIT */
/*
 * The NT vocabulary every PE component of ours shares: base types, lists, strings, status codes.
 * Nothing here depends on a Windows version. Names and values are the public ones, so that a
 * debugger's type names (`dt nt!_LIST_ENTRY`) find what they expect in our PDBs.
 */
#ifndef KD_GUEST_NT_BASE_H
#define KD_GUEST_NT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void VOID, *PVOID;
typedef char CHAR, *PCHAR;
typedef signed char SCHAR;
typedef const char *PCSTR;
typedef unsigned char UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN;
typedef short SHORT, *PSHORT;
typedef unsigned short USHORT, *PUSHORT;
typedef int32_t LONG, *PLONG, NTSTATUS;
typedef uint32_t ULONG, *PULONG;
typedef int64_t LONG64, LONGLONG;
typedef uint64_t ULONG64, *PULONG64, ULONGLONG;
typedef intptr_t LONG_PTR;
typedef uintptr_t ULONG_PTR, *PULONG_PTR, SIZE_T, *PSIZE_T;
typedef PVOID HANDLE, *PHANDLE;
typedef CHAR KPROCESSOR_MODE;
typedef UCHAR KIRQL, *PKIRQL;
#ifdef _WIN32
typedef __WCHAR_TYPE__ WCHAR, *PWCHAR;
#else /* the loader, an ELF image: wchar_t has 32 bits there */
typedef uint16_t WCHAR, *PWCHAR;
#endif
_Static_assert(sizeof(WCHAR) == 2, "UTF-16");

#ifndef TRUE
#define TRUE  1
#define FALSE 0
#endif

#define KernelMode ((KPROCESSOR_MODE)0)
#define UserMode   ((KPROCESSOR_MODE)1)

/* What differs with the width of a pointer, next to each other. */
#ifdef __i386__
#define NT_CPU(x86, x64) (x86)
#define NTAPI            __attribute__((stdcall))
#define FASTCALL         __attribute__((fastcall))
#define CDECL            __attribute__((cdecl))
#else
#define NT_CPU(x86, x64) (x64)
#define NTAPI
#define FASTCALL
#define CDECL
#endif
#ifdef _WIN32
#define DLLEXPORT __declspec(dllexport)
#define DLLIMPORT __declspec(dllimport)
#else
#define DLLEXPORT
#define DLLIMPORT
#endif
#define NORETURN __attribute__((noreturn))
/* Kernel exports that are declared in headers both sides share. */
#if defined(KD_GUEST_DRIVER) || defined(KD_GUEST_HAL)
#define NTOSAPI DLLIMPORT
#else
#define NTOSAPI
#endif

typedef union _LARGE_INTEGER {
	struct {
		ULONG LowPart;
		LONG HighPart;
	};
	LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct _LIST_ENTRY {
	struct _LIST_ENTRY *Flink;
	struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
	struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

typedef struct _STRING {
	USHORT Length; /* bytes in use, without a NUL */
	USHORT MaximumLength;
	PCHAR Buffer;
} STRING, *PSTRING, ANSI_STRING;

typedef struct _UNICODE_STRING {
	USHORT Length; /* bytes, not characters */
	USHORT MaximumLength;
	PWCHAR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

typedef struct _CLIENT_ID {
	HANDLE UniqueProcess;
	HANDLE UniqueThread;
} CLIENT_ID, *PCLIENT_ID;

#define EXCEPTION_MAXIMUM_PARAMETERS 15
#define EXCEPTION_NONCONTINUABLE     1

typedef struct _EXCEPTION_RECORD {
	NTSTATUS ExceptionCode;
	ULONG ExceptionFlags;
	struct _EXCEPTION_RECORD *ExceptionRecord;
	PVOID ExceptionAddress;
	ULONG NumberParameters;
	ULONG_PTR ExceptionInformation[EXCEPTION_MAXIMUM_PARAMETERS];
} EXCEPTION_RECORD, *PEXCEPTION_RECORD;

#define C_ASSERT(e)                       _Static_assert(e, #e)
#define FIELD_OFFSET(type, field)         ((ULONG)offsetof(type, field))
#define CONTAINING_RECORD(p, type, field) ((type *)((PUCHAR)(p)-offsetof(type, field)))
#define ASSERT_OFFSET(type, field, off)   C_ASSERT(offsetof(type, field) == (off))
#define RTL_NUMBER_OF(a)                  (sizeof(a) / sizeof((a)[0]))
#define NT_SUCCESS(s)                     ((NTSTATUS)(s) >= 0)

#define STATUS_SUCCESS                ((NTSTATUS)0x00000000)
#define STATUS_WAIT_0                 ((NTSTATUS)0x00000000)
#define STATUS_TIMEOUT                ((NTSTATUS)0x00000102)
#define STATUS_PENDING                ((NTSTATUS)0x00000103)
#define DBG_EXCEPTION_HANDLED         ((NTSTATUS)0x00010001)
#define DBG_CONTINUE                  ((NTSTATUS)0x00010002)
#define DBG_EXCEPTION_NOT_HANDLED     ((NTSTATUS)0x80010001)
#define STATUS_DATATYPE_MISALIGNMENT  ((NTSTATUS)0x80000002)
#define STATUS_BREAKPOINT             ((NTSTATUS)0x80000003)
#define STATUS_SINGLE_STEP            ((NTSTATUS)0x80000004)
#define STATUS_WAKE_SYSTEM_DEBUGGER   ((NTSTATUS)0x80000007)
#define STATUS_NO_MORE_ENTRIES        ((NTSTATUS)0x8000001A)
#define STATUS_UNSUCCESSFUL           ((NTSTATUS)0xC0000001)
#define STATUS_NOT_IMPLEMENTED        ((NTSTATUS)0xC0000002)
#define STATUS_INVALID_INFO_CLASS     ((NTSTATUS)0xC0000003)
#define STATUS_ACCESS_VIOLATION       ((NTSTATUS)0xC0000005)
#define STATUS_INVALID_PARAMETER      ((NTSTATUS)0xC000000D)
#define STATUS_NO_SUCH_DEVICE         ((NTSTATUS)0xC000000E)
#define STATUS_NO_SUCH_FILE           ((NTSTATUS)0xC000000F)
#define STATUS_INVALID_DEVICE_REQUEST ((NTSTATUS)0xC0000010)
#define STATUS_NO_MEMORY              ((NTSTATUS)0xC0000017)
#define STATUS_INVALID_SYSTEM_SERVICE ((NTSTATUS)0xC000001C)
#define STATUS_ILLEGAL_INSTRUCTION    ((NTSTATUS)0xC000001D)
#define STATUS_BUFFER_TOO_SMALL       ((NTSTATUS)0xC0000023)
#define STATUS_OBJECT_NAME_NOT_FOUND  ((NTSTATUS)0xC0000034)
#define STATUS_OBJECT_NAME_COLLISION  ((NTSTATUS)0xC0000035)
#define STATUS_PROCEDURE_NOT_FOUND    ((NTSTATUS)0xC000007A)
#define STATUS_INVALID_IMAGE_FORMAT   ((NTSTATUS)0xC000007B)
#define STATUS_INTEGER_DIVIDE_BY_ZERO ((NTSTATUS)0xC0000094)
#define STATUS_INTEGER_OVERFLOW       ((NTSTATUS)0xC0000095)
#define STATUS_PRIVILEGED_INSTRUCTION ((NTSTATUS)0xC0000096)
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
#define STATUS_NOT_SUPPORTED          ((NTSTATUS)0xC00000BB)
#define STATUS_STACK_OVERFLOW         ((NTSTATUS)0xC00000FD)
#define STATUS_DLL_NOT_FOUND          ((NTSTATUS)0xC0000135)
#define STATUS_ORDINAL_NOT_FOUND      ((NTSTATUS)0xC0000138)
#define STATUS_ENTRYPOINT_NOT_FOUND   ((NTSTATUS)0xC0000139)
#define STATUS_ASSERTION_FAILURE      ((NTSTATUS)0xC0000420)

static inline VOID InitializeListHead(PLIST_ENTRY head)
{
	head->Flink = head;
	head->Blink = head;
}

static inline BOOLEAN IsListEmpty(const LIST_ENTRY *head)
{
	return head->Flink == head;
}

static inline VOID InsertTailList(PLIST_ENTRY head, PLIST_ENTRY entry)
{
	entry->Flink = head;
	entry->Blink = head->Blink;
	head->Blink->Flink = entry;
	head->Blink = entry;
}

static inline VOID InsertHeadList(PLIST_ENTRY head, PLIST_ENTRY entry)
{
	entry->Flink = head->Flink;
	entry->Blink = head;
	head->Flink->Blink = entry;
	head->Flink = entry;
}

static inline VOID RemoveEntryList(PLIST_ENTRY entry)
{
	entry->Flink->Blink = entry->Blink;
	entry->Blink->Flink = entry->Flink;
}

static inline PLIST_ENTRY RemoveHeadList(PLIST_ENTRY head)
{
	PLIST_ENTRY entry = head->Flink;

	RemoveEntryList(entry);
	return entry;
}

#endif
