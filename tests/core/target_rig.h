/* SPDX-License-Identifier: MIT */
/* One target over the fake machine, stopped, and a request at a time: for the tests of core/target.
 */
#ifndef KD_TESTS_CORE_TARGET_RIG_H
#define KD_TESTS_CORE_TARGET_RIG_H

#include "tests/support/kd_fake_target.h"

#define OK         KD_NT_SUCCESS
#define UNSUCCESS  ((uint32_t)KD_NT_UNSUCCESSFUL)
#define BAD_ARG    ((uint32_t)KD_NT_INVALID_PARAMETER)
#define NO_DEVICE  ((uint32_t)KD_NT_NO_SUCH_DEVICE)
#define NO_MORE    ((uint32_t)KD_NT_NO_MORE_ENTRIES)
#define MISALIGNED ((uint32_t)KD_NT_DATATYPE_MISALIGNMENT)

extern struct kd_fake *fake;
extern struct kd_target *target;
extern struct kd_manipulate m;       /* the request to be made */
extern struct kd_manipulate r;       /* its reply */
extern struct kd_target_action last; /* what was to be done */
extern uint8_t request_bytes[KD_PAYLOAD_MAX], reply_bytes[KD_PAYLOAD_MAX];

/* Two processors, stopped at a breakpoint. */
int setup(void **state);
int setup_x86(void **state);
int teardown(void **state);

void make(uint32_t api, uint16_t processor);
void with_data(const void *data, size_t size);
/* Make the request; its reply is in `r`. Returns its status; UINT32_MAX: there is none. */
uint32_t ask_with(size_t reply_cap);
uint32_t ask(void);

uint32_t read_memory(uint32_t api, uint64_t address, uint32_t count);
uint32_t write_memory(uint32_t api, uint64_t address, const void *bytes, uint32_t count);
uint32_t search(uint64_t address, uint64_t length, const void *pattern, uint32_t size);

#define ON(name, f) cmocka_unit_test_setup_teardown(name, f, teardown)

#endif
