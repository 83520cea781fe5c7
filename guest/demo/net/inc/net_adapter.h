/* SPDX-License-Identifier: MIT */
/*
 * Between tcpip.sys and the driver of a network card. The card's driver registers itself; its
 * functions are called at DISPATCH_LEVEL with the stack's lock held, one at a time.
 */
#ifndef KD_DEMO_NET_ADAPTER_H
#define KD_DEMO_NET_ADAPTER_H

#include "guest/demo/inc/nt_driver.h"

enum {
	NET_FRAME_SIZE = 1514, /* the longest frame, without its check sequence */
	NET_STACK_AREA = 96,   /* bytes of every receive buffer that belong to the stack */
};

/* A buffer a frame arrived in. */
typedef struct _NET_FRAME {
	ULONG64 StackArea[NET_STACK_AREA / 8];
	PUCHAR Data;
	ULONG Length;
} NET_FRAME, *PNET_FRAME;

typedef struct _NET_ADAPTER {
	PVOID Context;
	UCHAR Address[6];
	/** Room for one frame, NULL: none now, the frame is lost. */
	PUCHAR (*TransmitBuffer)(PVOID Context);
	/** Send what was written to the last TransmitBuffer. */
	VOID (*Transmit)(PVOID Context, ULONG Length);
	/** Tell the card about what was sent and given back since the last time. */
	VOID (*Flush)(PVOID Context);
	/** The next frame that arrived, NULL: no more, and the card interrupts when there is. The
	 * stack keeps it until Return. */
	PNET_FRAME (*Receive)(PVOID Context);
	VOID (*Return)(PVOID Context, PNET_FRAME Frame);
	/** Receive buffers the card has left: few of them, and the stack copies what it keeps. */
	ULONG (*BuffersLeft)(PVOID Context);
} NET_ADAPTER, *PNET_ADAPTER;

#ifndef NET_API
#define NET_API DLLIMPORT
#endif
/** Make the card the stack's adapter; there is one. *Adapter stays the driver's and in place. */
NET_API NTSTATUS NetRegisterAdapter(PNET_ADAPTER Adapter);
/** From the card's interrupt: look at it soon. */
NET_API VOID NetAdapterInterrupt(VOID);

#endif
