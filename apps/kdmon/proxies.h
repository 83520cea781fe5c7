/* SPDX-License-Identifier: MIT */
/* The relays that the monitor keeps, one a machine at most. */
#ifndef APPS_KDMON_PROXIES_H
#define APPS_KDMON_PROXIES_H

#include <jansson.h>
#include <sys/types.h>

#include <openkd/relay.h>

enum { PROXIES_MAX = 256 };

struct proxy {
	char *vm, *id, *port; /* name and id of the machine, its debug port; owned */
	struct kd_relay *relay;
	bool is_fast;
	bool keeps_stopped; /* a target that its debugger left standing is left so */
	char *attach;       /* command to run when it stops and nobody is there; NULL: none */
	char *own_log;      /* the log's file if we named it; NULL: none */
	pid_t debugger;     /* the one we started; 0: none */
	/* monotonic ms: look then whether it has to be let go on; 0: no need */
	long long release_at;
	unsigned releases; /* tries since it ran */
	bool is_held;      /* somebody told it to stop, and will come */
};

struct proxies {
	struct proxy *row[PROXIES_MAX];
	size_t n;
};

/* By name or id; by debug port. NULL: none. */
struct proxy *proxies_find(struct proxies *p, const char *vm);
struct proxy *proxies_at(struct proxies *p, const char *port);

/*
 * A new one. `target` is the machine's port, with its key if it has one, which vm->port leaves out.
 * `listen` NULL: a socket in the runtime folder. NULL: *failure_ret is an answer that says why (a
 * new reference).
 */
struct proxy *proxies_add(struct proxies *p, const struct kd_vm *vm, const char *target,
			  const char *listen, bool is_fast, json_t **failure_ret);
/* For printf, with the machine's name twice. */
#define PROXIES_LEFT                                                                            \
	"%s did not answer (is it paused?) and could not be let go on: it may stand still, or " \
	"have breakpoints in it. kd %s, then q, repairs that as soon as it runs"

/*
 * A target that stands still, or has breakpoints, is let go on without them first, whoever is
 * there. Block up to 8 s. False: it did not answer, and is as it was; clear() says so on stderr.
 */
bool proxies_remove(struct proxies *p, struct proxy *proxy);
void proxies_clear(struct proxies *p);

/* A log that has ended, in a place of our choice, with nothing in it: its file goes. True: it did.
 */
bool proxies_drop_empty_log(struct proxy *p);

/* docs/schema/vm.schema.json, "proxy". */
json_t *proxies_show(struct proxy *p);
/* Into the row of its machine: the proxy, its counters, what was seen. */
void proxies_merge(struct proxies *p, json_t *vm);

/* Does it stand still, and nobody sees to it? */
bool proxies_is_deserted(struct proxy *p);

#endif
