/* SPDX-License-Identifier: MIT */
/* Shared by the files of core/target. */
#ifndef KD_CORE_TARGET_INTERNAL_H
#define KD_CORE_TARGET_INTERNAL_H

#include "core/bytes.h"
#include "core/target/target.h"

/* What this part has to know of a machine. Register names are those of registers.def. */
struct kd__target_machine {
	uint16_t machine;
	bool is_32bit;
	bool has_x86_flags; /* TF and the debug registers are kept as on x86 */
	uint8_t breakpoint_size;
	uint8_t breakpoint[4];
	const char *pc;
};

const struct kd__target_machine *kd__target_machine_find(uint16_t machine);

/* A request on its way to become a reply. */
struct kd__target_call {
	struct kd_manipulate m;
	const uint8_t *in; /* additional data: as many bytes as the length fields promise */
	size_t in_size;
	bool in_is_short; /* the promise was not kept: refuse */
	uint8_t *out;     /* where additional data of the reply goes */
	size_t room;
	size_t out_size;
	bool reply_first; /* a reply goes out although the target runs on */
	struct kd_target_action *action;
};

/* The processor of the request exists. */
bool kd__target_has_processor(const struct kd_target *t, uint16_t processor);

uint64_t kd__target_extend(const struct kd_target *t, uint64_t address);

/* Memory as the debugger sees it: without breakpoints, whatever happens to stand in RAM. Both
 * return how many bytes could be reached. */
size_t kd__target_read(struct kd_target *t, const struct kd_target_memory *from, uint8_t *out,
		       size_t size);
size_t kd__target_write(struct kd_target *t, const struct kd_target_memory *to,
			const uint8_t *bytes, size_t size);

/* Breakpoints that touch [address, address + size) leave table and memory. */
void kd__target_delete_breakpoints(struct kd_target *t, uint64_t address, size_t size);

/* Handlers: each returns the NTSTATUS of the reply. */
uint32_t kd__target_read_virtual(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_virtual(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_read_physical(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_physical(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_search_memory(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_fill_memory(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_query_memory(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_check_low_memory(struct kd_target *t, struct kd__target_call *c);

uint32_t kd__target_get_context(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_set_context(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_get_context_ex(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_set_context_ex(struct kd_target *t, struct kd__target_call *c);

uint32_t kd__target_write_breakpoint(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_restore_breakpoint(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_breakpoint_ex(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_restore_breakpoint_ex(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_custom_breakpoint(struct kd_target *t, struct kd__target_call *c);

uint32_t kd__target_read_control(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_control(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_read_io(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_io(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_read_io_extended(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_io_extended(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_read_msr(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_write_msr(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_get_bus_data(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_set_bus_data(struct kd_target *t, struct kd__target_call *c);

uint32_t kd__target_continue(struct kd_target *t, struct kd__target_call *c);
uint32_t kd__target_continue2(struct kd_target *t, struct kd__target_call *c);

#endif
