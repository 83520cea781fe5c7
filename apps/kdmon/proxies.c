/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/proxies.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd/text.h"
#include "apps/kdmon/place.h"
#include "apps/kdmon/release.h"
#include "apps/kdmon/show.h"

struct proxy *proxies_find(struct proxies *p, const char *vm)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->row[i]->vm, vm) || !strcmp(p->row[i]->id, vm))
			return p->row[i];
	return NULL;
}

struct proxy *proxies_at(struct proxies *p, const char *port)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->row[i]->port, port))
			return p->row[i];
	return NULL;
}

/* --- making and ending --- */

static bool default_listen(const char *vm, char *out, size_t size, char *message,
			   size_t message_size)
{
	char name[80], clean[48], path[108];

	place_clean(vm, clean, sizeof(clean));
	snprintf(name, sizeof(name), "proxy-%s.kd", clean);
	if (!place_runtime(name, path, sizeof(path), message, message_size))
		return false;
	snprintf(out, size, "unix-listen:%s", path);
	return true;
}

static json_t *refuse(const struct kd_vm *vm)
{
	if (vm->debugger == KD_VM_DEBUGGER_SESSION || vm->debugger == KD_VM_DEBUGGER_OTHER)
		return show_failure(
			KD_E_EXISTS,
			"%s (pid %ld) holds the debug port of %s: end it, then kdmon proxy "
			"%s; debuggers attach to the proxy",
			vm->debugger_name[0] ? vm->debugger_name : "another program",
			vm->debugger_pid, vm->name, vm->name);
	if (!vm->port[0])
		return show_failure(KD_E_NOT_FOUND, "%s: %s", vm->name,
				    vm->n_obstacles ? vm->obstacles[0] : "it has no debug port");
	return NULL;
}

static struct proxy *new_proxy(const struct kd_vm *vm, struct kd_relay *relay, bool is_fast)
{
	struct proxy *p = app_alloc(sizeof(*p));

	*p = (struct proxy){ .vm = app_strdup(vm->name),
			     .id = app_strdup(vm->id),
			     .port = app_strdup(vm->port),
			     .relay = relay,
			     .is_fast = is_fast };
	return p;
}

struct proxy *proxies_add(struct proxies *p, const struct kd_vm *vm, const char *target,
			  const char *listen, bool is_fast, json_t **failure_ret)
{
	struct kd_relay_options o = KD_RELAY_OPTIONS_INIT;
	char own[160], message[200];
	struct kd_relay *relay;
	struct kd_error err = { 0 };
	enum kd_status s;

	*failure_ret = refuse(vm);
	if (*failure_ret)
		return NULL;
	if (p->n == PROXIES_MAX) {
		*failure_ret = show_failure(KD_E_FULL, "there are %d proxies", PROXIES_MAX);
		return NULL;
	}
	if (!listen && !default_listen(vm->name, own, sizeof(own), message, sizeof(message))) {
		*failure_ret = show_failure(KD_E_IO, "%s", message);
		return NULL;
	}
	o.target = target;
	o.listen = listen ? listen : own;
	o.is_fast = is_fast;
	s = kd_relay_create(&o, &relay, &err);
	if (s != KD_OK) {
		*failure_ret = show_error(s, &err);
		return NULL;
	}
	return p->row[p->n++] = new_proxy(vm, relay, is_fast);
}

bool proxies_is_deserted(struct proxy *p)
{
	struct kd_relay_status st;

	if (p->keeps_stopped)
		return false;
	kd_relay_status(p->relay, &st);
	return st.is_up && st.is_stopped && !st.has_client;
}

bool proxies_drop_empty_log(struct proxy *p)
{
	struct stat st;
	bool is_empty = p->own_log && stat(p->own_log, &st) == 0 && S_ISREG(st.st_mode) &&
			st.st_size == 0 && unlink(p->own_log) == 0;

	free(p->own_log);
	p->own_log = NULL;
	return is_empty;
}

/* Without the proxy nobody reaches it any more, whatever was wished for as long as it was there. */
static bool would_be_left(struct proxy *p)
{
	struct kd_relay_status st;

	kd_relay_status(p->relay, &st);
	return st.is_up && (st.is_stopped || st.may_have_breakpoints);
}

/*
 * A debugger that is there is sent away first, to where it can't come back from: it may be waiting
 * at its prompt, and holds the lock of the place where it was.
 */
static bool let_go(struct proxy *p)
{
	struct kd_relay_status st;
	char name[80], path[108], listen[160], message[200];

	kd_relay_status(p->relay, &st);
	snprintf(name, sizeof(name), "end-%d-%p.kd", (int)getpid(), (void *)p);
	if (st.has_client && place_runtime(name, path, sizeof(path), message, sizeof(message))) {
		snprintf(listen, sizeof(listen), "unix-listen:%s", path);
		kd_relay_move(p->relay, listen, NULL);
	}
	return release_target(kd_relay_endpoint(p->relay));
}

static bool free_proxy(struct proxy *p)
{
	bool is_well = !would_be_left(p) || let_go(p);

	kd_relay_destroy(p->relay);
	proxies_drop_empty_log(p);
	free(p->vm);
	free(p->id);
	free(p->port);
	free(p->attach);
	free(p);
	return is_well;
}

bool proxies_remove(struct proxies *p, struct proxy *proxy)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->row[i] == proxy) {
			p->row[i] = p->row[--p->n];
			break;
		}
	return free_proxy(proxy);
}

static void *free_in_thread(void *context)
{
	char vm[128];

	snprintf(vm, sizeof(vm), "%s", ((struct proxy *)context)->vm);
	if (!free_proxy(context))
		fprintf(stderr, "kdmon: " PROXIES_LEFT "\n", vm, vm);
	return NULL;
}

/* All at once: each may take some seconds. */
void proxies_clear(struct proxies *p)
{
	pthread_t threads[PROXIES_MAX];
	size_t n = 0;

	while (p->n) {
		struct proxy *row = p->row[--p->n];

		if (pthread_create(&threads[n], NULL, free_in_thread, row) == 0)
			n++;
		else
			free_in_thread(row);
	}
	while (n)
		pthread_join(threads[--n], NULL);
}

/* --- JSON --- */

json_t *proxies_show(struct proxy *p)
{
	struct kd_relay_status st;
	json_t *o;

	kd_relay_status(p->relay, &st);
	o = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:s}",
		      "endpoint", kd_relay_endpoint(p->relay), "target", kd_relay_target(p->relay),
		      "is_fast", p->is_fast, "is_up", st.is_up, "has_client", st.has_client,
		      "is_stopped", st.is_stopped, "is_held", p->is_held, "client_pid",
		      (json_int_t)st.client_pid, "clients", (json_int_t)st.clients, "refused",
		      (json_int_t)st.refused, "dropped_bytes", (json_int_t)st.dropped, "road",
		      st.road, "log", st.log, "attach", p->attach ? p->attach : "");
	if (o) {
		json_t *trouble = json_string(st.trouble), *log = json_string(st.log_trouble);

		json_object_set_new(o, "trouble", trouble ? trouble : json_string("?"));
		json_object_set_new(o, "log_trouble", log ? log : json_string("?"));
	}
	return o ? o : json_null();
}

void proxies_merge(struct proxies *p, json_t *vm)
{
	struct proxy *proxy = proxies_at(p, show_text(vm, "port"));
	struct kd_relay_status st;
	struct kd_vm_counters counters;

	if (!proxy || !*show_text(vm, "port"))
		return;
	kd_relay_status(proxy->relay, &st);
	kd_relay_counters(proxy->relay, &counters);
	json_object_set_new(vm, "proxy", proxies_show(proxy));
	json_object_set_new(vm, "counters", show_counters(&counters));
	if (st.os[0] && !*show_text(vm, "os"))
		json_object_set_new(vm, "os", json_string(st.os));
}
