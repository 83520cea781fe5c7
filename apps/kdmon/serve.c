/* SPDX-License-Identifier: MIT */
/*
 * One thread answers; looks around (which may take seconds where libvirt is far away) run in
 * another one, and the requests that need one wait for it.
 */
#include "apps/kdmon/serve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>

#include "apps/kd/text.h"
#include "apps/kdmon/changes.h"
#include "apps/kdmon/launch.h"
#include "apps/kdmon/place.h"
#include "apps/kdmon/proxies.h"
#include "apps/kdmon/proxy_log.h"
#include "apps/kdmon/release.h"
#include "apps/kdmon/show.h"

enum {
	WATCH_MS = 1000,   /* between two looks while somebody watches */
	DESERTED_MS = 100, /* a debugger may come back at once */
	RELEASES_MAX = 3,
	CONNECT_MS = 1000,
};

struct client {
	int fd; /* -1: free */
	uint64_t number;
	struct text in, out;
	bool is_subscribed;
};

/* A request that waits for a list. */
struct pending {
	uint64_t client;
	json_t *request;
};

struct monitor {
	const struct settings *settings;
	int listen_fd, signal_fd, scan_fd, released_fd;
	char path[108];
	struct client clients[MONITOR_CLIENTS_MAX];
	uint64_t next_number;
	struct proxies proxies;
	bool is_ending, has_begun; /* what the configuration asks for was done */

	struct pending pending[MONITOR_PENDING_MAX];
	size_t n_pending;
	bool is_scanning, scan_is_wanted;
	size_t n_served; /* of `pending`: those that came before the scan began */
	pthread_t scan_thread;
	struct kd_vm_list *scanned; /* the thread's until scan_fd says it is ours */
	struct kd_error scan_error;
	json_t *last; /* for those who watch; NULL: nobody did */
	long long next_look;
};

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- clients --- */

static void drop(struct client *cl)
{
	close(cl->fd);
	text_free(&cl->in);
	text_free(&cl->out);
	*cl = (struct client){ .fd = -1 };
}

static void flush(struct client *cl)
{
	while (cl->fd >= 0 && cl->out.size) {
		ssize_t n = send(cl->fd, cl->out.data, cl->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(cl);
			return;
		}
		memmove(cl->out.data, cl->out.data + n, cl->out.size - (size_t)n + 1);
		cl->out.size -= (size_t)n;
	}
}

/* Takes the reference. */
static void send_json(struct client *cl, json_t *value)
{
	char *line = json_dumps(value, JSON_COMPACT);

	json_decref(value);
	if (!line || cl->out.size + strlen(line) > MONITOR_OUTPUT_MAX) {
		drop(cl);
	} else {
		text_add(&cl->out, line);
		text_add(&cl->out, "\n");
		flush(cl);
	}
	free(line);
}

/* Takes the reference of `answer`. */
static void reply(struct client *cl, json_t *request, json_t *answer)
{
	json_t *id = json_object_get(request, "id");

	json_object_set(answer, "id", id ? id : json_null());
	send_json(cl, answer);
}

static struct client *client_by(struct monitor *m, uint64_t number)
{
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].number == number)
			return &m->clients[i];
	return NULL;
}

static bool somebody_watches(const struct monitor *m)
{
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].is_subscribed)
			return true;
	return false;
}

static void publish(void *context, json_t *event)
{
	struct monitor *m = context;

	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].is_subscribed)
			send_json(&m->clients[i], json_incref(event));
}

static void tell(struct monitor *m, const char *kind, const struct proxy *p, const char *text)
{
	json_t *safe = json_string(text);
	json_t *event = json_pack("{s:s, s:s, s:s, s:o}", "event", kind, "vm", p->vm, "id", p->id,
				  "text", safe ? safe : json_string("?"));

	if (event)
		publish(m, event);
	json_decref(event);
}

/* --- operations --- */

/* As it stands in the configuration: with its key, if it has one. */
static const char *target_of(const struct monitor *m, const struct kd_vm *vm)
{
	const struct config_target *t = config_target(&m->settings->config, vm->name);

	return vm->source == KD_VM_NAMED && t && t->endpoint ? t->endpoint : vm->port;
}

/* A proxy for the machine: the one that is there, or a new one. NULL: *failure_ret. */
static struct proxy *need_proxy(struct monitor *m, const struct kd_vm *vm, json_t **failure_ret)
{
	struct proxy *p = proxies_at(&m->proxies, vm->port);
	const char *target = target_of(m, vm);
	bool is_fast = strncmp(target, "net:", 4) == 0; /* there is no other way */

	*failure_ret = NULL;
	return p && *vm->port ? p
			      : proxies_add(&m->proxies, vm, target, NULL, is_fast, failure_ret);
}

/* What was to be done by a proxy came to nothing: one that was made for it goes again. */
static json_t *undo(struct monitor *m, struct proxy *p, bool is_new, json_t *answer)
{
	if (is_new && !json_is_true(json_object_get(answer, "ok")))
		proxies_remove(&m->proxies, p);
	return answer;
}

static bool has_proxy(struct monitor *m, const struct kd_vm *vm)
{
	return *vm->port && proxies_at(&m->proxies, vm->port);
}

static json_t *op_list(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
		       json_t *request)
{
	json_t *o = show_list(list), *row;
	size_t i;

	(void)vm;
	(void)request;
	json_array_foreach(json_object_get(o, "vms"), i, row) proxies_merge(&m->proxies, row);
	json_object_set_new(o, "ok", json_true());
	return o;
}

static json_t *op_status(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			 json_t *request)
{
	json_t *o = show_ok(), *row = show_vm(vm);

	(void)list;
	(void)request;
	proxies_merge(&m->proxies, row);
	json_object_set_new(o, "vm", row);
	return o;
}

static json_t *with_proxy(struct proxy *p)
{
	json_t *o = show_ok();

	json_object_set_new(o, "proxy", proxies_show(p));
	return o;
}

static json_t *op_proxy(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			json_t *request)
{
	struct proxy *p = proxies_at(&m->proxies, vm->port);
	const char *listen = json_string_value(json_object_get(request, "endpoint"));
	json_t *failure;

	(void)list;
	if (p && *vm->port)
		return show_failure(KD_E_EXISTS,
				    "%s has a proxy already, at %s: kdmon proxy %s off ends it",
				    vm->name, kd_relay_endpoint(p->relay), vm->name);
	p = proxies_add(&m->proxies, vm, target_of(m, vm), listen,
			json_is_true(json_object_get(request, "fast")), &failure);
	if (!p)
		return failure;
	p->keeps_stopped = json_is_true(json_object_get(request, "keep_stopped"));
	return with_proxy(p);
}

/* Without a debugger the stop waits for one. */
static enum kd_status hold_and_break(struct proxy *p, struct kd_error *err)
{
	enum kd_status s = kd_relay_break_in(p->relay, err);
	struct kd_relay_status st;

	kd_relay_status(p->relay, &st);
	p->is_held = s == KD_OK && !st.has_client;
	return s;
}

/* One that was made just now has to connect first. */
static void wait_until_up(struct proxy *p)
{
	const struct timespec pause = { 0, 10000000 };
	long long end = now_ms() + CONNECT_MS;
	struct kd_relay_status st;

	kd_relay_status(p->relay, &st);
	while (!st.is_up && now_ms() < end) {
		nanosleep(&pause, NULL);
		kd_relay_status(p->relay, &st);
	}
}

static json_t *break_by_proxy(struct monitor *m, const struct kd_vm *vm)
{
	bool is_new = !has_proxy(m, vm);
	struct kd_error err = { 0 };
	json_t *failure;
	struct proxy *p = need_proxy(m, vm, &failure);
	enum kd_status s;

	if (!p)
		return failure;
	if (is_new)
		wait_until_up(p);
	s = hold_and_break(p, &err);
	return undo(m, p, is_new, s == KD_OK ? with_proxy(p) : show_error(s, &err));
}

static json_t *op_break(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			json_t *request)
{
	struct kd_error err = { 0 };
	json_t *failure = show_cannot_stop(vm);
	enum kd_status s;

	(void)list;
	(void)request;
	if (failure)
		return failure;
	/* A session of ours asks again until the target stops; a relay can only say it once. */
	if (!vm->session[0])
		return break_by_proxy(m, vm);
	s = kd_vm_break_in(vm, &err);
	return s == KD_OK ? show_ok() : show_error(s, &err);
}

/* What `break` stopped, or a debugger left standing. */
static json_t *op_resume(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			 json_t *request)
{
	struct proxy *p = *vm->port ? proxies_at(&m->proxies, vm->port) : NULL;
	struct kd_relay_status st;

	(void)list;
	(void)request;
	if (!p)
		return show_failure(KD_E_NOT_FOUND, "%s has no proxy", vm->name);
	kd_relay_status(p->relay, &st);
	if (st.has_client)
		return show_failure(KD_E_EXISTS,
				    "a debugger is attached to the proxy of %s: `g` there lets it "
				    "go on",
				    vm->name);
	/* Held, but not stopped: it is just about to. */
	if ((st.is_stopped || p->is_held) && !release_target(kd_relay_endpoint(p->relay)))
		return show_failure(KD_E_TIMEOUT, "%s does not answer: it could not be let go on",
				    vm->name);
	p->is_held = false;
	return show_ok();
}

static json_t *op_log(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
		      json_t *request)
{
	bool on = !json_is_false(json_object_get(request, "on")), is_new = !has_proxy(m, vm);
	struct proxy *p;
	json_t *failure;

	(void)list;
	if (!on)
		return proxy_log_stop(*vm->port ? proxies_at(&m->proxies, vm->port) : NULL, vm);
	p = need_proxy(m, vm, &failure);
	return p ? undo(m, p, is_new, proxy_log_start(p, request)) : failure;
}

static json_t *op_trace(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			json_t *request)
{
	const char *prefix = json_string_value(json_object_get(request, "prefix"));
	const char *path = json_string_value(json_object_get(request, "path"));
	bool is_new = !has_proxy(m, vm);
	struct kd_error err = { 0 };
	struct proxy *p;
	json_t *failure;
	enum kd_status s;

	(void)list;
	if (!prefix)
		return show_failure(KD_E_INVALID, "\"prefix\" is missing");
	p = need_proxy(m, vm, &failure);
	if (!p)
		return failure;
	s = path ? kd_relay_trace_start(p->relay, prefix, path, &err)
		 : kd_relay_trace_stop(p->relay, prefix, &err);
	return undo(m, p, is_new, s == KD_OK ? with_proxy(p) : show_error(s, &err));
}

static json_t *op_attach(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
			 json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	struct proxy *p;
	json_t *failure;

	(void)list;
	if (!command && !has_proxy(m, vm))
		return show_failure(KD_E_NOT_FOUND, "nothing is started when %s stops", vm->name);
	p = need_proxy(m, vm, &failure);
	if (!p)
		return failure;
	free(p->attach);
	p->attach = command ? app_strdup(command) : NULL;
	return with_proxy(p);
}

static json_t *op_unproxy(struct monitor *m, json_t *request)
{
	const char *vm = json_string_value(json_object_get(request, "vm"));
	struct proxy *p = vm ? proxies_find(&m->proxies, vm) : NULL;

	if (!p)
		return show_failure(KD_E_NOT_FOUND, "%s has no proxy", vm ? vm : "?");
	return proxies_remove(&m->proxies, p)
		       ? show_ok()
		       : show_failure(KD_E_TIMEOUT, "the proxy has ended, but " PROXIES_LEFT, vm,
				      vm);
}

/* Those that need to know what machines there are; "vm" is looked for. */
static const struct {
	const char *name;
	bool needs_vm;
	json_t *(*run)(struct monitor *m, struct kd_vm_list *list, const struct kd_vm *vm,
		       json_t *request);
} operations[] = {
	{ "list", false, op_list },  { "status", true, op_status }, { "proxy", true, op_proxy },
	{ "break", true, op_break }, { "resume", true, op_resume }, { "log", true, op_log },
	{ "trace", true, op_trace }, { "attach", true, op_attach },
};

static size_t find_operation(const char *name)
{
	size_t i = 0;

	while (i < APP_ARRAY_LEN(operations) && strcmp(operations[i].name, name) != 0)
		i++;
	return i;
}

static json_t *run_with(struct monitor *m, struct kd_vm_list *list, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	size_t i = find_operation(json_string_value(json_object_get(request, "op")));
	const struct kd_vm *vm = NULL;
	struct kd_error err = { 0 };
	enum kd_status s;

	if (operations[i].needs_vm) {
		if (!name)
			return show_failure(KD_E_INVALID, "\"vm\" is missing");
		s = kd_vm_list_find(list, name, &vm, &err);
		if (s != KD_OK)
			return show_error(s, &err);
	}
	return operations[i].run(m, list, vm, request);
}

/* --- looking around --- */

static void *scan(void *context)
{
	struct monitor *m = context;

	if (settings_list(m->settings, &m->scanned, &m->scan_error) != KD_OK)
		m->scanned = NULL;
	if (eventfd_write(m->scan_fd, 1) != 0)
		abort(); /* it can't be full */
	return NULL;
}

static void start_scan(struct monitor *m)
{
	if (m->is_scanning || !m->scan_is_wanted)
		return;
	m->scan_is_wanted = false;
	m->n_served = m->n_pending;
	m->is_scanning = pthread_create(&m->scan_thread, NULL, scan, m) == 0;
	if (!m->is_scanning)
		scan(m); /* then here, and at once */
}

static void answer_pending(struct monitor *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pending *p = &m->pending[i];
		struct client *cl = client_by(m, p->client);

		if (cl)
			reply(cl, p->request,
			      m->scanned ? run_with(m, m->scanned, p->request)
					 : show_error(m->scan_error.status, &m->scan_error));
		json_decref(p->request);
	}
	memmove(m->pending, m->pending + n, (m->n_pending - n) * sizeof(m->pending[0]));
	m->n_pending -= n;
}

static void watch_changes(struct monitor *m)
{
	json_t *now;

	if (!somebody_watches(m)) {
		json_decref(m->last);
		m->last = NULL;
		return;
	}
	if (!m->scanned)
		return;
	now = op_list(m, m->scanned, NULL, NULL);
	changes_between(m->last, now, publish, m);
	json_decref(m->last);
	m->last = now;
}

/* One target of the configuration: its proxy, and what to start when it stops. */
static void begin_target(struct monitor *m, const struct config_target *t)
{
	const struct kd_vm *vm;
	struct kd_error err = { 0 };
	struct proxy *p = NULL;
	json_t *failure = NULL;
	bool is_fast = strcmp(t->proxy, "fast") == 0;
	bool is_place = !is_fast && strcmp(t->proxy, "on") != 0;
	enum kd_status s = kd_vm_list_find(m->scanned, t->name, &vm, &err);

	if (s == KD_OK)
		p = proxies_add(&m->proxies, vm, target_of(m, vm), is_place ? t->proxy : NULL,
				is_fast, &failure);
	if (p && t->attach)
		p->attach = app_strdup(t->attach);
	if (!p)
		fprintf(stderr, "kdmon: target %s: %s\n", t->name,
			failure ? show_text(failure, "error") : err.text);
	json_decref(failure);
}

static void begin_targets(struct monitor *m)
{
	const struct config *c = &m->settings->config;

	if (m->has_begun || !m->scanned)
		return;
	m->has_begun = true;
	for (size_t i = 0; i < c->n_targets; i++)
		if (c->targets[i].proxy && strcmp(c->targets[i].proxy, "off") != 0)
			begin_target(m, &c->targets[i]);
}

static void on_scanned(struct monitor *m)
{
	eventfd_t unused;

	eventfd_read(m->scan_fd, &unused);
	if (m->is_scanning)
		pthread_join(m->scan_thread, NULL);
	m->is_scanning = false;
	begin_targets(m);
	answer_pending(m, m->n_served);
	m->n_served = 0;
	watch_changes(m);
	kd_vm_list_destroy(m->scanned);
	m->scanned = NULL;
	m->scan_is_wanted |= m->n_pending > 0;
}

/* --- requests --- */

static json_t *at_once(struct monitor *m, struct client *cl, const char *op, json_t *request)
{
	json_t *on = json_object_get(request, "on");

	if (strcmp(op, "ping") == 0)
		return show_ok();
	if (strcmp(op, "unproxy") == 0)
		return op_unproxy(m, request);
	if (strcmp(op, "subscribe") == 0) {
		cl->is_subscribed = !json_is_false(on);
		m->next_look = now_ms();
		return show_ok();
	}
	return NULL;
}

static void on_request(struct monitor *m, struct client *cl, const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL), *answer = NULL;
	const char *op = json_string_value(json_object_get(request, "op"));

	if (!json_is_object(request))
		answer = show_failure(KD_E_SYNTAX, "a line is one JSON object");
	else if (op)
		answer = at_once(m, cl, op, request);
	if (!answer && (!op || find_operation(op) == APP_ARRAY_LEN(operations)))
		answer = show_failure(KD_E_INVALID,
				      "\"op\" is ping, list, status, proxy, unproxy, break, "
				      "resume, log, trace, attach or subscribe");
	if (!answer && m->n_pending == MONITOR_PENDING_MAX)
		answer = show_failure(KD_E_BUSY, "too many requests wait");
	if (answer) {
		reply(cl, request, answer);
	} else {
		m->pending[m->n_pending++] = (struct pending){ cl->number, json_incref(request) };
		m->scan_is_wanted = true;
	}
	json_decref(request);
}

static void take_requests(struct monitor *m, struct client *cl)
{
	uint64_t number = cl->number;
	char *line;

	while (cl->fd >= 0 && cl->number == number && (line = text_take_line(&cl->in))) {
		on_request(m, cl, line);
		free(line);
	}
}

static void read_client(struct monitor *m, struct client *cl)
{
	char bytes[4096];
	ssize_t n = recv(cl->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(cl);
		return;
	}
	text_append(&cl->in, bytes, (size_t)n);
	if (cl->in.size > MONITOR_LINE_MAX && !memchr(cl->in.data, '\n', cl->in.size))
		drop(cl);
	else
		take_requests(m, cl);
}

static bool is_allowed(int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

static void on_connection(struct monitor *m)
{
	int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; is_allowed(fd) && i < MONITOR_CLIENTS_MAX; i++) {
		struct client *cl = &m->clients[i];

		if (cl->fd >= 0)
			continue;
		*cl = (struct client){ .fd = fd, .number = ++m->next_number };
		send_json(cl, json_pack("{s:s, s:i, s:s, s:i}", "hello", "kdmon", "protocol", 1,
					"version", kd_library_version(), "pid", (int)getpid()));
		return;
	}
	close(fd);
}

/* --- proxies --- */

static void start_debugger(struct monitor *m, struct proxy *p)
{
	char message[300] = "";
	char **words = launch_words(p->attach, p->vm, kd_relay_endpoint(p->relay), message,
				    sizeof(message));
	pid_t pid = words ? launch_start(words, true, message, sizeof(message)) : -1;

	launch_free(words);
	if (pid > 0) {
		p->debugger = pid;
		snprintf(message, sizeof(message), "pid %d", (int)pid);
	}
	tell(m, pid > 0 ? "debugger-started" : "debugger-failed", p, message);
}

static void on_relay_event(struct monitor *m, struct proxy *p, const struct kd_relay_event *e)
{
	static const char *const names[] = {
		[KD_RELAY_CLIENT_CAME] = "attached",
		[KD_RELAY_CLIENT_LEFT] = "detached",
		[KD_RELAY_STOPPED] = "stopped",
		[KD_RELAY_RUNNING] = "running",
		[KD_RELAY_RESTARTED] = "restarted",
		[KD_RELAY_UP] = "up",
		[KD_RELAY_DOWN] = "down",
		[KD_RELAY_PRINT] = "print",
	};
	struct kd_relay_status st;

	tell(m, names[e->kind], p, e->text);
	if (e->kind == KD_RELAY_CLIENT_CAME || e->kind == KD_RELAY_RESTARTED ||
	    e->kind == KD_RELAY_DOWN)
		p->is_held = false;
	/* A killed debugger leaves a stop, or breakpoints that make one later. */
	if (e->kind == KD_RELAY_CLIENT_LEFT || e->kind == KD_RELAY_STOPPED)
		p->release_at = now_ms() + DESERTED_MS;
	if (e->kind == KD_RELAY_RUNNING)
		p->releases = 0;
	if (e->kind != KD_RELAY_STOPPED || !p->attach)
		return;
	kd_relay_status(p->relay, &st);
	if (!st.has_client && !p->debugger)
		start_debugger(m, p);
}

static void on_relay(struct monitor *m, struct proxy *p)
{
	struct kd_relay_event e;

	for (int i = 0; i < 64 && kd_relay_next_event(p->relay, &e); i++)
		on_relay_event(m, p, &e);
}

/* Called in another thread. */
static void on_released(void *context, bool is_released)
{
	(void)is_released;
	if (eventfd_write((int)(intptr_t)context, 1) != 0)
		return; /* it wakes anyway */
}

/* Their debuggers are gone, and left them standing. */
static void release_deserted(struct monitor *m)
{
	long long now = now_ms();

	for (size_t i = 0; i < m->proxies.n; i++) {
		struct proxy *p = m->proxies.row[i];

		if (!p->release_at || now < p->release_at)
			continue;
		p->release_at = 0;
		if (!proxies_is_deserted(p) || p->releases == RELEASES_MAX || p->debugger ||
		    p->is_held)
			continue;
		p->releases++;
		tell(m, "released", p, "it stood still, and nobody was there");
		/* The thread may outlive all but the descriptor. */
		release_target_async(kd_relay_endpoint(p->relay), on_released,
				     (void *)(intptr_t)m->released_fd);
	}
}

static void reap(struct monitor *m)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < m->proxies.n; i++)
			if (m->proxies.row[i]->debugger == pid) {
				m->proxies.row[i]->debugger = 0;
				m->proxies.row[i]->release_at = now_ms() + DESERTED_MS;
				tell(m, "debugger-ended", m->proxies.row[i], "");
			}
}

/* --- the loop --- */

static void on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGCHLD)
			reap(m);
		else
			m->is_ending = true;
}

static int patience(const struct monitor *m)
{
	long long at = -1, now = now_ms();

	if (somebody_watches(m))
		at = m->next_look;
	for (size_t i = 0; i < m->proxies.n; i++) {
		long long due = m->proxies.row[i]->release_at;

		if (due && (at < 0 || due < at))
			at = due;
	}
	return at < 0 ? -1 : at <= now ? 0 : (int)APP_MIN(at - now, 60000);
}

static void look_when_due(struct monitor *m)
{
	if (!somebody_watches(m) || now_ms() < m->next_look)
		return;
	m->next_look = now_ms() + WATCH_MS;
	m->scan_is_wanted = true;
}

enum { FIXED = 4 };

static size_t fill_polls(struct monitor *m, struct pollfd *fds)
{
	const int fixed[FIXED] = { m->listen_fd, m->signal_fd, m->scan_fd, m->released_fd };
	size_t n = 0;

	for (; n < FIXED; n++)
		fds[n] = (struct pollfd){ .fd = fixed[n], .events = POLLIN };
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		fds[n++] = (struct pollfd){
			.fd = m->clients[i].fd,
			.events = (short)(POLLIN | (m->clients[i].out.size ? POLLOUT : 0))
		};
	for (size_t i = 0; i < m->proxies.n; i++)
		fds[n++] = (struct pollfd){ .fd = kd_relay_fd(m->proxies.row[i]->relay),
					    .events = POLLIN };
	return n;
}

static void serve_clients(struct monitor *m, const struct pollfd *fds)
{
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++) {
		struct client *cl = &m->clients[i];

		if (fds[i].fd < 0 || cl->fd != fds[i].fd || !fds[i].revents)
			continue;
		if (fds[i].revents & POLLOUT)
			flush(cl);
		if (cl->fd >= 0 && fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			read_client(m, cl);
	}
}

static void turn(struct monitor *m)
{
	struct pollfd fds[FIXED + MONITOR_CLIENTS_MAX + PROXIES_MAX];
	eventfd_t unused;

	if (poll(fds, fill_polls(m, fds), patience(m)) < 0)
		return;
	if (fds[1].revents)
		on_signal(m);
	if (fds[3].revents)
		eventfd_read(m->released_fd, &unused);
	for (size_t i = 0; i < m->proxies.n; i++)
		on_relay(m, m->proxies.row[i]);
	serve_clients(m, fds + FIXED);
	if (fds[0].revents)
		on_connection(m);
	if (fds[2].revents)
		on_scanned(m);
	release_deserted(m);
	look_when_due(m);
	start_scan(m);
}

/* --- beginning and end --- */

static bool is_taken(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered = fd >= 0 &&
			connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (fd >= 0)
		close(fd);
	return answered;
}

static bool listen_at(struct monitor *m, char *message, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!place_make_runtime(message, size) ||
	    !place_runtime(PLACE_SOCKET, m->path, sizeof(m->path), message, size))
		return false;
	memcpy(address.sun_path, m->path, sizeof(m->path));
	if (is_taken(&address)) {
		snprintf(message, size, "a monitor runs already (%s)", m->path);
		return false;
	}
	unlink(m->path); /* left behind by one that was killed */
	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->listen_fd >= 0 && fchmod(m->listen_fd, 0600) == 0 &&
	    bind(m->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(m->listen_fd, 16) == 0)
		return true;
	snprintf(message, size, "%s: %s", m->path, strerror(errno));
	return false;
}

static bool begin(struct monitor *m, char *message, size_t size)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&set, (const int[]){ SIGTERM, SIGINT, SIGHUP, SIGCHLD }[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	m->scan_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->released_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->signal_fd < 0 || m->scan_fd < 0 || m->released_fd < 0) {
		snprintf(message, size, "no descriptor to be had: %s", strerror(errno));
		return false;
	}
	return listen_at(m, message, size);
}

static void end(struct monitor *m)
{
	if (m->listen_fd >= 0) {
		close(m->listen_fd);
		unlink(m->path);
	}
	if (m->is_scanning)
		pthread_join(m->scan_thread, NULL);
	kd_vm_list_destroy(m->scanned);
	proxies_clear(&m->proxies);
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0)
			drop(&m->clients[i]);
	for (size_t i = 0; i < m->n_pending; i++)
		json_decref(m->pending[i].request);
	json_decref(m->last);
}

int serve_main(const struct settings *settings)
{
	struct monitor *m = app_alloc(sizeof(*m));
	char message[400];
	int code = 0;

	*m = (struct monitor){ .settings = settings, .listen_fd = -1 };
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		m->clients[i].fd = -1;
	if (begin(m, message, sizeof(message))) {
		printf("kdmon: serving at %s\n", m->path);
		fflush(stdout);
		m->scan_is_wanted = true;
		start_scan(m);
		while (!m->is_ending)
			turn(m);
	} else {
		fprintf(stderr, "kdmon: %s\n", message);
		m->path[0] = '\0';
		code = 1;
	}
	end(m);
	free(m);
	return code;
}
