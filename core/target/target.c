/* SPDX-License-Identifier: MIT */
/* Requests: which API is answered how. */
#include "core/target/target.h"

#include "core/target/target_internal.h"

static const struct kd__target_machine machines[] = {
	{ KD_MACHINE_AMD64, false, true, 1, { 0xCC }, "rip" },
	{ KD_MACHINE_X86, true, true, 1, { 0xCC }, "eip" },
	{ KD_MACHINE_ARM64, false, false, 4, { 0x00, 0x00, 0x3E, 0xD4 }, "pc" }, /* BRK #0xF000 */
};

const struct kd__target_machine *kd__target_machine_find(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].machine == machine)
			return &machines[i];
	return NULL;
}

enum kd_status kd_target_init(struct kd_target *t, const struct kd_target_config *config,
			      const struct kd_target_ops *ops, void *user)
{
	const uint16_t machine = config->version->machine;
	const struct kd_reg_layout *context = kd_context_layout(machine);
	const struct kd_reg_layout *special = kd_special_layout(machine);

	kd_zero(t, sizeof(*t));
	if (!ops->read_memory || !ops->write_memory || !ops->get_context || !ops->set_context ||
	    !ops->get_special || !ops->set_special || !ops->count_processors)
		return KD_E_INVALID;
	t->machine = kd__target_machine_find(machine);
	if (!t->machine || !context || !special || config->special_size > special->size)
		return KD_E_UNSUPPORTED;
	t->config = *config;
	if (!t->config.payload_max)
		t->config.payload_max = KD_PAYLOAD_MAX;
	if (t->config.payload_max < 512 || t->config.payload_max > KD_PAYLOAD_MAX)
		return KD_E_INVALID;
	if (!t->config.search_max)
		t->config.search_max = KD_TARGET_SEARCH_MAX;
	t->ops = ops;
	t->user = user;
	t->context_size = context->size;
	t->special_size = config->special_size ? config->special_size : special->size;
	return KD_OK;
}

bool kd__target_has_processor(const struct kd_target *t, uint16_t processor)
{
	return processor < t->ops->count_processors(t->user);
}

uint64_t kd__target_extend(const struct kd_target *t, uint64_t address)
{
	return t->machine->is_32bit ? (uint64_t)(int64_t)(int32_t)(uint32_t)address : address;
}

static uint32_t get_version(struct kd_target *t, struct kd__target_call *c)
{
	c->m.u.version = *t->config.version;
	return KD_NT_SUCCESS;
}

static uint32_t refuse(struct kd_target *t, struct kd__target_call *c)
{
	(void)t;
	(void)c;
	return (uint32_t)KD_NT_UNSUCCESSFUL;
}

static uint32_t reboot(struct kd_target *t, struct kd__target_call *c)
{
	(void)t;
	c->action->kind = KD_TARGET_REBOOT;
	return KD_NT_SUCCESS;
}

static uint32_t bugcheck(struct kd_target *t, struct kd__target_call *c)
{
	(void)t;
	c->action->kind = KD_TARGET_BUGCHECK;
	return KD_NT_SUCCESS;
}

/* There are never any: see refuse() for those that would make one. */
static uint32_t clear_internal_breakpoints(struct kd_target *t, struct kd__target_call *c)
{
	(void)t;
	c->action->kind = KD_TARGET_STAY;
	return KD_NT_SUCCESS;
}

static uint32_t switch_processor(struct kd_target *t, struct kd__target_call *c)
{
	const uint16_t processor = c->m.hdr.processor;
	const bool is_other = processor != t->processor && kd__target_has_processor(t, processor);

	c->action->processor = processor;
	c->action->kind = is_other ? KD_TARGET_SWITCH : KD_TARGET_RESEND_STATE;
	return KD_NT_SUCCESS;
}

/*
 * Every API of api.def. Call counting (special calls, internal breakpoints), paging by the debugger
 * and partitions are refused: kernels without them do that.
 */
static const struct {
	uint32_t api;
	uint32_t (*answer)(struct kd_target *t, struct kd__target_call *c);
} answers[] = {
	{ KD_API_READ_VIRTUAL, kd__target_read_virtual },
	{ KD_API_WRITE_VIRTUAL, kd__target_write_virtual },
	{ KD_API_GET_CONTEXT, kd__target_get_context },
	{ KD_API_SET_CONTEXT, kd__target_set_context },
	{ KD_API_WRITE_BREAKPOINT, kd__target_write_breakpoint },
	{ KD_API_RESTORE_BREAKPOINT, kd__target_restore_breakpoint },
	{ KD_API_CONTINUE, kd__target_continue },
	{ KD_API_READ_CONTROL_SPACE, kd__target_read_control },
	{ KD_API_WRITE_CONTROL_SPACE, kd__target_write_control },
	{ KD_API_READ_IO, kd__target_read_io },
	{ KD_API_WRITE_IO, kd__target_write_io },
	{ KD_API_REBOOT, reboot },
	{ KD_API_CONTINUE2, kd__target_continue2 },
	{ KD_API_READ_PHYSICAL, kd__target_read_physical },
	{ KD_API_WRITE_PHYSICAL, kd__target_write_physical },
	{ KD_API_QUERY_SPECIAL_CALLS, refuse },
	{ KD_API_SET_SPECIAL_CALL, refuse },
	{ KD_API_CLEAR_SPECIAL_CALLS, refuse },
	{ KD_API_SET_INTERNAL_BREAKPOINT, refuse },
	{ KD_API_GET_INTERNAL_BREAKPOINT, refuse },
	{ KD_API_READ_IO_EXTENDED, kd__target_read_io_extended },
	{ KD_API_WRITE_IO_EXTENDED, kd__target_write_io_extended },
	{ KD_API_GET_VERSION, get_version },
	{ KD_API_WRITE_BREAKPOINT_EX, kd__target_write_breakpoint_ex },
	{ KD_API_RESTORE_BREAKPOINT_EX, kd__target_restore_breakpoint_ex },
	{ KD_API_CAUSE_BUGCHECK, bugcheck },
	{ KD_API_SWITCH_PROCESSOR, switch_processor },
	{ KD_API_PAGE_IN, refuse },
	{ KD_API_READ_MSR, kd__target_read_msr },
	{ KD_API_WRITE_MSR, kd__target_write_msr },
	{ KD_API_OLD_VLM1, refuse },
	{ KD_API_OLD_VLM2, refuse },
	{ KD_API_SEARCH_MEMORY, kd__target_search_memory },
	{ KD_API_GET_BUS_DATA, kd__target_get_bus_data },
	{ KD_API_SET_BUS_DATA, kd__target_set_bus_data },
	{ KD_API_CHECK_LOW_MEMORY, kd__target_check_low_memory },
	{ KD_API_CLEAR_INTERNAL_BREAKPOINTS, clear_internal_breakpoints },
	{ KD_API_FILL_MEMORY, kd__target_fill_memory },
	{ KD_API_QUERY_MEMORY, kd__target_query_memory },
	{ KD_API_SWITCH_PARTITION, refuse },
	{ KD_API_WRITE_CUSTOM_BREAKPOINT, kd__target_write_custom_breakpoint },
	{ KD_API_GET_CONTEXT_EX, kd__target_get_context_ex },
	{ KD_API_SET_CONTEXT_EX, kd__target_set_context_ex },
	{ KD_API_WRITE_CUSTOM_BREAKPOINT_10, kd__target_write_custom_breakpoint },
	{ KD_API_READ_PHYSICAL_LONG, refuse },
};

static bool is_beyond(const struct kd_target *t, uint32_t api)
{
	const uint8_t max = t->config.version->max_manipulate;

	return max && api - KD_API_READ_VIRTUAL >= max;
}

static uint32_t answer(struct kd_target *t, struct kd__target_call *c)
{
	if (!is_beyond(t, c->m.hdr.api))
		for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
			if (answers[i].api == c->m.hdr.api)
				return answers[i].answer(t, c);
	return (uint32_t)KD_NT_UNSUCCESSFUL;
}

enum kd_target_action_kind kd_target_request(struct kd_target *t, const uint8_t *payload,
					     size_t size, uint8_t *reply, size_t reply_cap,
					     struct kd_target_action *action_ret)
{
	struct kd__target_call c = { .action = action_ret };

	kd_zero(action_ret, sizeof(*action_ret));
	action_ret->kind = KD_TARGET_MALFORMED;
	if (reply_cap < KD_MANIPULATE_SIZE ||
	    kd_manipulate_decode(&c.m, t->machine->machine, payload, size) != KD_OK)
		return action_ret->kind;
	c.in = c.m.data;
	c.in_is_short = kd_manipulate_data_size(&c.m, false, &c.in_size) != KD_OK;
	c.out = reply + KD_MANIPULATE_SIZE;
	if (reply_cap > t->config.payload_max)
		reply_cap = t->config.payload_max;
	c.room = reply_cap - KD_MANIPULATE_SIZE;

	action_ret->api = c.m.hdr.api;
	action_ret->kind = KD_TARGET_REPLY;
	c.m.hdr.return_status = answer(t, &c);
	if (action_ret->kind == KD_TARGET_CONTINUE)
		kd_target_settle_breakpoints(t);
	if (action_ret->kind == KD_TARGET_REPLY || c.reply_first) {
		kd_manipulate_encode_hdr(reply, &c.m);
		action_ret->reply_size = KD_MANIPULATE_SIZE + c.out_size;
	}
	return action_ret->kind;
}
