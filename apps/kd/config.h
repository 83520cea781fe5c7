/* SPDX-License-Identifier: MIT */
/*
 * The configuration file, $XDG_CONFIG_HOME/openkd/config:
 *
 *	# a comment
 *	sympath = /home/me/symbols          defaults for every session
 *	color   = auto
 *	startup = .echo hello               commands at the first stop, before -cf and -c
 *	connect = qemu:///system vbox:///session   libvirt connections that are asked for VMs
 *	attach  = xterm -e kd -k {endpoint} what kdmon starts as debugger
 *
 *	[target win10]                      kd win10
 *	endpoint = com:pipe,port=/tmp/win10.sock
 *	sympath  = /home/me/win10           in front of the default
 *	startup  = sxe ld:mydriver
 *	proxy    = on                       kdmon serve begins with a proxy: on, fast, or where it
 *listens attach   = xterm -e kd -k {endpoint}   ... and starts that when the target stops alone
 */
#ifndef APPS_KD_CONFIG_H
#define APPS_KD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_TARGETS_MAX = 128, CONFIG_LINE_MAX = 4096, CONFIG_CONNECTIONS_MAX = 32 };

struct config_target {
	char *name, *endpoint, *symbol_path, *startup, *proxy, *attach;
};

struct config {
	char *symbol_path, *color, *startup, *connections, *attach;
	struct config_target targets[CONFIG_TARGETS_MAX];
	size_t n_targets;
};

/*
 * Read a file. A file that is not there is an empty one unless `must_exist`. False: message_ret
 * says "path:line: what is wrong". config_free() is needed in any case.
 */
bool config_read(struct config *c, const char *path, bool must_exist, char *message_ret,
		 size_t size);
/* One line of a file; `section` is the target it belongs to, updated at a heading. */
bool config_line(struct config *c, struct config_target **section, char *line, char *message_ret,
		 size_t size);
const struct config_target *config_target(const struct config *c, const char *name);
void config_free(struct config *c);

/* Cut the value of `connect` into its words; how many. The text is changed and borrowed. */
size_t config_connections(char *text, const char *words[CONFIG_CONNECTIONS_MAX]);

/* "$XDG_CONFIG_HOME/openkd/config" and its like; `variable` unset or not absolute: $HOME/fallback.
 */
bool config_path(const char *variable, const char *fallback, const char *file, char *path_ret,
		 size_t size);

#endif
