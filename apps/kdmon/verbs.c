/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/kd/text.h"
#include "apps/kdmon/client.h"
#include "apps/kdmon/launch.h"
#include "apps/kdmon/show.h"

enum { ASK_MS = 10000 };

#define NO_MONITOR                                                                          \
	"no monitor runs: start it with `kdmon serve`, or for good with `systemctl --user " \
	"enable --now kdmon`"

static bool is_ok(json_t *answer)
{
	return json_is_true(json_object_get(answer, "ok"));
}

/* --- by the monitor if there is one, else by ourselves --- */

json_t *verb_list(const struct settings *settings)
{
	struct monitor_client *c = monitor_connect();
	struct kd_error err = { 0 };
	struct kd_vm_list *list;
	json_t *answer;
	enum kd_status s;

	if (c) {
		answer = monitor_ask(c, "list", json_object(), ASK_MS);
		monitor_close(c);
		return answer;
	}
	s = settings_list(settings, &list, &err);
	if (s != KD_OK)
		return show_error(s, &err);
	answer = show_list(list);
	json_object_set_new(answer, "ok", json_true());
	kd_vm_list_destroy(list);
	return answer;
}

static json_t *look_ourselves(const struct settings *settings, const char *name)
{
	struct kd_error err = { 0 };
	struct kd_vm_list *list;
	const struct kd_vm *vm;
	json_t *answer;
	enum kd_status s = settings_list(settings, &list, &err);

	if (s != KD_OK)
		return show_error(s, &err);
	s = kd_vm_list_find(list, name, &vm, &err);
	if (s == KD_OK) {
		answer = show_ok();
		json_object_set_new(answer, "vm", show_vm(vm));
	} else {
		answer = show_error(s, &err);
	}
	kd_vm_list_destroy(list);
	return answer;
}

json_t *verb_look(const struct settings *settings, const char *name)
{
	struct monitor_client *c = monitor_connect();
	json_t *answer;

	if (!c)
		return look_ourselves(settings, name);
	answer = monitor_ask(c, "status", json_pack("{s:s}", "vm", name), ASK_MS);
	monitor_close(c);
	return answer;
}

/* Only the monitor can do that. Takes the reference. */
static json_t *ask_monitor(const char *op, json_t *request)
{
	struct monitor_client *c = monitor_connect();
	json_t *answer;

	if (!c || !request) {
		json_decref(request);
		monitor_close(c);
		return request ? show_failure(KD_E_NOT_CONNECTED, NO_MONITOR)
			       : show_failure(KD_E_INVALID, "a name is not UTF-8");
	}
	answer = monitor_ask(c, op, request, ASK_MS);
	monitor_close(c);
	return answer;
}

/* --- list, status --- */

static json_t *run_list(const struct verb_call *call)
{
	return verb_list(call->settings);
}

static json_t *run_status(const struct verb_call *call)
{
	return verb_look(call->settings, call->word[0]);
}

static void show_list_text(FILE *to, json_t *answer, const struct verb_call *call)
{
	(void)call;
	show_table(to, answer);
}

static void show_status_text(FILE *to, json_t *answer, const struct verb_call *call)
{
	(void)call;
	show_details(to, json_object_get(answer, "vm"));
}

/* --- attach --- */

/* An endpoint with a key is not shown: kd knows it by the machine's name. */
static const char *template_of(const struct verb_call *call, const char *endpoint)
{
	if (call->command)
		return call->command;
	if (call->settings->config.attach)
		return call->settings->config.attach;
	return strncmp(endpoint, "net:", 4) == 0 ? "kd {vm}" : LAUNCH_DEFAULT;
}

static json_t *refuse_attach(json_t *vm)
{
	json_t *debugger = json_object_get(vm, "debugger"), *proxy = json_object_get(vm, "proxy");
	const char *kind = show_text(debugger, "kind");
	const char *obstacle = json_string_value(
		json_array_get(json_object_get(vm, "obstacles"), 0));
	json_int_t pid = json_integer_value(json_object_get(debugger, "pid"));

	if (!*show_text(vm, "endpoint"))
		return show_failure(KD_E_NOT_FOUND, "%s: %s", show_text(vm, "name"),
				    obstacle ? obstacle : "it has no debug port");
	if (strcmp(kind, "session") == 0 || strcmp(kind, "other") == 0)
		return show_failure(KD_E_EXISTS,
				    "%s (pid %" JSON_INTEGER_FORMAT
				    ") is attached to %s already: end it first. Behind a proxy "
				    "(kdmon proxy %s) "
				    "debuggers can take turns",
				    *show_text(debugger, "program") ? show_text(debugger, "program")
								    : "another program",
				    pid, show_text(vm, "name"), show_text(vm, "name"));
	if (json_is_true(json_object_get(proxy, "has_client")))
		return show_failure(KD_E_EXISTS,
				    "pid %" JSON_INTEGER_FORMAT
				    " is attached to the proxy of %s already: end it first",
				    json_integer_value(json_object_get(proxy, "client_pid")),
				    show_text(vm, "name"));
	return NULL;
}

/* In the foreground: it has our terminal. */
static json_t *run_debugger(const struct verb_call *call, json_t *vm)
{
	char message[400] = "";
	char **words = launch_words(template_of(call, show_text(vm, "endpoint")),
				    show_text(vm, "name"), show_text(vm, "endpoint"), message,
				    sizeof(message));
	pid_t pid = words ? launch_start(words, false, message, sizeof(message)) : -1;
	int status = 0;
	json_t *o;

	launch_free(words);
	if (pid < 0)
		return show_failure(KD_E_IO, "%s", message);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	o = WIFEXITED(status) && WEXITSTATUS(status) == 0
		    ? show_ok()
		    : show_failure(
			      KD_E_IO, "the debugger ended with status %d",
			      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	json_object_set_new(
		o, "exit_status",
		json_integer(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
	return o;
}

static const char *check_attach(const struct verb_call *call)
{
	return call->n_words > 1 && strcmp(call->word[1], "off") != 0
		       ? "usage: kdmon attach VM, or kdmon attach VM off"
		       : NULL;
}

static json_t *run_attach(const struct verb_call *call)
{
	json_t *answer, *refusal, *vm;
	bool is_off = call->n_words > 1 && strcmp(call->word[1], "off") == 0;

	if (is_off)
		return ask_monitor("attach", json_pack("{s:s}", "vm", call->word[0]));
	if (call->when_stopped)
		return ask_monitor("attach", json_pack("{s:s, s:s}", "vm", call->word[0], "command",
						       template_of(call, "")));
	answer = verb_look(call->settings, call->word[0]);
	if (!is_ok(answer))
		return answer;
	vm = json_object_get(answer, "vm");
	refusal = refuse_attach(vm);
	if (!refusal)
		refusal = run_debugger(call, vm);
	json_decref(answer);
	return refusal;
}

/* --- break --- */

/* No monitor is there. */
static json_t *break_session(const struct kd_vm *vm)
{
	json_t *failure = show_cannot_stop(vm);
	struct kd_error err = { 0 };
	enum kd_status s;

	if (failure)
		return failure;
	s = kd_vm_break_in(vm, &err);
	if (s == KD_E_NOT_CONNECTED)
		return show_failure(s,
				    "no session of OpenKD holds %s: attach one (kd %s), or start "
				    "`kdmon serve`, which stops it by itself",
				    vm->name, vm->name);
	return s == KD_OK ? show_ok() : show_error(s, &err);
}

static json_t *run_break(const struct verb_call *call)
{
	struct monitor_client *c = monitor_connect();
	struct kd_error err = { 0 };
	struct kd_vm_list *list;
	const struct kd_vm *vm;
	json_t *answer;
	enum kd_status s;

	if (c) {
		answer = monitor_ask(c, "break", json_pack("{s:s}", "vm", call->word[0]), ASK_MS);
		monitor_close(c);
		return answer;
	}
	s = settings_list(call->settings, &list, &err);
	if (s != KD_OK)
		return show_error(s, &err);
	s = kd_vm_list_find(list, call->word[0], &vm, &err);
	answer = s == KD_OK ? break_session(vm) : show_error(s, &err);
	kd_vm_list_destroy(list);
	return answer;
}

/* Without a session: it stands there, and the next one has to know. */
static void show_break(FILE *to, json_t *answer, const struct verb_call *call)
{
	const char *vm = call->word[0];
	json_t *proxy = json_object_get(answer, "proxy");

	if (proxy && !json_is_true(json_object_get(proxy, "has_client")))
		fprintf(to,
			"%s is told to stop, and waits for a debugger (kd %s); kdmon resume %s "
			"lets it "
			"go on\n",
			vm, vm, vm);
}

/* --- log, trace, proxy --- */

/* The monitor has another folder. */
static char *absolute(const char *path)
{
	char folder[PATH_MAX];
	struct text t = TEXT_INIT;

	if (path[0] != '/' && getcwd(folder, sizeof(folder)))
		text_printf(&t, "%s/", folder);
	text_add(&t, path);
	return text_take(&t);
}

static int on_or_off(const char *word)
{
	return !strcmp(word, "on") ? 1 : !strcmp(word, "off") ? 0 : -1;
}

static const char *check_log(const struct verb_call *call)
{
	const char *f = call->format;

	if (on_or_off(call->word[1]) < 0)
		return "usage: kdmon log VM on, or kdmon log VM off";
	if (f && strcmp(f, "text") != 0 && strcmp(f, "json") != 0 && strcmp(f, "pcapng") != 0)
		return "--format is text, json or pcapng";
	return NULL;
}

static json_t *run_log(const struct verb_call *call)
{
	int on = on_or_off(call->word[1]);
	char *path = call->output ? absolute(call->output) : NULL;
	json_t *request = json_pack("{s:s, s:b, s:s*, s:s*}", "vm", call->word[0], "on", on == 1,
				    "format", call->format, "path", path);

	free(path);
	return ask_monitor("log", request);
}

static void show_log(FILE *to, json_t *answer, const struct verb_call *call)
{
	const char *path = show_text(answer, "path");

	if (on_or_off(call->word[1]) == 1)
		fprintf(to, "logging to %s\n", path);
	else if (*path)
		fprintf(to, "the log is complete: %s\n", path);
	else
		fprintf(to, "nothing was logged, and no file is left\n");
}

static json_t *run_trace(const struct verb_call *call)
{
	bool is_off = strcmp(call->word[2], "off") == 0;
	char *path = is_off ? NULL : absolute(call->word[2]);
	json_t *request = json_pack("{s:s, s:s, s:s*}", "vm", call->word[0], "prefix",
				    call->word[1], "path", path);

	free(path);
	return ask_monitor("trace", request);
}

static json_t *run_proxy(const struct verb_call *call)
{
	if (call->n_words > 1 && strcmp(call->word[1], "off") == 0)
		return ask_monitor("unproxy", json_pack("{s:s}", "vm", call->word[0]));
	return ask_monitor(
		"proxy", json_pack("{s:s, s:s*, s:b, s:b}", "vm", call->word[0], "endpoint",
				   call->n_words > 1 ? call->word[1] : NULL, "fast", call->is_fast,
				   "keep_stopped", call->keeps_stopped));
}

static void show_proxy(FILE *to, json_t *answer, const struct verb_call *call)
{
	json_t *proxy = json_object_get(answer, "proxy");

	if (proxy)
		fprintf(to, "%s: debuggers attach to %s\n", call->word[0],
			show_text(proxy, "endpoint"));
	else
		fprintf(to, "%s: no proxy any more\n", call->word[0]);
}

/* --- the machine --- */

static json_t *act(const struct verb_call *call, enum kd_vm_action action)
{
	struct kd_error err = { 0 };
	struct kd_vm_list *list;
	const struct kd_vm *vm;
	enum kd_status s = settings_list(call->settings, &list, &err);

	if (s != KD_OK)
		return show_error(s, &err);
	s = kd_vm_list_find(list, call->word[0], &vm, &err);
	if (s == KD_OK)
		s = kd_vm_do(vm, action, call->word[1], 0, &err);
	kd_vm_list_destroy(list);
	return s == KD_OK ? show_ok() : show_error(s, &err);
}

static json_t *run_pause(const struct verb_call *call)
{
	return act(call, KD_VM_PAUSE);
}

/* Stopped by a debugger that is there: only that one can let it go on. NULL: it is not. */
static json_t *refuse_resume(json_t *vm)
{
	json_t *debugger = json_object_get(vm, "debugger"), *proxy = json_object_get(vm, "proxy");
	bool is_behind = json_is_true(json_object_get(proxy, "has_client"));
	bool is_stopped = strcmp(show_text(vm, "session_state"), "stopped") == 0 ||
			  (is_behind && json_is_true(json_object_get(proxy, "is_stopped")));
	json_t *pid = is_behind ? json_object_get(proxy, "client_pid")
				: json_object_get(debugger, "pid");

	if (!is_stopped)
		return NULL;
	return show_failure(KD_E_EXISTS,
			    "%s stands in its debugger (pid %" JSON_INTEGER_FORMAT
			    "): `g` there lets it go on",
			    show_text(vm, "name"), json_integer_value(pid));
}

/* Its processors, if they are paused; else, what `break` stopped. */
static json_t *run_resume(const struct verb_call *call)
{
	json_t *seen = verb_look(call->settings, call->word[0]), *answer = NULL;
	json_t *vm = json_object_get(seen, "vm"), *proxy = json_object_get(vm, "proxy");
	bool is_paused = strcmp(show_text(vm, "state"), "paused") == 0;
	bool waits = json_is_object(proxy) && !json_is_true(json_object_get(proxy, "has_client")) &&
		     (json_is_true(json_object_get(proxy, "is_stopped")) ||
		      json_is_true(json_object_get(proxy, "is_held")));

	if (!is_ok(seen))
		return seen;
	if (!is_paused)
		answer = refuse_resume(vm);
	if (!answer && (is_paused || !waits))
		answer = act(call, KD_VM_RESUME);
	if (waits && (!answer || is_ok(answer))) {
		json_decref(answer);
		answer = ask_monitor("resume", json_pack("{s:s}", "vm", call->word[0]));
	}
	json_decref(seen);
	return answer;
}

static json_t *run_reset(const struct verb_call *call)
{
	return act(call, KD_VM_RESET);
}

static json_t *run_snapshot(const struct verb_call *call)
{
	return act(call, KD_VM_SNAPSHOT);
}

static json_t *run_revert(const struct verb_call *call)
{
	return act(call, KD_VM_REVERT);
}

static void add_name(void *context, const char *name)
{
	json_t *value = json_string(name);

	json_array_append_new(context, value ? value : json_string("?"));
}

static json_t *run_snapshots(const struct verb_call *call)
{
	struct kd_error err = { 0 };
	struct kd_vm_list *list;
	const struct kd_vm *vm;
	json_t *names = json_array(), *answer;
	enum kd_status s = settings_list(call->settings, &list, &err);

	if (s == KD_OK) {
		s = kd_vm_list_find(list, call->word[0], &vm, &err);
		if (s == KD_OK)
			s = kd_vm_snapshots(vm, add_name, names, 0, &err);
		kd_vm_list_destroy(list);
	}
	answer = s == KD_OK ? show_ok() : show_error(s, &err);
	json_object_set_new(answer, "snapshots", names);
	return answer;
}

static void show_snapshots(FILE *to, json_t *answer, const struct verb_call *call)
{
	json_t *row;
	size_t i;

	(void)call;
	json_array_foreach(json_object_get(answer, "snapshots"), i, row)
		fprintf(to, "%s\n", json_string_value(row));
}

/* clang-format off */
const struct verb verbs[] = {
	{ "list", "", 0, 0,
	  "All machines: name, where they were found, state, who debugs them, packets, endpoint.",
	  run_list, show_list_text, NULL },
	{ "status", "VM", 1, 1,
	  "Everything about one, and what is in the way of debugging it.",
	  run_status, show_status_text, NULL },
	{ "attach", "VM [off]", 1, 2,
	  "Start a debugger on it, here and now (--command, else `attach` of the configuration file, "
	  "else kd). With --when-stopped: the monitor starts it when the machine stops and no "
	  "debugger is there; `off` ends that.",
	  run_attach, NULL, check_attach },
	{ "break", "VM", 1, 1,
	  "Stop the machine at once, by way of its session or proxy; the monitor makes a proxy if there "
	  "is none. Without a debugger it stays stopped until one comes, or `resume`.",
	  run_break, show_break, NULL },
	{ "log", "VM on|off", 2, 2,
	  "Log all packets that pass its proxy (one is made if need be): --format, --output.",
	  run_log, show_log, check_log },
	{ "trace", "VM PREFIX FILE|off", 3, 3,
	  "Append what it prints and begins with PREFIX (\"\": all) to FILE.",
	  run_trace, NULL, NULL },
	{ "proxy", "VM [ENDPOINT|off]", 1, 2,
	  "Stand between the machine and debuggers: they attach to ENDPOINT (unix-listen:PATH, "
	  "tcp-listen:HOST:PORT, pty:; else a socket in the runtime folder). --fast: over the ring in "
	  "the guest's RAM as soon as there is one. `off` ends it.",
	  run_proxy, show_proxy, NULL },
	{ "pause", "VM", 1, 1, "Let its processors stand still.", run_pause, NULL, NULL },
	{ "resume", "VM", 1, 1, "Let them go on, and what `break` stopped.", run_resume, NULL, NULL },
	{ "reset", "VM", 1, 1, "As by the machine's button.", run_reset, NULL, NULL },
	{ "snapshot", "VM NAME", 2, 2, "Take a snapshot.", run_snapshot, NULL, NULL },
	{ "revert", "VM NAME", 2, 2, "Go back to a snapshot; the debugger stays attached.",
	  run_revert, NULL, NULL },
	{ "snapshots", "VM", 1, 1, "The names of its snapshots.", run_snapshots, show_snapshots, NULL },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL, NULL },
};
/* clang-format on */

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
