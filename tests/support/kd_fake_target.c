/* SPDX-License-Identifier: MIT */
#include "tests/support/kd_fake_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

enum { EFLAGS_TF = 0x100, STATUS_CONTROL_C = 1, STATUS_BUGCHECK = 3 };

/* --- registers --- */

uint64_t kd_fake_get_register(const struct kd_fake *f, uint16_t processor, const char *name)
{
	const struct kd_reg_field *field = kd_reg_find(f->context_layout, name);

	if (!field)
		abort();
	return kd_reg_get(f->processors[processor].context, field);
}

void kd_fake_set_register(struct kd_fake *f, uint16_t processor, const char *name, uint64_t value)
{
	const struct kd_reg_field *field = kd_reg_find(f->context_layout, name);

	if (!field)
		abort();
	kd_reg_set(f->processors[processor].context, field, value);
}

uint64_t kd_fake_get_special(const struct kd_fake *f, uint16_t processor, const char *name)
{
	const struct kd_reg_field *field = kd_reg_find(f->special_layout, name);

	if (!field)
		abort();
	return kd_reg_get(f->processors[processor].special, field);
}

static const char *pc_name(const struct kd_fake *f)
{
	return f->word == 8 ? "rip" : "eip";
}

/* x86 keeps 32 bits of what the wire extends to 64. */
static uint64_t extend(const struct kd_fake *f, uint64_t address)
{
	return f->word == 8 ? address : (uint64_t)(int64_t)(int32_t)(uint32_t)address;
}

void kd_fake_go_to(struct kd_fake *f, uint16_t processor, uint64_t pc)
{
	kd_fake_set_register(f, processor, pc_name(f), pc);
	f->processors[processor].is_halted = false;
}

/* --- operations --- */

static size_t op_physical(struct kd_fake *f, uint64_t address, uint8_t *out, const uint8_t *in,
			  size_t size)
{
	if (address >= f->ram_size)
		return 0;
	if (size > f->ram_size - address)
		size = f->ram_size - (size_t)address;
	if (out)
		memcpy(out, f->ram + address, size);
	else if (in)
		memcpy(f->ram + address, in, size);
	return size;
}

static size_t op_read_memory(void *user, const struct kd_target_memory *from, uint8_t *out,
			     size_t size)
{
	struct kd_fake *f = user;

	if (from->space == KD_TARGET_PHYSICAL)
		return op_physical(f, from->address, out, NULL, size);
	return kd_fake_read(f, from->address, out, size);
}

static size_t op_write_memory(void *user, const struct kd_target_memory *to, const uint8_t *bytes,
			      size_t size)
{
	struct kd_fake *f = user;

	if (to->space == KD_TARGET_PHYSICAL)
		return op_physical(f, to->address, NULL, bytes, size);
	return kd_fake_write(f, to->address, bytes, size);
}

static bool op_get_context(void *user, uint16_t processor, uint8_t *out)
{
	struct kd_fake *f = user;

	memcpy(out, f->processors[processor].context, f->context_layout->size);
	return true;
}

static bool op_set_context(void *user, uint16_t processor, const uint8_t *bytes)
{
	struct kd_fake *f = user;

	memcpy(f->processors[processor].context, bytes, f->context_layout->size);
	return true;
}

static bool op_get_special(void *user, uint16_t processor, uint8_t *out)
{
	struct kd_fake *f = user;

	memcpy(out, f->processors[processor].special, f->special_layout->size);
	return true;
}

static bool op_set_special(void *user, uint16_t processor, const uint8_t *bytes)
{
	struct kd_fake *f = user;

	memcpy(f->processors[processor].special, bytes, f->special_layout->size);
	return true;
}

static uint16_t op_count_processors(void *user)
{
	return ((struct kd_fake *)user)->config.n_processors;
}

static uint64_t op_get_pointer(void *user, uint16_t processor, enum kd_target_pointer which)
{
	const struct kd_fake_processor *p = &((struct kd_fake *)user)->processors[processor];

	return which == KD_TARGET_KPCR ? p->kpcr : which == KD_TARGET_KPRCB ? p->kprcb : p->kthread;
}

static bool op_translate(void *user, uint64_t address, uint64_t *physical_ret)
{
	return kd_fake_translate(user, address, physical_ret);
}

static bool op_read_msr(void *user, uint16_t processor, uint32_t msr, uint64_t *value_ret)
{
	struct kd_fake *f = user;

	(void)processor;
	for (size_t i = 0; i < KD_FAKE_N_MSRS; i++) {
		if (f->msrs[i].number != msr || !msr)
			continue;
		*value_ret = f->msrs[i].value;
		return true;
	}
	return false;
}

static bool op_write_msr(void *user, uint16_t processor, uint32_t msr, uint64_t value)
{
	struct kd_fake *f = user;

	(void)processor;
	for (size_t i = 0; i < KD_FAKE_N_MSRS; i++) {
		if (f->msrs[i].number != msr || !msr)
			continue;
		f->msrs[i].value = value;
		return true;
	}
	return false;
}

static bool is_isa_port(const struct kd_target_port *p)
{
	return p->interface_type == 1 && p->bus_number == 0 && p->address_space == 1 &&
	       p->address + p->size <= KD_FAKE_N_PORTS;
}

static uint32_t op_read_port(void *user, const struct kd_target_port *p, uint32_t *value_ret)
{
	struct kd_fake *f = user;

	if (!is_isa_port(p))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	*value_ret = (uint32_t)kd_get_sized(f->ports + p->address, p->size);
	return KD_NT_SUCCESS;
}

static uint32_t op_write_port(void *user, const struct kd_target_port *p, uint32_t value)
{
	struct kd_fake *f = user;

	if (!is_isa_port(p))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	kd_put_sized(f->ports + p->address, p->size, value);
	return KD_NT_SUCCESS;
}

/* Bytes of the one device's configuration space that can be reached. */
static size_t bus_room(const struct kd_fake *f, const struct kd_target_bus *b, size_t size)
{
	if (b->bus_data_type != 4 || b->bus_number || b->slot_number || b->offset >= sizeof(f->bus))
		return 0;
	return size < sizeof(f->bus) - b->offset ? size : sizeof(f->bus) - b->offset;
}

static size_t op_read_bus(void *user, const struct kd_target_bus *from, uint8_t *out, size_t size)
{
	const struct kd_fake *f = user;
	const size_t n = bus_room(f, from, size);

	memcpy(out, f->bus + (n ? from->offset : 0), n);
	return n;
}

static size_t op_write_bus(void *user, const struct kd_target_bus *to, const uint8_t *bytes,
			   size_t size)
{
	struct kd_fake *f = user;
	const size_t n = bus_room(f, to, size);

	memcpy(f->bus + (n ? to->offset : 0), bytes, n);
	return n;
}

const struct kd_target_ops kd_fake_ops = {
	.read_memory = op_read_memory,
	.write_memory = op_write_memory,
	.get_context = op_get_context,
	.set_context = op_set_context,
	.get_special = op_get_special,
	.set_special = op_set_special,
	.count_processors = op_count_processors,
	.get_pointer = op_get_pointer,
	.translate = op_translate,
	.read_msr = op_read_msr,
	.write_msr = op_write_msr,
	.read_port = op_read_port,
	.write_port = op_write_port,
	.read_bus = op_read_bus,
	.write_bus = op_write_bus,
};

/* --- life --- */

static void init_version(struct kd_fake *f)
{
	const bool is_64 = f->config.machine == KD_MACHINE_AMD64;

	f->version = (struct kd_w_version){
		.major = 0x000F,
		.minor = 19041,
		.protocol = 6,
		.secondary = is_64 ? 2 : 0,
		.flags = KD_VERSION_DATA | (is_64 ? KD_VERSION_PTR64 : 0) |
			 (f->config.n_processors > 1 ? KD_VERSION_MP : 0),
		.machine = f->config.machine,
		.max_packet_type = 12,
		.max_state_change = 3,
		.max_manipulate = f->config.max_manipulate,
	};
}

static void load_symbols(struct kd_fake *f, size_t module, bool unload);

static void begin_boot(struct kd_fake *f)
{
	if (f->config.stop_at_boot)
		load_symbols(f, 0, false);
}

struct kd_fake *kd_fake_create(const struct kd_fake_config *config)
{
	struct kd_target_config target = { .processor_level = 6 };
	struct kd_link_config link;
	struct kd_fake *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->config = *config;
	f->config.machine = config->machine ? config->machine : KD_MACHINE_AMD64;
	f->config.n_processors = config->n_processors ? config->n_processors : 1;
	f->config.max_manipulate = config->max_manipulate ? config->max_manipulate : KD_MAX_API_10;
	if (f->config.n_processors > KD_FAKE_N_PROCESSORS)
		abort();
	f->word = f->config.machine == KD_MACHINE_AMD64 ? 8 : 4;
	f->ram_size = config->ram_size ? config->ram_size : 4u << 20;
	f->ram_next = 0x1000;
	f->ram = calloc(1, f->ram_size);
	f->context_layout = kd_context_layout(f->config.machine);
	f->special_layout = kd_special_layout(f->config.machine);
	if (!f->ram || !f->context_layout || !f->special_layout)
		abort();
	f->debugger_present = true;
	f->msrs[0].number = 0xC0000082;
	f->msrs[0].value = 0xFFFFF80000001234;
	init_version(f);
	kd_fake_build_kernel(f);
	target.version = &f->version;
	if (kd_target_init(&f->target, &target, &kd_fake_ops, f) != KD_OK)
		abort();
	kd_link_config_init(&link, KD_LINK_TARGET, f->config.is_serial_line);
	kd_server_init(&f->server, &f->target, &link);
	begin_boot(f);
	return f;
}

void kd_fake_destroy(struct kd_fake *f)
{
	if (!f)
		return;
	free(f->ram);
	free(f);
}

void kd_fake_restart(struct kd_fake *f, uint64_t now)
{
	f->now = now;
	f->n_reboots++;
	f->restart_wanted = false;
	kd_target_remove_breakpoints(&f->target); /* fresh memory has none */
	kd_server_restart(&f->server, now);
	f->has_exception = false;
	f->debugger_present = true;
	kd_fake_reset_processors(f);
	begin_boot(f);
}

void kd_fake_do(struct kd_fake *f, enum kd_fake_task_kind kind, const char *text)
{
	struct kd_fake_task *task;

	if (f->n_tasks == KD_FAKE_N_TASKS)
		abort();
	task = &f->tasks[(f->task_head + f->n_tasks++) % KD_FAKE_N_TASKS];
	*task = (struct kd_fake_task){ .kind = kind };
	if (text)
		strncpy(task->text, text, sizeof(task->text) - 1);
}

void kd_fake_do_module(struct kd_fake *f, enum kd_fake_task_kind kind, size_t module)
{
	kd_fake_do(f, kind, NULL);
	f->tasks[(f->task_head + f->n_tasks - 1) % KD_FAKE_N_TASKS].module = module;
}

/* --- stopping --- */

static void report_exception(struct kd_fake *f, uint16_t processor, const struct kd_w_exception *e)
{
	size_t size;

	if (kd_target_exception(&f->target, processor, e, f->server.report,
				sizeof(f->server.report), &size) != KD_OK)
		abort();
	f->speaker = processor;
	f->n_stops++;
	kd_server_report(&f->server, size, f->now);
}

static void report_own(struct kd_fake *f)
{
	report_exception(f, f->owner, &f->exception);
}

static bool is_always_reported(uint32_t code)
{
	return code == (uint32_t)KD_NT_BREAKPOINT || code == (uint32_t)KD_NT_SINGLE_STEP ||
	       code == (uint32_t)KD_NT_ASSERTION_FAILURE;
}

static void dispatch(struct kd_fake *f, uint16_t processor)
{
	f->owner = processor;
	f->second_chance = !is_always_reported(f->exception.code) && !f->config.stop_on_exception;
	f->exception.first_chance = !f->second_chance;
	f->has_exception = true;
	report_own(f);
}

/* Nobody took the exception. */
static void not_handled(struct kd_fake *f)
{
	if (!f->second_chance) {
		f->second_chance = true;
		f->exception.first_chance = 0;
		report_own(f);
		return;
	}
	f->has_exception = false;
	f->processors[f->owner].is_halted = true;
}

static void load_symbols(struct kd_fake *f, size_t module, bool unload)
{
	const struct kd_fake_module *m = &f->modules[module];
	const struct kd_w_load_symbols l = {
		.base = m->base,
		.process_id = UINT64_MAX,
		.checksum = m->checksum,
		.size_of_image = m->size,
		.unload = unload,
	};
	char path[96];
	size_t size;

	snprintf(path, sizeof(path), "\\SystemRoot\\System32\\%s", m->name);
	if (kd_target_load_symbols(&f->target, 0, &l, path, strlen(path), f->server.report,
				   sizeof(f->server.report), &size) != KD_OK)
		abort();
	f->owner = f->speaker = 0;
	f->has_exception = false;
	kd_server_report(&f->server, size, f->now);
}

static void push(struct kd_fake *f, uint64_t value)
{
	const char *const sp_name = f->word == 8 ? "rsp" : "esp";
	const uint64_t sp = kd_fake_get_register(f, 0, sp_name) - f->word;

	kd_fake_put_word(f, extend(f, sp), value);
	kd_fake_set_register(f, 0, sp_name, sp);
}

/* As the clock interrupt does: call the break-in instruction, with the status in its register. */
static void break_with_status(struct kd_fake *f, uint32_t status)
{
	const char *const argument = f->word == 8 ? "rcx" : "eax";

	push(f, kd_fake_get_register(f, 0, pc_name(f)));
	push(f, kd_fake_get_register(f, 0, argument));
	kd_fake_set_register(f, 0, argument, status);
	kd_fake_go_to(f, 0, f->break_instruction);
}

/* --- what the kernel does --- */

static void say(struct kd_fake *f, const char *text)
{
	size_t size, taken;

	if (!f->debugger_present)
		return;
	if (kd_target_print(&f->target, 0, text, strlen(text), f->server.reply,
			    sizeof(f->server.reply), &size, &taken) != KD_OK ||
	    kd_server_print(&f->server, size, f->now) != KD_OK)
		abort();
}

static void ask(struct kd_fake *f, const char *prompt)
{
	size_t size;

	if (kd_target_prompt(&f->target, 0, prompt, strlen(prompt), sizeof(f->answer) - 1,
			     f->server.report, sizeof(f->server.report), &size) != KD_OK ||
	    kd_server_ask(&f->server, KD_PACKET_DEBUG_IO, size, f->now) != KD_OK)
		abort();
}

static void create_file(struct kd_fake *f, const char *name)
{
	uint16_t wide[256];
	size_t n = 0, size;

	while (name[n] && n < 255) {
		wide[n] = (uint8_t)name[n];
		n++;
	}
	if (kd_target_file_create(wide, n, f->server.report, sizeof(f->server.report), &size) !=
		    KD_OK ||
	    kd_server_ask(&f->server, KD_PACKET_FILE_IO, size, f->now) != KD_OK)
		abort();
}

static void command(struct kd_fake *f, const char *text)
{
	size_t size;

	if (kd_target_command_string(&f->target, 0, "fake", 4, text, strlen(text), f->server.report,
				     sizeof(f->server.report), &size) != KD_OK)
		abort();
	f->owner = f->speaker = 0;
	f->has_exception = false;
	kd_server_report(&f->server, size, f->now);
}

static void bugcheck(struct kd_fake *f)
{
	f->n_bugchecks++;
	say(f, "\n*** Fatal System Error: 0x000000e2\n"
	       "                       (0x0000000000000000,0x0000000000000000,"
	       "0x0000000000000000,0x0000000000000000)\n\n");
	break_with_status(f, STATUS_BUGCHECK);
}

static void unload(struct kd_fake *f, size_t module)
{
	struct kd_fake_module *m = &f->modules[module];

	if (m->is_listed) {
		const uint64_t next = kd_fake_get_word(f, m->entry);
		const uint64_t prev = kd_fake_get_word(f, m->entry + f->word);

		kd_fake_put_word(f, extend(f, prev), next);
		kd_fake_put_word(f, extend(f, next) + f->word, prev);
		m->is_listed = false;
	}
	load_symbols(f, module, true);
}

static void restart_notice(struct kd_fake *f)
{
	const struct kd_w_load_symbols l = { .base = UINT64_MAX, .unload = 1 };
	size_t size;

	if (kd_target_load_symbols(&f->target, 0, &l, NULL, 0, f->server.report,
				   sizeof(f->server.report), &size) != KD_OK)
		abort();
	f->owner = f->speaker = 0;
	f->has_exception = false;
	kd_server_report(&f->server, size, f->now);
}

static void do_task(struct kd_fake *f)
{
	const struct kd_fake_task *task = &f->tasks[f->task_head];

	f->task_head = (f->task_head + 1) % KD_FAKE_N_TASKS;
	f->n_tasks--;
	switch (task->kind) {
	case KD_FAKE_PRINT: say(f, task->text); break;
	case KD_FAKE_PROMPT: ask(f, task->text); break;
	case KD_FAKE_LOAD: load_symbols(f, task->module, false); break;
	case KD_FAKE_UNLOAD: unload(f, task->module); break;
	case KD_FAKE_COMMAND: command(f, task->text); break;
	case KD_FAKE_BUGCHECK: bugcheck(f); break;
	case KD_FAKE_CREATE_FILE: create_file(f, task->text); break;
	case KD_FAKE_RESTART: restart_notice(f); break;
	}
}

/* --- events --- */

static bool is_restart_notice(const struct kd_fake *f)
{
	return kd_get32(f->server.report) == KD_STATE_LOAD_SYMBOLS &&
	       kd_get64(f->server.report + 40) == UINT64_MAX;
}

static void on_continue(struct kd_fake *f, const struct kd_server_event *e)
{
	const bool is_handled = e->action.continue_status >> 31 == 0;

	f->debugger_present = !e->debugger_is_gone;
	if (f->speaker != f->owner) {
		report_own(f); /* the word goes back to who stopped */
		return;
	}
	if (is_restart_notice(f)) {
		f->restart_wanted = true;
		return;
	}
	/* Load symbols and command strings are no exceptions. */
	if (f->has_exception && !is_handled)
		not_handled(f);
	else
		f->has_exception = false;
}

static void on_answer(struct kd_fake *f, const struct kd_server_event *e)
{
	struct kd_target_file_answer file;
	const uint8_t *text;
	size_t size;

	if (kd_target_prompt_answer(e->payload, e->size, sizeof(f->answer) - 1, &text, &size) ==
	    KD_OK) {
		memcpy(f->answer, text, size);
		f->answer[size] = 0;
	} else if (kd_target_file_answer(KD_FILE_CREATE, e->payload, e->size, &file) == KD_OK) {
		f->file_status = file.status;
	}
}

static void on_switch(struct kd_fake *f, uint16_t processor)
{
	const struct kd_w_exception wake = { .code = (uint32_t)KD_NT_WAKE_SYSTEM_DEBUGGER,
					     .first_chance = 1 };

	if (processor == f->owner)
		report_own(f);
	else
		report_exception(f, processor, &wake);
}

static void on_event(struct kd_fake *f, const struct kd_server_event *e)
{
	switch (e->kind) {
	case KD_SERVER_CONTINUE: on_continue(f, e); break;
	case KD_SERVER_SWITCH: on_switch(f, e->action.processor); break;
	case KD_SERVER_REBOOT: f->restart_wanted = true; break;
	case KD_SERVER_BUGCHECK: kd_fake_do(f, KD_FAKE_BUGCHECK, NULL); break;
	case KD_SERVER_BREAK_IN:
		f->debugger_present = true;
		break_with_status(f, STATUS_CONTROL_C);
		break;
	case KD_SERVER_ANSWER: on_answer(f, e); break;
	case KD_SERVER_GONE:
		f->debugger_present = false;
		f->n_gone++;
		break;
	case KD_SERVER_NONE: break;
	}
}

static bool take_events(struct kd_fake *f)
{
	struct kd_server_event e;
	bool any = false;

	while (kd_server_next_event(&f->server, &e)) {
		on_event(f, &e);
		any = true;
	}
	return any;
}

void kd_fake_feed(struct kd_fake *f, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t done = 0;

	f->now = now;
	while (done < size) {
		done += kd_server_feed(&f->server, bytes + done, size - done, now);
		take_events(f);
	}
}

/* --- running --- */

static bool execute(struct kd_fake *f, uint16_t processor)
{
	struct kd_fake_processor *p = &f->processors[processor];
	const uint64_t before = f->n_instructions;

	for (int i = 0; i < KD_FAKE_SLICE && !p->is_halted; i++) {
		switch (kd_fake_execute(f, processor)) {
		case KD_FAKE_TRAP_NONE: break;
		case KD_FAKE_TRAP_HALT: p->is_halted = true; break;
		case KD_FAKE_TRAP_EXCEPTION: dispatch(f, processor); return true;
		}
	}
	return f->n_instructions != before;
}

bool kd_fake_run(struct kd_fake *f, uint64_t now)
{
	size_t n_out;
	bool any;

	f->now = now;
	if (now >= kd_server_deadline(&f->server))
		kd_server_timeout(&f->server, now);
	any = take_events(f);
	if (!kd_server_is_idle(&f->server))
		return any;
	/* The ACK of what asked for it goes out first. */
	if (f->restart_wanted) {
		if (!kd_server_next_output(&f->server, &n_out))
			kd_fake_restart(f, now);
		return true;
	}
	if (kd_server_take_break(&f->server)) {
		break_with_status(f, STATUS_CONTROL_C);
	} else if (f->n_tasks) {
		do_task(f);
		return true;
	}
	/* In turns, or the first would stop always before the others run. */
	for (uint16_t i = 0; i < f->config.n_processors && kd_server_is_idle(&f->server); i++) {
		any = execute(f, f->next_processor) || any;
		f->next_processor = (uint16_t)((f->next_processor + 1) % f->config.n_processors);
	}
	return any;
}

const uint8_t *kd_fake_next_output(struct kd_fake *f, size_t *size_ret)
{
	return kd_server_next_output(&f->server, size_ret);
}

void kd_fake_output_done(struct kd_fake *f, size_t size, uint64_t now)
{
	kd_server_output_done(&f->server, size, now);
}

uint64_t kd_fake_deadline(const struct kd_fake *f)
{
	return kd_server_deadline(&f->server);
}

bool kd_fake_is_stopped(const struct kd_fake *f)
{
	return f->server.state == KD_SERVER_STOPPED;
}
