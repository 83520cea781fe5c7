/* SPDX-License-Identifier: MIT */
/*
 * Where traffic comes from, the same for a session of somebody else's (link_session.c) and for one
 * of our own (link_vm.c): requests and answers are those of docs/session-socket.md.
 */
#ifndef APPS_KD_EXTCAP_LINK_H
#define APPS_KD_EXTCAP_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct link;

struct link_ops {
	/*
	 * An answer, the caller's; NULL: the link is gone. Takes the reference of the request. A
	 * `given` descriptor goes along with it, and is still the caller's.
	 */
	json_t *(*ask)(struct link *l, json_t *request, int given);
	/* The next event about traffic, the caller's; NULL: none is there. */
	json_t *(*event)(struct link *l);
	/* Look what came, also when nothing woke us: now and then. False: the link is gone. */
	bool (*read)(struct link *l);
	void (*close)(struct link *l);
};

struct link {
	const struct link_ops *ops;
	int fd; /* readable: read() */
};

/* NULL: message says why, for people. */
struct link *link_open_session(const char *path, char *message, size_t size);

struct link_vm_options {
	const char *name, *endpoint, *symbols; /* symbols: NULL or "" for the defaults */
};
/* Attach to a machine; it runs on. `log` is told what happens meanwhile. */
struct link *link_open_vm(const struct link_vm_options *options,
			  void (*log)(void *context, const char *text), void *context,
			  char *message, size_t size);

#endif
