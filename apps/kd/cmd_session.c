/* SPDX-License-Identifier: MIT */
/* .status .cache .kdresync .breakin .sleep .logopen .logappend .logclose q */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/serve.h"

typedef unsigned long long ull;

enum { SLEEP_MAX_MS = 24 * 3600 * 1000 };

static const char *const state_names[] = {
	[KD_SESSION_DISCONNECTED] = "disconnected",
	[KD_SESSION_CONNECTING] = "connecting",
	[KD_SESSION_RUNNING] = "running",
	[KD_SESSION_STOPPED] = "stopped",
	[KD_SESSION_RESYNC] = "resync",
};

/* clang-format off */
static const struct counter {
	const char *name;
	size_t offset;
	const char *help;
} counters[] = {
#define KD_X(field, help) { #field, offsetof(struct kd_session_counters, field), help }
	KD_X(requests, "requests answered (round trips)"),
	KD_X(retries, "requests issued again after a reset of the link"),
	KD_X(rx_bytes, "bytes received"),
	KD_X(tx_bytes, "bytes sent"),
	KD_X(rx_packets, "packets received"),
	KD_X(tx_packets, "packets sent"),
	KD_X(retransmits, "packets sent again"),
	KD_X(resends, "packets asked for again"),
	KD_X(resets, "resets of the link"),
	KD_X(checksum_errors, "packets with a wrong checksum"),
	KD_X(noise_bytes, "bytes outside of packets"),
	KD_X(stops, "stops"),
	KD_X(prints, "pieces of debug output"),
	KD_X(memory_hits, "bytes of memory served from this stop's cache"),
	KD_X(memory_misses, "bytes of memory fetched from the target"),
	KD_X(memory_direct, "bytes of memory read out of the VM's RAM"),
	KD_X(round_trip_ns_median, "nanoseconds of a round trip, median"),
	KD_X(round_trip_ns_p99, "nanoseconds of a round trip, 99th percentile"),
#undef KD_X
};
/* clang-format on */

static uint64_t counter_value(const struct kd_session_counters *n, const struct counter *c)
{
	uint64_t value;

	memcpy(&value, (const char *)n + c->offset, sizeof(value));
	return value;
}

static enum kd_status run_status(struct call *call)
{
	struct kd_session_counters n;
	json_t *o = call_object(call), *numbers = o ? json_object() : NULL;
	char why[1024];
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	kd_session_counters(call->session, &n);
	kd_session_describe(call->session, why, sizeof(why));
	out_printf(call->out, "%s: %s%s%s\n", kd_session_endpoint(call->session),
		   state_names[kd_session_state(call->session)], why[0] ? "; " : "", why);
	if (call->con->server)
		out_printf(call->out, "session socket: %s\n", server_path(call->con->server));
	for (size_t i = 0; i < APP_ARRAY_LEN(counters); i++) {
		out_printf(call->out, "%14llu  %s\n", (ull)counter_value(&n, &counters[i]),
			   counters[i].help);
		data_integer(numbers, counters[i].name, (long long)counter_value(&n, &counters[i]));
	}
	if (call->con->last.command)
		out_printf(call->out, "last command: %s: %llu round trips, %llu bytes, %.1f ms\n",
			   call->con->last.command, (ull)call->con->last.round_trips,
			   (ull)call->con->last.wire_bytes,
			   (double)call->con->last.elapsed_ns / 1e6);
	if (o) {
		data_string(o, "endpoint", kd_session_endpoint(call->session));
		data_string(o, "state", state_names[kd_session_state(call->session)]);
		data_string(o, "description", why);
		json_object_set_new(o, "counters", numbers);
	}
	return KD_OK;
}

static enum kd_status run_cache(struct call *call)
{
	struct kd_session_counters n;
	json_t *o = call_object(call);
	uint64_t all;
	enum kd_status s;

	if (args_take(&call->args, "flushall")) {
		kd_memory_flush(call->session);
		out_printf(call->out, "The cache is empty\n");
	}
	s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	kd_session_counters(call->session, &n);
	all = n.memory_hits + n.memory_misses;
	out_printf(call->out,
		   "What comes through KD is kept for this stop and dropped at every resume.\n"
		   "%14llu  bytes served from it (%llu %%)\n%14llu  bytes fetched from the target\n"
		   "%14llu  bytes read out of the VM's RAM\n%14llu  round trips\n",
		   (ull)n.memory_hits, (ull)(all ? n.memory_hits * 100 / all : 0),
		   (ull)n.memory_misses, (ull)n.memory_direct, (ull)n.requests);
	data_integer(o, "hit_bytes", (long long)n.memory_hits);
	data_integer(o, "miss_bytes", (long long)n.memory_misses);
	data_integer(o, "direct_bytes", (long long)n.memory_direct);
	data_integer(o, "round_trips", (long long)n.requests);
	return KD_OK;
}

/*
 * A command as if the target stood still. What it cannot have (registers, user addresses, anything
 * that changes something) it is refused by the engine.
 */
static enum kd_status run_live(struct call *call)
{
	struct console *c = call->con;
	struct call *outer = c->live;
	bool is_running = !c->is_stopped;
	char *text = args_rest(&call->args);
	json_t *o = call_object(call);
	enum kd_status s;

	if (!*text) {
		free(text);
		return call_fail(call, KD_E_SYNTAX,
				 "which command? .live dq nt!PsLoadedModuleList L2");
	}
	kd_session_allow_live(call->session, true);
	c->live = call;
	s = is_running ? kd_memory_is_reachable(call->session, call->err) : KD_OK;
	if (s == KD_OK && is_running)
		out_printf(call->out,
			   "(the target is running: what follows is no single moment)\n");
	if (s == KD_OK)
		s = console_run(c, text);
	c->live = outer;
	kd_session_allow_live(call->session, outer != NULL);
	data_bool(o, "is_running", is_running);
	if (o && !json_object_get(o, "data"))
		json_object_set_new(o, "data", json_null());
	free(text);
	return s;
}

static enum kd_status run_kdresync(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s == KD_OK)
		s = kd_session_resync(call->session, call->err);
	if (s == KD_OK)
		out_printf(call->out, "The link was restarted\n");
	return s;
}

static enum kd_status run_breakin(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	if (call->con->is_stopped)
		return call_fail(call, KD_E_INVALID, "the target is stopped already");
	kd_session_break_in(call->session);
	return KD_OK;
}

static enum kd_status run_sleep(struct call *call)
{
	uint64_t until;
	char word[24], *end;
	unsigned long ms;
	enum kd_status s;

	if (!args_word(&call->args, word, sizeof(word)))
		return call_fail(call, KD_E_SYNTAX, "how long? .sleep MILLISECONDS (decimal)");
	errno = 0;
	ms = strtoul(word, &end, 10);
	if (errno || *end || end == word || ms > SLEEP_MAX_MS)
		return call_fail(call, KD_E_SYNTAX, "'%s': milliseconds are 0 to %d", word,
				 SLEEP_MAX_MS);
	s = args_done(&call->args);
	until = console_now_ns() + (uint64_t)ms * 1000000;
	while (s == KD_OK) {
		uint64_t now = console_now_ns();

		if (now >= until)
			break;
		console_step(call->con, (int)((until - now + 999999) / 1000000));
		if (console_interrupted(call->con))
			s = call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	return s;
}

/* --- the log --- */

static enum kd_status close_log(struct call *call)
{
	struct out *o = call->out;
	int failed = o->log ? fclose(o->log) : 0;

	o->log = NULL;
	if (failed)
		return call_fail(call, KD_E_IO, "%s: %s", o->log_path, strerror(errno));
	return KD_OK;
}

static enum kd_status open_log(struct call *call, const char *mode)
{
	char *path = args_string(&call->args);
	enum kd_status s = args_done(&call->args);
	FILE *f;

	if (!path)
		path = app_strdup("dbgeng.log");
	if (s == KD_OK)
		s = close_log(call);
	f = s == KD_OK ? fopen(path, mode) : NULL;
	if (!f) {
		if (s == KD_OK)
			s = call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
		free(path);
		return s;
	}
	free(call->out->log_path);
	call->out->log_path = path;
	out_printf(call->out, "Opened log file '%s'\n", path);
	call->out->log = f;
	return KD_OK;
}

static enum kd_status run_logopen(struct call *call)
{
	return open_log(call, "we");
}

static enum kd_status run_logappend(struct call *call)
{
	return open_log(call, "ae");
}

static enum kd_status run_logclose(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	if (!call->out->log)
		return call_fail(call, KD_E_NOT_FOUND, "no log is open; .logopen FILE opens one");
	s = close_log(call);
	if (s == KD_OK)
		out_printf(call->out, "Closing open log file %s\n", call->out->log_path);
	return s;
}

static enum kd_status run_quit(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s == KD_OK)
		console_leave(call->con, EXIT_OK);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "q qq qd", "q", "End: breakpoints are removed and the target runs on", "q",
	  NULL, 0, WORDS_NONE, run_quit, NULL, NULL },
	{ ".status", ".status", "Show the connection's state and all counters", ".status",
	  "status", 0, WORDS_NONE, run_status, NULL, NULL },
	{ ".live", ".live COMMAND",
	  "Run a command that looks at memory while the target runs\n"
	  "For VMs of this machine whose RAM is read directly, and the kernel's addresses: d*, s, u, dt, "
	  "? poi(...). The target must have stopped once since it was attached to. What is read may be half of one moment and half of the next.",
	  ".live dq nt!PsLoadedModuleList L2", "live", CMD_LIVE, WORDS_COMMANDS, run_live, NULL, NULL },
	{ ".cache", ".cache [flushall]", "Show how much memory came from the cache; flushall: drop it",
	  ".cache flushall", "cache", 0, WORDS_NONE, run_cache, NULL, NULL },
	{ ".kdresync", ".kdresync", "Restart the link to a target that seems stuck", ".kdresync",
	  NULL, 0, WORDS_NONE, run_kdresync, NULL, NULL },
	{ ".breakin", ".breakin", "Stop the running target, as Ctrl-C does", ".breakin",
	  NULL, 0, WORDS_NONE, run_breakin, NULL, NULL },
	{ ".sleep", ".sleep MILLISECONDS", "Wait; what the target does meanwhile is shown", ".sleep 500",
	  NULL, 0, WORDS_NONE, run_sleep, NULL, NULL },
	{ ".logopen", ".logopen [FILE]", "Write everything into a file too (dbgeng.log)",
	  ".logopen /tmp/session.log", NULL, 0, WORDS_FILES, run_logopen, NULL, NULL },
	{ ".logappend", ".logappend [FILE]", "As .logopen, after what the file holds",
	  ".logappend /tmp/session.log", NULL, 0, WORDS_FILES, run_logappend, NULL, NULL },
	{ ".logclose", ".logclose", "Close the log", ".logclose",
	  NULL, 0, WORDS_NONE, run_logclose, NULL, NULL },
};
/* clang-format on */

FAMILY(family_session, "Session");
