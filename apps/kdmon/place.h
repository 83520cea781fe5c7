/* SPDX-License-Identifier: MIT */
/* Where the monitor's socket, its proxies' sockets and its logs are. */
#ifndef APPS_KDMON_PLACE_H
#define APPS_KDMON_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#define PLACE_SOCKET "kdmon.sock"

/* $XDG_RUNTIME_DIR/openkd/NAME, without making anything. False: message_ret. */
bool place_runtime(const char *name, char *path, size_t size, char *message_ret,
		   size_t message_size);
/* The folder is there, ours, and closed to others. False: message_ret. */
bool place_make_runtime(char *message_ret, size_t size);
/* $XDG_STATE_HOME/openkd/NAME; its folder is made. False: message_ret. */
bool place_state(const char *name, char *path, size_t size, char *message_ret, size_t message_size);

/* A name of others as part of a file's name: letters, digits, `-`, `_`, `.`; never empty. */
void place_clean(const char *name, char *out, size_t size);

#endif
