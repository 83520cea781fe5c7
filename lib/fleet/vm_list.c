/* SPDX-License-Identifier: MIT */
/*
 * Look everywhere, join what is the same, ask who debugs it. The order: machines, then who is at
 * their ports (locks, sessions, sockets), then what is in the way.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fleet/session_ask.h"
#include "lib/fleet/vm_port.h"
#include "lib/io/endpoint_holder.h"
#include "lib/vm/qmp_message.h"
#include "lib/vm/vm_control.h"
#include "lib/wait.h"

enum {
	LIST_MS = 2000,
	ACTION_MS = 60000,
	SESSIONS_MS = 60,  /* one that is in the middle of a command answers later */
	BUSY_MS = 3000,    /* when it matters, the longest that one may be in a command */
	BREAK_MS = 5000,   /* it may be busy */
	REJOIN_MS = 15000, /* it may wait for an answer of the target that was */
	CONNECTIONS_MAX = 32,
	PROBLEMS_MAX = CONNECTIONS_MAX,
	THREADS_MAX = 8,
	NAME_SIZE = 128,
	NAMES_SHOWN = 8,
};

struct entry {
	struct kd_vm vm; /* first: what users have */
	struct kd_vm_found found;
	bool has_endpoint;
	struct kd_endpoint endpoint; /* the VM's own */
	char name[NAME_SIZE], id[KD_QEMU_PATH_SIZE], connection[KD_QEMU_PATH_SIZE];
	char alias[NAME_SIZE]; /* a name of the caller's for the same endpoint; "": none */
	char port[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint_holder holder;
	struct kd__session_found session;
	char debugger[32];
	struct kd__obstacles obstacles;
	const char *obstacle[KD_OBSTACLES_MAX];
};

struct kd_vm_list {
	size_t n;
	struct entry *entry;
	size_t n_problems;
	char problem[PROBLEMS_MAX][KD_ERROR_TEXT_SIZE + KD_QEMU_PATH_SIZE];
	/* Only while the list is made. */
	const struct kd_vm_list_options *options;
	uint64_t deadline;
	struct kd_vm_rows rows;
};

/* --- machines --- */

struct connection {
	const char *uri;
	uint64_t deadline;
	struct kd_vm_rows rows;
	struct kd_error error;
	enum kd_status status;
	pthread_t thread;
	bool has_thread;
};

static void *ask_connection(void *context)
{
	struct connection *c = context;

	c->status = kd__vm_find_libvirt(c->uri, c->deadline, &c->rows, &c->error);
	return NULL;
}

static const char *remedy(const char *uri, enum kd_status status)
{
	bool is_system = strstr(uri, "/system") != NULL;

	switch (status) {
	case KD_E_CLOSED:
		return is_system ? " (sudo systemctl start libvirtd?)"
				 : " (is its daemon running?)";
	case KD_E_DENIED:
		return is_system ? " (sudo usermod -aG libvirt $USER, then log in again)"
				 : " (whose connection is it?)";
	case KD_E_TIMEOUT: return " (try: virsh -c with the same URI)";
	default: return "";
	}
}

static void add_problem(struct kd_vm_list *list, const char *who, enum kd_status status,
			const char *text)
{
	if (list->n_problems == PROBLEMS_MAX)
		return;
	snprintf(list->problem[list->n_problems++], sizeof list->problem[0], "%.300s: %s%s", who,
		 text, remedy(who, status));
}

static enum kd_status add_rows(struct kd_vm_rows *to, const struct kd_vm_rows *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct kd_vm_found *row = kd__vm_rows_add(to);

		if (!row)
			return KD_E_NO_MEMORY;
		*row = from->row[i];
	}
	return KD_OK;
}

/* All at once: a slow one costs its own time only. */
static enum kd_status ask_connections(struct kd_vm_list *list, const char *const *uris, size_t n)
{
	struct connection row[CONNECTIONS_MAX] = { 0 };
	enum kd_status s = KD_OK;

	n = KD_MIN(n, (size_t)CONNECTIONS_MAX);
	for (size_t i = 0; i < n; i++) {
		row[i] = (struct connection){ .uri = uris[i], .deadline = list->deadline };
		row[i].has_thread = n > 1 &&
				    !pthread_create(&row[i].thread, NULL, ask_connection, &row[i]);
		if (!row[i].has_thread)
			ask_connection(&row[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (row[i].has_thread)
			pthread_join(row[i].thread, NULL);
		if (row[i].status != KD_OK)
			add_problem(list, row[i].uri, row[i].status, row[i].error.text);
		else if (s == KD_OK)
			s = add_rows(&list->rows, &row[i].rows);
		kd__vm_rows_deinit(&row[i].rows);
	}
	return s;
}

static enum kd_status find_domains(struct kd_vm_list *list)
{
	const char *uris[2];
	size_t n = 0;

	if (list->options->connections)
		return ask_connections(list, list->options->connections,
				       list->options->n_connections);
	if (kd__libvirt_listens(true))
		uris[n++] = "qemu:///system";
	if (kd__libvirt_listens(false))
		uris[n++] = "qemu:///session";
	return n ? ask_connections(list, uris, n) : KD_OK;
}

static bool is_same(const struct kd_vm_found *domain, const struct kd_vm_found *other)
{
	return domain->source == KD_VM_LIBVIRT && !domain->is_remote &&
	       (strcasecmp(domain->id, other->id) == 0 ||
		(other->source == KD_VM_VMWARE && strcmp(domain->name, other->name) == 0));
}

/* Libvirt's row says more; the process tells its number and monitors of its own. */
static void join(struct kd_vm_found *domain, const struct kd_vm_found *other)
{
	domain->process = other->process;
	domain->memory = other->memory;
	domain->n_monitors = other->n_monitors;
	memcpy(domain->monitors, other->monitors, sizeof domain->monitors);
	if (!domain->n_serials) {
		domain->n_serials = other->n_serials;
		memcpy(domain->serials, other->serials, sizeof domain->serials);
	}
}

static void join_rows(struct kd_vm_rows *rows, size_t n_domains)
{
	size_t kept = n_domains;

	for (size_t i = n_domains; i < rows->n; i++) {
		struct kd_vm_found *domain = NULL;

		for (size_t k = 0; k < n_domains && !domain; k++)
			if (is_same(&rows->row[k], &rows->row[i]))
				domain = &rows->row[k];
		if (domain)
			join(domain, &rows->row[i]);
		else
			rows->row[kept++] = rows->row[i];
	}
	rows->n = kept;
}

static enum kd_status find_machines(struct kd_vm_list *list, struct kd_error *err)
{
	struct kd_error why;
	size_t n_domains;
	enum kd_status s = find_domains(list);

	if (s != KD_OK)
		return kd_error_set(err, s, 0, "out of memory");
	n_domains = list->rows.n;
	s = kd__vm_find_qemu(&list->rows, &why);
	if (s == KD_E_IO)
		add_problem(list, "QEMU processes", s, why.text);
	if (s != KD_E_NO_MEMORY)
		s = kd__vm_find_virtualbox(&list->rows, &why);
	if (s == KD_OK)
		s = kd__vm_find_vmware(&list->rows, &why);
	join_rows(&list->rows, n_domains);
	if (s != KD_OK && err)
		*err = why;
	return s;
}

/* --- their states, several at a time --- */

struct round {
	struct kd_vm_list *list;
	atomic_size_t next;
};

static void *ask_monitors(void *context)
{
	struct round *r = context;
	size_t i;

	while ((i = atomic_fetch_add(&r->next, 1)) < r->list->rows.n) {
		struct kd_vm_found *vm = &r->list->rows.row[i];

		if (vm->source == KD_VM_QEMU)
			kd__vm_ask_monitor(vm, r->list->deadline);
	}
	return NULL;
}

static void ask_states(struct kd_vm_list *list)
{
	struct round r = { .list = list };
	pthread_t threads[THREADS_MAX];
	size_t n = 0;

	while (n + 1 < KD_MIN(list->rows.n, (size_t)THREADS_MAX) &&
	       !pthread_create(&threads[n], NULL, ask_monitors, &r))
		n++;
	ask_monitors(&r);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

/* --- entries --- */

static void fill_texts(struct entry *e)
{
	kd__vm_printable(e->found.name, e->name, sizeof e->name);
	kd__vm_printable(e->found.id, e->id, sizeof e->id);
	kd__vm_printable(e->found.connection, e->connection, sizeof e->connection);
	e->vm = (struct kd_vm){ .source = e->found.source,
				.state = e->found.state,
				.name = e->name,
				.id = e->id,
				.connection = e->connection,
				.pid = e->found.process.pid,
				.endpoint = e->port,
				.port = e->port,
				.debugger_name = e->debugger,
				.session = "",
				.session_state = "",
				.memory = e->found.memory ? e->found.memory : "",
				.os = "",
				.obstacles = e->obstacle };
}

static void fill_machine(struct entry *e, const struct kd_vm_found *found)
{
	e->found = *found;
	fill_texts(e);
	e->has_endpoint = kd__vm_port_choose(found, &e->endpoint, &e->obstacles);
	if (e->has_endpoint)
		kd_endpoint_text(&e->endpoint, e->port, sizeof e->port);
}

static struct entry *entry_at(struct kd_vm_list *list, const struct kd_endpoint *ep)
{
	char text[KD_ENDPOINT_TEXT_SIZE];

	kd_endpoint_text(ep, text, sizeof text);
	for (size_t i = 0; i < list->n; i++)
		if (list->entry[i].has_endpoint && strcmp(list->entry[i].port, text) == 0)
			return &list->entry[i];
	return NULL;
}

/* A name for a machine that was found, or a row of its own. */
static void add_target(struct kd_vm_list *list, const struct kd_vm_target *target)
{
	struct kd_vm_found found = { .source = KD_VM_NAMED };
	struct kd_endpoint ep;
	struct kd_error why;
	struct entry *e;
	enum kd_status s = kd_endpoint_parse(target->endpoint, &ep, &why);

	e = s == KD_OK ? entry_at(list, &ep) : NULL;
	if (e && e->found.source != KD_VM_NAMED) {
		snprintf(e->alias, sizeof e->alias, "%s", target->name);
		return;
	}
	e = &list->entry[list->n++];
	snprintf(found.name, sizeof found.name, "%s", target->name);
	snprintf(found.id, sizeof found.id, "%s", target->name);
	e->found = found;
	fill_texts(e);
	e->has_endpoint = s == KD_OK;
	e->endpoint = ep;
	if (s == KD_OK)
		kd_endpoint_text(&ep, e->port, sizeof e->port);
	else
		kd__obstacle_add(&e->obstacles, "its endpoint: %s", why.text);
}

static enum kd_status make_entries(struct kd_vm_list *list, struct kd_error *err)
{
	const struct kd_vm_list_options *o = list->options;

	list->entry = calloc(list->rows.n + o->n_targets + 1, sizeof *list->entry);
	if (!list->entry)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < list->rows.n; i++)
		fill_machine(&list->entry[list->n++], &list->rows.row[i]);
	for (size_t i = 0; i < o->n_targets; i++)
		add_target(list, &o->targets[i]);
	return KD_OK;
}

/* --- who debugs them --- */

static const struct kd__session_found *session_at(const struct kd__session_found *sessions,
						  size_t n, const char *endpoint)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(sessions[i].state.endpoint, endpoint) == 0)
			return &sessions[i];
	return NULL;
}

static void take_session(struct entry *e, const struct kd__session_found *s)
{
	e->session = *s;
	e->vm.session = e->session.path;
	e->vm.session_state = e->session.state.state;
	e->vm.os = e->session.state.os;
	e->vm.counters = e->session.state.counters;
}

static void take_debugger(struct entry *e, enum kd_vm_debugger kind, long pid, const char *program)
{
	e->vm.debugger = kind;
	e->vm.debugger_pid = pid;
	kd__vm_printable(program, e->debugger, sizeof e->debugger);
	if (pid && !e->debugger[0])
		kd__process_name((int)pid, e->debugger, sizeof e->debugger);
}

/* Holders of locks: ours all of them. */
static bool find_holder(struct entry *e, const struct kd__session_found *sessions, size_t n)
{
	const struct kd__session_found *s = session_at(sessions, n, e->port);

	if (s) {
		take_session(e, s);
		take_debugger(e, KD_VM_DEBUGGER_SESSION, s->state.pid, "");
		return true;
	}
	if (!kd_endpoint_holder_find(&e->endpoint, &e->holder))
		return false;
	if (e->holder.instead[0]) {
		e->vm.endpoint = e->holder.instead;
		s = session_at(sessions, n, e->holder.instead);
		if (s)
			take_session(e, s);
		take_debugger(e, KD_VM_DEBUGGER_RELAY, e->holder.pid, e->holder.program);
	} else {
		take_debugger(e, KD_VM_DEBUGGER_OTHER, e->holder.pid, e->holder.program);
	}
	return true;
}

static bool is_this_machine(const char *host)
{
	return !strcasecmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "::1");
}

static void find_reader(struct entry *e, bool is_held, struct kd_socket_table *sockets)
{
	struct kd_socket_users users;

	if (e->endpoint.kind == KD_ENDPOINT_UNIX)
		kd__socket_users_unix(sockets, e->endpoint.path, !is_held, &users);
	else if (e->endpoint.kind == KD_ENDPOINT_TCP && is_this_machine(e->endpoint.path))
		kd__socket_users_tcp(sockets, e->endpoint.port, &users);
	else
		return;
	if (e->found.source == KD_VM_NAMED)
		e->vm.state = users.is_listening || users.n_connected ? KD_VM_RUNNING : KD_VM_OFF;
	if (is_held)
		return;
	take_debugger(e, users.n_connected ? KD_VM_DEBUGGER_OTHER : KD_VM_DEBUGGER_NONE, users.pid,
		      users.program);
}

static void find_debugger(struct entry *e, const struct kd__session_found *sessions, size_t n,
			  struct kd_socket_table *sockets)
{
	char who[64] = "another program";

	if (!e->has_endpoint)
		return;
	find_reader(e, find_holder(e, sessions, n), sockets);
	if (e->vm.debugger != KD_VM_DEBUGGER_OTHER)
		return;
	if (e->vm.debugger_pid)
		snprintf(who, sizeof who, "%s (pid %ld)",
			 e->debugger[0] ? e->debugger : "a program", e->vm.debugger_pid);
	kd__obstacle_add(&e->obstacles,
			 "%s is connected to its debug port, and two readers would take each "
			 "other's bytes: end it, or let it attach to a proxy of kdmon",
			 who);
}

static enum kd_status find_debuggers(struct kd_vm_list *list, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd__session_found *sessions = NULL;
	struct kd_socket_table *sockets;
	size_t n;
	enum kd_status s = kd__sessions_ask(kd_deadline_after_ms(SESSIONS_MS), &sessions, &n, err);

	if (s == KD_OK)
		s = kd__socket_table_create(&sockets, err);
	if (s != KD_OK)
		return s;
	for (size_t i = 0; i < list->n; i++)
		find_debugger(&list->entry[i], sessions, n, sockets);
	kd__socket_table_destroy(sockets);
	return KD_OK;
}

static void finish(struct kd_vm_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct entry *e = &list->entry[i];

		e->found.state = e->vm.state;
		if (e->has_endpoint && e->vm.debugger != KD_VM_DEBUGGER_SESSION)
			kd__vm_port_check(&e->found, &e->endpoint, &e->obstacles);
		e->vm.n_obstacles = e->obstacles.n;
		for (size_t k = 0; k < e->obstacles.n; k++)
			e->obstacle[k] = e->obstacles.text[k];
	}
}

/* --- the list --- */

static enum kd_status check_options(const struct kd_vm_list_options *o, struct kd_error *err)
{
	for (size_t i = 0; i < o->n_targets; i++)
		if (!o->targets[i].name || !o->targets[i].endpoint)
			return kd_error_set(err, KD_E_INVALID, 0,
					    "a target without name or endpoint");
	for (size_t i = 0; o->connections && i < o->n_connections; i++)
		if (!o->connections[i])
			return kd_error_set(err, KD_E_INVALID, 0, "a connection without URI");
	return KD_OK;
}

static enum kd_status fill(struct kd_vm_list *list, struct kd_error *err)
{
	enum kd_status s = check_options(list->options, err);

	if (s == KD_OK)
		s = find_machines(list, err);
	if (s != KD_OK)
		return s;
	if (!list->options->leaves_monitors)
		ask_states(list);
	s = make_entries(list, err);
	if (s == KD_OK)
		s = find_debuggers(list, err);
	if (s == KD_OK)
		finish(list);
	kd__vm_rows_deinit(&list->rows);
	return s;
}

KD_EXPORT enum kd_status kd_vm_list_create(const struct kd_vm_list_options *options,
					   struct kd_vm_list **list_ret, struct kd_error *err)
{
	static const struct kd_vm_list_options defaults = KD_VM_LIST_OPTIONS_INIT;
	struct kd_vm_list *list = calloc(1, sizeof *list);
	enum kd_status s;

	if (!list)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	list->options = options ? options : &defaults;
	list->deadline = kd_deadline_after_ms(list->options->timeout_ms ? list->options->timeout_ms
									: LIST_MS);
	s = fill(list, err);
	list->options = NULL;
	if (s != KD_OK) {
		kd_vm_list_destroy(list);
		return s;
	}
	*list_ret = list;
	return KD_OK;
}

KD_EXPORT void kd_vm_list_destroy(struct kd_vm_list *list)
{
	if (!list)
		return;
	kd__vm_rows_deinit(&list->rows);
	free(list->entry);
	free(list);
}

KD_EXPORT size_t kd_vm_list_size(const struct kd_vm_list *list)
{
	return list->n;
}

KD_EXPORT const struct kd_vm *kd_vm_list_get(const struct kd_vm_list *list, size_t index)
{
	return index < list->n ? &list->entry[index].vm : NULL;
}

KD_EXPORT const char *kd_vm_list_problem(const struct kd_vm_list *list, size_t index)
{
	return index < list->n_problems ? list->problem[index] : NULL;
}

/* --- by name --- */

static bool is_called(const struct entry *e, const char *name)
{
	return strcmp(e->name, name) == 0 || strcasecmp(e->id, name) == 0 ||
	       (e->alias[0] && strcmp(e->alias, name) == 0);
}

/* "a, b, c ..." of those with that name (NULL: of all). */
static void join_names(const struct kd_vm_list *list, const char *name, char *out, size_t size)
{
	size_t n = 0, at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < list->n && at < size; i++) {
		const struct entry *e = &list->entry[i];

		if (name && !is_called(e, name))
			continue;
		if (n++ == NAMES_SHOWN) {
			snprintf(out + at, size - at, " ...");
			return;
		}
		at += (size_t)snprintf(out + at, size - at, "%s%s", n > 1 ? ", " : "",
				       name ? e->id : e->name);
	}
}

KD_EXPORT enum kd_status kd_vm_list_find(const struct kd_vm_list *list, const char *name,
					 const struct kd_vm **vm_ret, struct kd_error *err)
{
	const struct entry *found = NULL;
	char names[160], shown[64];
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (is_called(&list->entry[i], name)) {
			found = &list->entry[i];
			n++;
		}
	if (n == 1) {
		*vm_ret = &found->vm;
		return KD_OK;
	}
	join_names(list, n ? name : NULL, names, sizeof names);
	kd__vm_printable(name, shown, sizeof shown);
	if (n)
		return kd_error_set(err, KD_E_AMBIGUOUS, 0,
				    "%zu VMs are called '%s': name one by its id: %s", n, shown,
				    names);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no VM is called '%s'%s%s", shown,
			    names[0] ? "; there are: " : "; none was found at all", names);
}

/* --- doing --- */

static bool is_good_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return n > 0 && n <= 64 && name[0] != '-' && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       n;
}

/*
 * The session that holds it; "": none. One that was in the middle of a command when the list was
 * made gets the time to say who it is.
 */
static void find_session(const struct entry *e, char path[KD__SESSION_PATH_SIZE])
{
	KD_CLEANUP(kd_freep) struct kd__session_found *sessions = NULL;
	const struct kd__session_found *found = NULL;
	size_t n;

	snprintf(path, KD__SESSION_PATH_SIZE, "%s", e->vm.session);
	if (path[0] || !e->has_endpoint || e->vm.debugger == KD_VM_DEBUGGER_NONE)
		return;
	if (kd__sessions_ask(kd_deadline_after_ms(BUSY_MS), &sessions, &n, NULL) == KD_OK)
		found = session_at(sessions, n, e->vm.endpoint);
	if (found)
		snprintf(path, KD__SESSION_PATH_SIZE, "%s", found->path);
}

KD_EXPORT enum kd_status kd_vm_do(const struct kd_vm *vm, enum kd_vm_action action,
				  const char *name, uint32_t timeout_ms, struct kd_error *err)
{
	const struct entry *e = (const struct entry *)vm;
	bool is_named = action == KD_VM_SNAPSHOT || action == KD_VM_REVERT;
	char session[KD__SESSION_PATH_SIZE];
	enum kd_status s;

	if (is_named && !is_good_name(name))
		return kd_error_set(err, KD_E_INVALID, 0,
				    "a snapshot's name is of letters, digits, `-`, `_` and `.`, 64 "
				    "at most");
	s = kd__vm_do(&e->found, action, name,
		      kd_deadline_after_ms(timeout_ms ? timeout_ms : ACTION_MS), err);
	if (s != KD_OK || action != KD_VM_REVERT)
		return s;
	find_session(e, session);
	return session[0] ? kd__session_rejoin(session, kd_deadline_after_ms(REJOIN_MS), err)
			  : KD_OK;
}

KD_EXPORT enum kd_status kd_vm_snapshots(const struct kd_vm *vm,
					 void (*fn)(void *ctx, const char *name), void *ctx,
					 uint32_t timeout_ms, struct kd_error *err)
{
	const struct entry *e = (const struct entry *)vm;

	return kd__vm_snapshots(&e->found, fn, ctx,
				kd_deadline_after_ms(timeout_ms ? timeout_ms : ACTION_MS), err);
}

KD_EXPORT enum kd_status kd_vm_break_in(const struct kd_vm *vm, struct kd_error *err)
{
	char session[KD__SESSION_PATH_SIZE];

	find_session((const struct entry *)vm, session);
	if (!session[0])
		return kd_error_set(err, KD_E_NOT_CONNECTED, 0,
				    "no session of OpenKD holds %s: attach one (kd %s)", vm->name,
				    vm->name);
	return kd__session_break_in(session, kd_deadline_after_ms(BREAK_MS), err);
}

/* --- words --- */

KD_EXPORT const char *kd_vm_source_name(enum kd_vm_source source)
{
	static const char *const names[] = { "qemu", "libvirt", "virtualbox", "vmware", "named" };

	return (size_t)source < KD_ARRAY_LEN(names) ? names[source] : "?";
}

KD_EXPORT const char *kd_vm_state_name(enum kd_vm_state state)
{
	static const char *const names[] = { "unknown", "off", "running", "paused", "crashed" };

	return (size_t)state < KD_ARRAY_LEN(names) ? names[state] : "?";
}

KD_EXPORT const char *kd_vm_debugger_name(enum kd_vm_debugger debugger)
{
	static const char *const names[] = { "unknown", "none", "session", "relay", "other" };

	return (size_t)debugger < KD_ARRAY_LEN(names) ? names[debugger] : "?";
}
