/* SPDX-License-Identifier: MIT */
/*
 * wfptest.sys: the demo guest's filter engine, network buffers and drivers' kernel API, tried from
 * where drivers call them. It stands in for the stack, and for two callout drivers. Each check is a
 * line on the console; tests/guest/test_wfp_engine.py reads them.
 */
#ifndef KD_DEMO_WFPTEST_H
#define KD_DEMO_WFPTEST_H

#include "guest/demo/inc/nt_driver.h"
#include "guest/demo/net/inc/wfp_stack.h"

#define TAG_TEST 0x74736554u

/* --- wfptest_main.c --- */
VOID TestCheck(BOOLEAN Good, PCSTR What);
/** Checks that exactly one violation (or none) was counted since the last call. */
VOID TestViolates(PCSTR What);
VOID TestKeeps(PCSTR What);
PVOID TestAllocate(SIZE_T Size); /* zeroed; a test without memory is no test: bugcheck */
VOID TestSleep(ULONG Milliseconds);
extern PDEVICE_OBJECT TestDevice;

/* --- wfptest_lists.c --- */
/** A list over a copy of Bytes, as a driver makes it for injection; or NULL. */
NET_BUFFER_LIST *TestMakeList(const VOID *Bytes, ULONG Length);
VOID TestFreeList(NET_BUFFER_LIST *List);
VOID TestLists(VOID);
VOID TestOpenPool(VOID);
VOID TestClosePool(VOID);

/* --- wfptest_stack.c: the stack, played --- */
struct test_stack {
	ULONG injects, continues, aborts, sends, receives, releases;
	PVOID flow;
	ULONG flags;
	ULONG length;
	CHAR bytes[64];
	ULONG64 cookie;
	NTSTATUS answer; /* of all functions */
	ULONG fail_at;   /* the so-manieth injection into a stream fails; 0: none */
	BOOLEAN keep;    /* complete later: TestCompleteKept */
	NET_BUFFER_LIST *kept;
	WFP_COMPLETION kept_completion;
	PVOID kept_context;
};
extern struct test_stack Stack;
extern const WFP_STACK_OPS TestStackOps;
VOID TestCompleteKept(VOID);
/** A flow of TCP (6) or UDP (17) to remote port Port. */
ULONG64 TestFlow(USHORT Family, UCHAR Protocol, USHORT Port);
/** Indicate Text (NULL: no bytes). */
WFP_STREAM_RESULT TestStream(ULONG64 Flow, ULONG Flags, PCSTR Text);

/* --- wfptest_callouts.c: the callout drivers --- */
enum { Heavy, Light, Inspector, TestCallouts };

struct test_callout {
	ULONG id;
	/* what it answers */
	ULONG action;
	ULONG stream_action;
	SIZE_T enforced;
	BOOLEAN is_silent; /* writes nothing */
	BOOLEAN keeps_right;
	VOID (*hook)(ULONG64 flow);
	ULONG clones_wanted;
	NET_BUFFER_LIST *clones[2];
	/* what it saw */
	ULONG calls, deleted, notified_add, notified_delete;
	ULONG stream_flags, out_flags, rights;
	ULONG length;
	CHAR bytes[64];
	ULONG64 context, deleted_context;
	ULONG injection_state;
	NTSTATUS notify_answer;
};
extern struct test_callout Callout[TestCallouts];

/* what the callout at ALE_FLOW_ESTABLISHED saw, and does */
struct test_flow_callout {
	ULONG id;
	ULONG calls;
	BOOLEAN associates; /* with Heavy and Light */
	ULONG64 flow;
	ULONG64 process_id;
	ULONG metadata;
	ULONG remote_address;
	USHORT remote_port;
	UCHAR protocol;
	ULONG path_size;
	ULONG layer;
};
extern struct test_flow_callout FlowCallout;

extern HANDLE Engine;
extern HANDLE TestHandle; /* of injection */
/** Everything registered and added: a dynamic session, two sublayers, callouts and filters for TCP
 * over IPv4, with Action of the filter of Heavy. */
VOID TestOpen(ULONG Action, ULONG Flags);
/** All of it gone again. */
VOID TestClose(VOID);
VOID TestResetCallouts(VOID);
NTSTATUS TestAddFilter(ULONG Which, const GUID *Layer, FWPM_FILTER_CONDITION0 *Conditions,
		       ULONG Count, ULONG Action, ULONG Flags, ULONG64 *Id);
extern const GUID TestSublayer[2];
extern GUID TestCalloutKey[TestCallouts + 1];
VOID TestRegister(ULONG Which, ULONG Flags);

/* --- the tests --- */
VOID TestKernel(VOID);
VOID TestService(VOID);
VOID TestManagement(VOID);
VOID TestConditions(VOID);
VOID TestFlows(VOID);
VOID TestStreams(VOID);
VOID TestInjection(VOID);
VOID TestDatagrams(VOID);
VOID TestStress(VOID);

#endif
