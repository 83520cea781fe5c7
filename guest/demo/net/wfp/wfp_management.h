/* SPDX-License-Identifier: MIT */
/* Between sessions and the objects they make. All at PASSIVE_LEVEL. */
#ifndef KD_DEMO_WFP_MANAGEMENT_H
#define KD_DEMO_WFP_MANAGEMENT_H

#include "guest/demo/net/wfp/wfp_engine.h"

#define STATUS_RPC_SERVER_UNAVAILABLE ((NTSTATUS)0xC0020017)

BOOLEAN WfpIsSession(HANDLE Handle);
/** Wait until nobody else changes anything; *Session is who Handle means. */
NTSTATUS WfpBeginChange(PCSTR Function, HANDLE Handle, struct wfp_session **Session);
/** Commit (or undo, if Status is a failure) unless a transaction goes on; what became of it. */
NTSTATUS WfpEndChange(struct wfp_session *Session, NTSTATUS Status);

/** Callouts hear of filters that come; if one refuses, its status, and nothing has come. */
NTSTATUS WfpCommitObjects(struct wfp_session *Session);
VOID WfpAbortObjects(struct wfp_session *Session);
/** Mark what belongs to the session as to be deleted, or as nobody's. */
VOID WfpLeaveSession(struct wfp_session *Session);

/* Between kinds of objects */
BOOLEAN WfpFindSublayer(const GUID *Key, PUSHORT Weight);
BOOLEAN WfpFindAddedCallout(const GUID *Key, const struct wfp_layer **Layer, PULONG Id);
BOOLEAN WfpIsSublayerUsed(const GUID *Key);
BOOLEAN WfpIsCalloutUsed(const GUID *Key);
NTSTATUS WfpCommitFilters(VOID);
VOID WfpAbortFilters(VOID);

#endif
