/* SPDX-License-Identifier: MIT */
/* Payloads in editors of the user's, in windows of their own: several at once, none waited for. */
#ifndef APPS_KD_EXTCAP_EDITOR_H
#define APPS_KD_EXTCAP_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { EDITORS_MAX = 8 };

struct editing {
	pid_t pid; /* 0: free */
	uint64_t item;
	char path[300];
	uint8_t *before; /* what was written into the file */
	size_t size;
};

struct editors {
	const char *program; /* NULL or "": find one */
	struct editing one[EDITORS_MAX];
};

/* False: message says why not. */
bool editor_start(struct editors *e, uint64_t item, const uint8_t *bytes, size_t size,
		  char *message, size_t message_size);
/*
 * One that ended. False: none did. *bytes_ret, malloc'ed, is NULL when nothing was changed; message
 * is not empty when the file could not be read.
 */
bool editor_ended(struct editors *e, uint64_t *item_ret, uint8_t **bytes_ret, size_t *size_ret,
		  char *message, size_t message_size);
/* Their files go; editors that are still open are left to the user. */
void editors_close(struct editors *e);

#endif
