/* SPDX-License-Identifier: MIT */
/* What must hold after any request whatsoever, for the hostile tests and the fuzzer. */
#ifndef KD_TESTS_CORE_TARGET_ORACLE_H
#define KD_TESTS_CORE_TARGET_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/support/kd_fake_target.h"

/* A target whose searches are short, so that a hostile request costs little. */
struct kd_fake *target_oracle_create(uint16_t machine);

/*
 * Give the request to the target with `reply_cap` bytes of room (at most KD_PAYLOAD_MAX). NULL, or
 * which promise was broken.
 */
const char *target_oracle_request(struct kd_fake *f, const uint8_t *payload, size_t size,
				  size_t reply_cap);

/* Nothing of the debugger is left in memory when its breakpoints are removed. NULL, or what. */
const char *target_oracle_leaves_no_trace(struct kd_fake *f);

#endif
