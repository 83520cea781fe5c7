/* SPDX-License-Identifier: MIT */
#ifndef KD_LIB_ENGINE_CODE_H
#define KD_LIB_ENGINE_CODE_H

#include "lib/engine/engine.h"

/*
 * Address that the current instruction's memory operand refers to, with the current registers:
 * `which` 0 for the first ($ea), 1 for the second ($ea2). KD_E_NOT_FOUND: it has none.
 */
enum kd_status kd__code_operand_address(struct kd_session *s, unsigned which, uint64_t *ret,
					struct kd_error *err);

#endif
