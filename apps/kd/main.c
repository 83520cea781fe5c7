/* SPDX-License-Identifier: MIT */
/* kd: options, configuration, the session's life. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openkd/error.h>
#include <openkd/vm.h>

#include "apps/kd/config.h"
#include "apps/kd/console.h"
#include "apps/kd/decode.h"
#include "apps/kd/input.h"
#include "apps/kd/registers.h"
#include "apps/kd/serve.h"
#include "apps/kd/signals.h"
#include "apps/kd/split.h"

/* Everything a session is made from, once options, configuration and environment are weighed. */
struct plan {
	const char *endpoint;
	char *endpoint_owned, *symbol_path, *session_name;
	const struct config_target *target; /* NULL: by endpoint */
};

static int fail(int code, const char *text)
{
	fprintf(stderr, "kd: %s\n", text);
	return code;
}

/* --- where to --- */

/* $_NT_DEBUG_PORT names a port as WinDbg's -k does without its `com:port=`. */
static char *endpoint_from_environment(void)
{
	const char *port = getenv("_NT_DEBUG_PORT"), *baud = getenv("_NT_DEBUG_BAUD_RATE");
	struct text t = TEXT_INIT;

	if (!port || !*port)
		return NULL;
	if (strchr(port, ':')) {
		text_add(&t, port);
	} else {
		text_printf(&t, "com:port=%s", port);
		if (baud && *baud)
			text_printf(&t, ",baud=%s", baud);
	}
	return text_take(&t);
}

/* Its proxy's endpoint if kdmon holds the VM's own. */
static void prefer_proxy(struct plan *p, const struct kd_vm *vm)
{
	if (vm->debugger != KD_VM_DEBUGGER_RELAY)
		return;
	fprintf(stderr, "kd: attaching to the proxy of pid %ld (%s)\n", vm->debugger_pid,
		vm->endpoint);
	free(p->endpoint_owned);
	p->endpoint = p->endpoint_owned = app_strdup(vm->endpoint);
}

/* What kdmon shows of it and would make us wait in vain, before we wait. */
static void warn(const struct kd_vm *vm)
{
	for (size_t i = 0; i < vm->n_obstacles; i++)
		fprintf(stderr, "kd: %s: %s\n", vm->name, vm->obstacles[i]);
	if (vm->state == KD_VM_PAUSED)
		fprintf(stderr, "kd: %s is paused: nothing is heard of it until kdmon resume %s\n",
			vm->name, vm->name);
	else if (vm->state == KD_VM_CRASHED)
		fprintf(stderr, "kd: %s has crashed: nothing is heard of it until kdmon reset %s\n",
			vm->name, vm->name);
}

/* A VM of that name. False: it was said why not. */
static bool take_vm(struct plan *p, const char *name, const struct kd_vm_list *list,
		    const char *config_file)
{
	const struct kd_vm *vm;
	struct kd_error err = { 0 };
	enum kd_status s = kd_vm_list_find(list, name, &vm, &err);

	if (s != KD_OK) {
		fprintf(stderr, "kd: %s", err.text);
		if (s == KD_E_NOT_FOUND)
			fprintf(stderr,
				". Name an endpoint with -k (see kd --help), or add to %s\n"
				"[target %s]\nendpoint = com:pipe,port=/path/of/its/socket",
				config_file, name);
		fputc('\n', stderr);
		return false;
	}
	if (!vm->endpoint[0]) {
		fprintf(stderr, "kd: %s: %s\n", vm->name,
			vm->n_obstacles ? vm->obstacles[0] : "it has no debug port");
		return false;
	}
	warn(vm);
	p->endpoint = p->endpoint_owned = app_strdup(vm->endpoint);
	prefer_proxy(p, vm);
	return true;
}

static enum kd_status list_vms(const struct config *config, struct kd_vm_list **list_ret,
			       struct kd_error *err)
{
	struct kd_vm_list_options o = KD_VM_LIST_OPTIONS_INIT;
	const char *words[CONFIG_CONNECTIONS_MAX];
	char *text = app_strdup(config->connections ? config->connections : "");
	struct kd_vm_target targets[CONFIG_TARGETS_MAX];
	enum kd_status s;

	for (size_t i = 0; i < config->n_targets; i++)
		if (config->targets[i].endpoint)
			targets[o.n_targets++] = (struct kd_vm_target){
				config->targets[i].name, config->targets[i].endpoint
			};
	o.targets = targets;
	o.connections = config->connections ? words : NULL;
	o.n_connections = config_connections(text, words);
	s = kd_vm_list_create(&o, list_ret, err);
	free(text);
	return s;
}

static bool find_target(struct plan *p, const struct options *o, const struct config *config,
			const char *config_file)
{
	struct kd_vm_list *list;
	struct kd_error err = { 0 };
	const struct kd_vm *vm;
	bool ok = true;

	if (!o->target)
		return true;
	p->target = config_target(config, o->target);
	if (p->target && !p->target->endpoint && !o->endpoint) {
		fprintf(stderr, "kd: target '%s' of %s has no endpoint\n", o->target, config_file);
		return false;
	}
	p->endpoint = p->target ? p->target->endpoint : NULL;
	if (o->endpoint)
		return true;
	if (list_vms(config, &list, &err) != KD_OK) {
		fprintf(stderr, "kd: %s\n", err.text);
		return p->target;
	}
	if (!p->target) {
		ok = take_vm(p, o->target, list, config_file);
	} else if (kd_vm_list_find(list, o->target, &vm, NULL) == KD_OK) {
		warn(vm);
		prefer_proxy(p, vm);
	}
	kd_vm_list_destroy(list);
	return ok;
}

/* The target's folders before the default ones; -y replaces both. */
static char *join_symbol_path(const struct options *o, const struct config *config,
			      const struct config_target *target)
{
	const char *parts[] = { target ? target->symbol_path : NULL, config->symbol_path,
				getenv("_NT_SYMBOL_PATH") };
	struct text t = TEXT_INIT;

	if (o->symbol_path)
		return app_strdup(o->symbol_path);
	for (size_t i = 0; i < APP_ARRAY_LEN(parts); i++)
		if (parts[i] && *parts[i])
			text_printf(&t, "%s%s", t.size ? ";" : "", parts[i]);
	return text_take(&t);
}

static bool make_plan(struct plan *p, const struct options *o, const struct config *config,
		      const char *config_file)
{
	char name[64];

	if (!find_target(p, o, config, config_file))
		return false;
	if (o->endpoint)
		p->endpoint = o->endpoint;
	if (!p->endpoint)
		p->endpoint = p->endpoint_owned = endpoint_from_environment();
	if (!p->endpoint) {
		fail(0, "which target? kd -k ENDPOINT, or kd NAME of a VM or of the configuration "
			"file; see kd --help");
		return false;
	}
	p->symbol_path = join_symbol_path(o, config, p->target);
	server_name_from(o->target ? o->target : p->endpoint, name, sizeof(name));
	p->session_name = app_strdup(o->session_name ? o->session_name : name);
	if (!server_name_is_good(p->session_name)) {
		fail(0, "--session wants letters, digits, `-`, `_` and `.`, 48 at most");
		return false;
	}
	return true;
}

static void free_plan(struct plan *p)
{
	free(p->endpoint_owned);
	free(p->symbol_path);
	free(p->session_name);
}

/* --- what to run --- */

static bool push_text(struct console *c, const char *text, bool is_batch, bool is_echoed)
{
	struct job job = { .origin = JOB_STARTUP,
			   .text = app_strdup(text),
			   .is_batch = is_batch,
			   .is_echoed = is_echoed };

	return console_push_job(c, &job);
}

/* Comments and what prints itself are not shown before they run. */
static bool is_worth_an_echo(const char *line)
{
	line = split_skip_space(line);
	return *line && *line != '*' && strncmp(line, "$$", 2) != 0 &&
	       !split_is_word(line, ".echo") && !split_is_word(line, ".printf");
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct text t = TEXT_INIT;
	char bytes[4096];
	size_t n;

	if (!f)
		return NULL;
	while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		text_append(&t, bytes, n);
	if (ferror(f))
		text_free(&t);
	fclose(f);
	return text_take(&t);
}

static bool push_script(struct console *c, const char *path, bool is_batch)
{
	char *text = read_file(path), *line, *rest;

	if (!text) {
		fprintf(stderr, "kd: -cf %s: %s\n", path, strerror(errno));
		return false;
	}
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		line[strcspn(line, "\r")] = '\0';
		if (*split_skip_space(line) &&
		    !push_text(c, line, is_batch, !c->options->is_json && is_worth_an_echo(line))) {
			fprintf(stderr, "kd: -cf %s: more than %d lines\n", path, JOBS_MAX);
			free(text);
			return false;
		}
	}
	if (c->options->script_repeats) {
		struct text again = TEXT_INIT;

		text_printf(&again, "$$><%s", path);
		c->startup_text = text_take(&again);
	}
	free(text);
	return true;
}

/* `q` at the end of -c: the caller expects the program to end there, failed or not. */
static bool ends_in_quit(const char *text)
{
	bool is_quit = false;

	while (text && *(text += strspn(text, " \t\r\n;"))) {
		struct command_match m;

		command_lookup(text, &m);
		is_quit = m.command && !strcmp(m.command->names, "q qq qd");
		text = m.command ? command_args_end(m.command, m.args) : split_command_end(text);
	}
	return is_quit;
}

static bool push_startup(struct console *c, const struct config *config,
			 const struct config_target *target, bool is_batch)
{
	const struct options *o = c->options;

	if (config->startup && !push_text(c, config->startup, is_batch, false))
		return false;
	if (target && target->startup && !push_text(c, target->startup, is_batch, false))
		return false;
	if (o->script && !push_script(c, o->script, is_batch))
		return false;
	for (size_t i = 0; i < o->n_commands; i++)
		if (!push_text(c, o->commands[i], is_batch, false))
			return false;
	return true;
}

/* --- the session --- */

static struct kd_session_options session_options(const struct options *o, const struct plan *p,
						 bool is_batch)
{
	struct kd_session_options so = KD_SESSION_OPTIONS_INIT;

	so.symbol_path = p->symbol_path;
	so.record_path = o->record;
	so.request_timeout_ms = o->timeout_ms;
	so.initial_break = o->initial_break || is_batch || o->n_commands || o->script;
	so.break_on_first_load = o->break_on_first_load;
	so.read_only = o->is_read_only;
	so.no_fifo_fix = o->no_fifo_fix;
	/* What is read out of RAM does not pass the recorder: the recording could not be replayed.
	 */
	if (o->memory ? strcmp(o->memory, "kd") == 0 : o->record != NULL)
		so.memory_road = KD_MEMORY_BY_KD;
	if (o->memory && strcmp(o->memory, "ram") == 0)
		so.memory_road = KD_MEMORY_BY_RAM;
	return so;
}

static void start_server(struct console *c, const struct plan *p)
{
	char message[200];

	if (strcmp(p->session_name, "none") == 0)
		return;
	c->server = server_create(c, p->session_name, message, sizeof(message));
	if (c->server)
		console_verbose(c, "session socket: %s", server_path(c->server));
	else
		console_verbose(c, "no session socket: %s", message);
}

static void init_console(struct console *c, const struct options *o, const struct config *config)
{
	*c = (struct console){ .options = o,
			       .pointer_size = 8,
			       .register_mask = REGISTERS_DEFAULT,
			       .steps_show_registers = true,
			       .jobs = app_alloc(JOBS_MAX * sizeof(struct job)) };
	out_init(&c->out, stdout,
		 strcmp(o->color, "auto") == 0 && config->color ? config->color : o->color);
	c->out.is_silent = o->is_json;
	c->report = o->is_json ? result_print_json : NULL;
}

static void free_console(struct console *c)
{
	server_destroy(c->server);
	input_destroy(c->input);
	watch_destroy(c->watch);
	for (size_t i = 0; i < c->n_jobs; i++)
		console_free_job(&c->jobs[(c->first_job + i) % JOBS_MAX]);
	free(c->jobs);
	free(c->traffic.crash_pattern);
	free(c->traffic.crash_folder);
	for (size_t i = 0; i < FILTER_COMMANDS_MAX; i++)
		free(c->filter_commands[i].command);
	alias_clear(&c->aliases);
	free(c->noted_search);
	free(c->repeat_text);
	free(c->startup_text);
	free(c->last.command);
	out_close(&c->out);
}

static int serve_session(struct console *c, const struct plan *p)
{
	int code;

	c->input = input_create(c);
	start_server(c, p);
	if (!c->is_batch && !c->options->is_json)
		out_printf(&c->out, "Waiting for the target at %s (Ctrl-C gives up)\n",
			   kd_session_endpoint(c->session));
	code = console_main(c);
	signals_set_session(NULL);
	return code;
}

static int open_session(struct console *c, const struct plan *p)
{
	struct kd_session_options so = session_options(c->options, p, c->is_batch);
	struct kd_error err = { 0 };
	int code;

	if (kd_session_create(p->endpoint, &so, &c->session, &err) != KD_OK) {
		fprintf(stderr, "kd: %s\n", err.text);
		return err.status == KD_E_SYNTAX ? EXIT_USAGE : EXIT_CONNECT;
	}
	if (c->options->record && so.memory_road != KD_MEMORY_BY_KD)
		fprintf(stderr,
			"kd: --record with --memory %s: what is read out of the VM's RAM is "
			"not in the recording, and a replay will not have it\n",
			c->options->memory);
	signals_set_session(c->session);
	c->watch = watch_create();
	code = c->watch ? serve_session(c, p) : fail(EXIT_CONNECT, "no thread to be had");
	return code;
}

static int debug(const struct options *o, const struct config *config, const struct plan *p)
{
	struct console *c = app_alloc(sizeof(*c));
	int code;

	init_console(c, o, config);
	c->is_batch = !isatty(STDIN_FILENO) ||
		      (o->n_commands && ends_in_quit(o->commands[o->n_commands - 1]));
	if (push_startup(c, config, p->target, c->is_batch)) {
		signals_start();
		code = open_session(c, p);
	} else {
		code = EXIT_USAGE;
	}
	free_console(c);
	kd_session_destroy(c->session);
	free(c);
	return code;
}

/* --- main --- */

static bool print_and_leave(const struct options *o)
{
	if (o->help)
		options_help(stdout);
	else if (o->version)
		printf("kd (OpenKD) %s\n", kd_library_version());
	else if (o->help_rst)
		options_help_rst(stdout);
	else if (o->help_commands)
		command_reference(stdout);
	else
		return false;
	return true;
}

static int debug_main(const struct options *o)
{
	struct config config = { 0 };
	struct plan plan = { 0 };
	char path[512] = "", message[800];
	int code = EXIT_USAGE;

	if (!o->config)
		config_path("XDG_CONFIG_HOME", ".config", "config", path, sizeof(path));
	if (!config_read(&config, o->config ? o->config : path, o->config != NULL, message,
			 sizeof(message)))
		fail(0, message);
	else if (make_plan(&plan, o, &config, o->config ? o->config : path))
		code = debug(o, &config, &plan);
	free_plan(&plan);
	config_free(&config);
	return code;
}

int main(int argc, char **argv)
{
	bool decodes = argc > 1 && strcmp(argv[1], "decode") == 0;
	struct options o;
	char message[200];

	/* A file that may not grow (ulimit -f) is a failed write, which is cleaned up after. */
	signal(SIGXFSZ, SIG_IGN);
	if (!options_parse(&o, argc - decodes, argv + decodes, message, sizeof(message)))
		return fail(EXIT_USAGE, message);
	if (print_and_leave(&o))
		return EXIT_OK;
	if (decodes && !o.target)
		return fail(EXIT_USAGE, "kd decode wants a recording: kd decode FILE.pcapng");
	return decodes ? decode_main(&o, o.target) : debug_main(&o);
}
