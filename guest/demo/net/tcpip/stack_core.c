/* SPDX-License-Identifier: MIT */
/* tcpip.sys: its lock, its clock, its start. */
#include "guest/demo/net/tcpip/stack.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"

enum {
	TICK = 10, /* ms: the kernel's clock has no smaller ones */
	TICK_100NS = TICK * 10000,
};

static KSPIN_LOCK lock;
static PNET_SOCKET dirty;
static PNET_OWNER to_wake;
static KTIMER timer;
static KDPC timer_dpc, adapter_dpc;
static BOOLEAN started;

KIRQL NetLock(VOID)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&lock);
	return irql;
}

/* What the work under the lock left behind; handling it may leave more. */
static VOID settle(VOID)
{
	struct netif *netif;

	NetAdapterFlush(); /* the card works while we do */
	do {
		NETIF_FOREACH(netif)
		netif_poll(netif);
		while (dirty != NULL) {
			PNET_SOCKET socket = dirty;

			dirty = socket->NextDirty;
			socket->Dirty = FALSE;
			if (socket->Dead)
				NetDestroySocket(socket);
			else if (socket->Protocol == AFD_TCP)
				NetTcpProcessArrived(socket);
			else
				NetUdpProcessArrived(socket);
		}
		NETIF_FOREACH(netif)
		{
			if (netif->loop_first != NULL)
				break;
		}
	} while (netif != NULL);
	NetAdapterFlush();
}

VOID NetUnlock(KIRQL OldIrql)
{
	struct net_done *done;

	settle();
	while (to_wake != NULL) {
		PNET_OWNER owner = to_wake;

		to_wake = owner->NextWake;
		owner->Wake = FALSE;
		KeSetEvent(&owner->Changed, 0, FALSE);
	}
	done = NetTakeCompletions();
	KxReleaseSpinLock(&lock);
	NetRunCompletions(done);
	KeLowerIrql(OldIrql);
}

VOID NetMarkDirty(PNET_SOCKET Socket)
{
	if (Socket->Dirty)
		return;
	Socket->Dirty = TRUE;
	Socket->NextDirty = dirty;
	dirty = Socket;
}

VOID NetWakeOwner(PNET_OWNER Owner)
{
	if (Owner->Wake)
		return;
	Owner->Wake = TRUE;
	Owner->NextWake = to_wake;
	to_wake = Owner;
}

VOID NetForgetWake(PNET_OWNER Owner)
{
	PNET_OWNER *at = &to_wake;

	while (*at != NULL && *at != Owner)
		at = &(*at)->NextWake;
	if (*at != NULL)
		*at = Owner->NextWake;
}

ULONG NetMilliseconds(VOID)
{
	return (ULONG)(__atomic_load_n(&KeInterruptTime, __ATOMIC_RELAXED) / 10000);
}

/* --- what lwIP asks for --- */

uint32_t sys_now(void);
uint32_t sys_now(void)
{
	return NetMilliseconds();
}

uint32_t NetRandom(void)
{
	static ULONG64 state;

	state = state * 6364136223846793005ull + KiReadTsc();
	return (ULONG)(state >> 32);
}

_Noreturn void NetAssertionFailed(const char *text)
{
	HalDisplayString("tcpip: ");
	HalDisplayString(text);
	KeBugCheckEx(0xE2, (ULONG_PTR)text, 0x1D1F, 0, 0);
}

/* --- clock and card --- */

static VOID on_timer(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
	KIRQL irql = NetLock();

	sys_check_timeouts();
	NetUnlock(irql);
}

static VOID on_adapter(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
	KIRQL irql = NetLock();

	NetAdapterPoll();
	NetUnlock(irql);
}

VOID NetAdapterInterrupt(VOID)
{
	KeInsertQueueDpc(&adapter_dpc, NULL, NULL);
}

/** The card's driver may be started before we are. */
NTSTATUS NetStartStack(VOID)
{
	LARGE_INTEGER first = { .QuadPart = -TICK_100NS };
	KIRQL irql;

	if (started)
		return STATUS_SUCCESS;
	started = TRUE;
	KeInitializeDpc(&timer_dpc, on_timer, NULL);
	KeInitializeDpc(&adapter_dpc, on_adapter, NULL);
	irql = NetLock();
	lwip_init();
	NetUnlock(irql);
	KeInitializeTimer(&timer);
	KeSetTimerEx(&timer, first, TICK, &timer_dpc);
	return STATUS_SUCCESS;
}

NTSTATUS NetRegisterAdapter(PNET_ADAPTER Adapter)
{
	NTSTATUS status = NetStartStack();
	KIRQL irql;

	if (!NT_SUCCESS(status))
		return status;
	irql = NetLock();
	status = NetAddAdapter(Adapter);
	NetUnlock(irql);
	return status;
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	NTSTATUS status = NetStartStack();

	NetStartClassifying();
	if (NT_SUCCESS(status))
		status = NetCreateDevice(DriverObject);
	if (NT_SUCCESS(status))
		status = NetStartJobs();
	return status;
}
