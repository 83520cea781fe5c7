/* SPDX-License-Identifier: MIT */
/* What can be captured from: sessions with a socket, and virtual machines without one. */
#ifndef APPS_KD_EXTCAP_SOURCES_H
#define APPS_KD_EXTCAP_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

enum { SOURCES_MAX = 256 };

struct source {
	char id[96];       /* Wireshark's name of the interface */
	char name[96];     /* for people */
	char session[108]; /* the socket; "": a VM without a session */
	char endpoint[256];
	char obstacle[512]; /* what may be in the way; "": nothing is known */
	bool is_taken;      /* another debugger is there: the obstacle says which */
};

struct source_list {
	struct source *source;
	size_t n;
};

/*
 * Look, for at most a twentieth of a second; machines and their monitors are left alone. False:
 * out of memory.
 */
bool sources_find(struct source_list *list);
void sources_free(struct source_list *list);
/* NULL: there is none any more. */
const struct source *sources_get(const struct source_list *list, const char *id);

#endif
