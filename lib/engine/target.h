/* SPDX-License-Identifier: MIT */
/* Who the target is: GetVersion and the KDBG block. */
#ifndef KD_LIB_ENGINE_TARGET_H
#define KD_LIB_ENGINE_TARGET_H

#include "lib/engine/engine.h"

/* Asked for its version, cleaned and told about: requests of the user make sense. */
bool kd__info_identified(const struct kd_session *s);
bool kd__info_known(const struct kd_session *s);
/* The next state change is of a fresh boot: nothing of an older debugger is in the target. */
void kd__info_note_boot(struct kd_session *s);

/*
 * First stop of a connection or boot: RESET if the ids were adopted, GetVersion, the machine's
 * descriptor, stale breakpoints out, journal. Queues KD_EVENT_CONNECTED.
 */
enum kd_status kd__info_identify(struct kd_session *s, const struct kd_state_change *change,
				 struct kd_error *err);

/* A boot or a new connection that the wire has seen: knowledge and books begin anew (session.c). */
void kd__note_boot(struct kd_session *s);

/* All knowledge of the target is void. */
void kd__restart(struct kd_session *s);

#endif
