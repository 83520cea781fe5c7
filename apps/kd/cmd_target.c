/* SPDX-License-Identifier: MIT */
/* vertarget version .lastevent .bugcheck .reboot .crash */
#include <string.h>
#include <time.h>

#include <openkd/error.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = { { 0x8664, "x64" }, { 0x14C, "x86" }, { 0xAA64, "ARM64" } };

static const char *machine_name(uint16_t machine)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(machines); i++)
		if (machines[i].machine == machine)
			return machines[i].name;
	return "unknown machine";
}

static void show_times(struct console *c, const struct kd_shared_data *shared)
{
	char text[96];

	if (!shared->system_time)
		return;
	value_filetime(text, sizeof(text), shared->system_time);
	out_printf(&c->out, "Debug session time: %s\n", text);
	value_interval(text, sizeof(text), shared->interrupt_time);
	out_printf(&c->out, "System Uptime: %s\n", text);
}

/* "Windows 10.0 Kernel Version 19041": major.minor only where the target tells it. */
static void show_version(struct console *c, const struct kd_target_info *info,
			 const struct kd_shared_data *shared)
{
	uint32_t n = kd_session_n_processors(c->session);

	out_printf(&c->out, "Windows ");
	if (shared->nt_major)
		out_printf(&c->out, "%u.%u ", shared->nt_major, shared->nt_minor);
	out_printf(&c->out, "Kernel Version %u ", info->build);
	if (n > 1)
		out_printf(&c->out, "MP (%u procs) ", n);
	else
		out_printf(&c->out, "UP ");
	out_printf(&c->out, "%s %s\n", (info->major & 0xff) == 0xC ? "Checked" : "Free",
		   machine_name(info->machine));
}

static void show_target(struct console *c, const struct kd_target_info *info)
{
	struct kd_shared_data shared; /* zeros where the target does not tell */

	kd_session_shared_data(c->session, &shared, NULL);
	show_version(c, info, &shared);
	if (info->build_lab[0])
		out_printf(&c->out, "Built by: %s\n", info->build_lab);
	out_printf(&c->out, "Kernel base = 0x%s PsLoadedModuleList = 0x%s\n",
		   addr(c, info->kernel_base).s, addr(c, info->loaded_module_list).s);
	show_times(c, &shared);
}

void console_describe_target(struct console *c)
{
	struct kd_target_info info;

	if (kd_session_target(c->session, &info, NULL) == KD_OK)
		show_target(c, &info);
}

static enum kd_status run_vertarget(struct call *call)
{
	struct kd_target_info info;
	json_t *o = call_object(call);
	enum kd_status s = kd_session_target(call->session, &info, call->err);

	if (s != KD_OK)
		return s;
	show_target(call->con, &info);
	data_string(o, "machine", machine_name(info.machine));
	data_integer(o, "build", info.build);
	data_bool(o, "is_checked", (info.major & 0xff) == 0xC);
	data_integer(o, "processors", kd_session_n_processors(call->session));
	data_integer(o, "pointer_size", info.pointer_size);
	data_integer(o, "protocol", info.protocol);
	data_address(o, "kernel_base", info.kernel_base);
	data_address(o, "loaded_module_list", info.loaded_module_list);
	data_address(o, "debugger_data", info.debugger_data);
	data_string(o, "build_lab", info.build_lab);
	return KD_OK;
}

static enum kd_status run_version(struct call *call)
{
	enum kd_status s = run_vertarget(call);

	out_printf(call->out, "kd (OpenKD) %s at %s\n", kd_library_version(),
		   kd_session_endpoint(call->session));
	return s;
}

static enum kd_status run_lastevent(struct call *call)
{
	const struct kd_stop *stop = &call->con->stop;
	json_t *o;

	if (!call->con->stopped_at_ns)
		return call_fail(call, KD_E_NOT_FOUND, "there was no event yet");
	out_printf(call->out, "Last event: ");
	if (stop->breakpoint_id >= 0)
		out_printf(call->out, "Hit breakpoint %d\n", stop->breakpoint_id);
	else if (stop->code)
		out_printf(call->out, "Exception %08x (%s chance) at %s\n", stop->code,
			   stop->first_chance ? "first" : "second",
			   addr(call->con, stop->exception_address).s);
	else
		out_printf(call->out, "stop at %s\n", addr(call->con, stop->pc).s);
	out_printf(call->out, "  processor %u, thread %s, %.1f s ago\n", stop->processor,
		   addr(call->con, stop->thread).s,
		   (double)(console_now_ns() - call->con->stopped_at_ns) / 1e9);
	o = call->wants_data ? console_stop_json(call->con) : NULL;
	call->data = o;
	return KD_OK;
}

static enum kd_status run_bugcheck(struct call *call)
{
	uint64_t v[5];
	json_t *o = call_object(call), *list;
	enum kd_status s = kd_session_bugcheck(call->session, v, call->err);

	if (s == KD_E_NOT_FOUND)
		return call_fail(call, s, "the target has not crashed");
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Bugcheck code %08X\nArguments %s %s %s %s\n", (unsigned)v[0],
		   addr(call->con, v[1]).s, addr(call->con, v[2]).s, addr(call->con, v[3]).s,
		   addr(call->con, v[4]).s);
	if (o) {
		data_address(o, "code", v[0]);
		list = json_array();
		for (unsigned i = 1; i < 5; i++)
			json_array_append_new(list, json_string(value_json(v[i]).s));
		json_object_set_new(o, "arguments", list);
	}
	return KD_OK;
}

static enum kd_status resumed(struct call *call, enum kd_status s)
{
	if (s == KD_OK)
		console_note_resumed(call->con);
	return s;
}

static enum kd_status run_reboot(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	return s == KD_OK ? resumed(call, kd_session_reboot(call->session, call->err)) : s;
}

static enum kd_status run_crash(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	return s == KD_OK ? resumed(call, kd_session_crash(call->session, call->err)) : s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "vertarget", "vertarget", "Show what the target is", "vertarget",
	  "target", CMD_STOPPED, WORDS_NONE, run_vertarget, NULL, NULL },
	{ "version", "version", "Show what the target and this debugger are", "version",
	  "target", CMD_STOPPED, WORDS_NONE, run_version, NULL, NULL },
	{ ".lastevent", ".lastevent", "Show why the target stopped last", ".lastevent",
	  "stop", 0, WORDS_NONE, run_lastevent, NULL, NULL },
	{ ".bugcheck", ".bugcheck", "Show code and arguments of the target's crash", ".bugcheck",
	  "bugcheck", CMD_STOPPED, WORDS_NONE, run_bugcheck, NULL, NULL },
	{ ".reboot", ".reboot", "Restart the target; breakpoints are kept and set again", ".reboot",
	  NULL, CMD_STOPPED | CMD_RESUMES | CMD_CHANGES, WORDS_NONE, run_reboot, NULL, NULL },
	{ ".crash", ".crash", "Make the target crash (bugcheck 0xE2)", ".crash",
	  NULL, CMD_STOPPED | CMD_RESUMES | CMD_CHANGES, WORDS_NONE, run_crash, NULL, NULL },
};
/* clang-format on */

FAMILY(family_target, "The target");
