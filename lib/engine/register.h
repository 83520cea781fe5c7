/* SPDX-License-Identifier: MIT */
/* The register file of a stop, as the other parts of the engine need it. */
#ifndef KD_LIB_ENGINE_REGISTER_H
#define KD_LIB_ENGINE_REGISTER_H

#include "lib/engine/engine.h"

/* Program counter of a processor without asking for more than needed (owner: no request). */
enum kd_status kd__regs_pc(struct kd_session *s, uint32_t processor, uint64_t *ret,
			   struct kd_error *err);
/* Set one register of a processor, whatever context is being looked at. */
enum kd_status kd__regs_set(struct kd_session *s, uint32_t processor, const char *name,
			    uint64_t value, struct kd_error *err);
enum kd_status kd__regs_get(struct kd_session *s, uint32_t processor, const char *name,
			    uint64_t *value_ret, struct kd_error *err);
/* The CONTEXT of a processor, whatever is being looked at; up to KD_CONTEXT_MAX bytes. */
enum kd_status kd__regs_context(struct kd_session *s, uint32_t processor, uint8_t *bytes,
				size_t *size_ret, struct kd_error *err);
/* The owner's program counter was changed since the stop (by the user or by us). */
bool kd__regs_pc_changed(const struct kd_session *s);
/* What the control report of the current stop says. */
const struct kd__report *kd__regs_report(const struct kd_session *s);
void kd__regs_note_stop(struct kd_session *s, const struct kd_state_change *change);

#endif
