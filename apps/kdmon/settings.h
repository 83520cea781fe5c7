/* SPDX-License-Identifier: MIT */
/* What kdmon was told: by the configuration file (apps/kd/config.h), in the form lists need. */
#ifndef APPS_KDMON_SETTINGS_H
#define APPS_KDMON_SETTINGS_H

#include <openkd/vm.h>

#include "apps/kd/config.h"

struct settings {
	struct config config;
	struct kd_vm_target targets[CONFIG_TARGETS_MAX];
	size_t n_targets;
	char *uris; /* owned; cut into words */
	const char *connections[CONFIG_CONNECTIONS_MAX];
	size_t n_connections;
};

/* False: message_ret says what is wrong. settings_free() in any case. */
bool settings_read(struct settings *s, const char *path, char *message_ret, size_t size);
void settings_free(struct settings *s);

/* As kd_vm_list_create() with them. */
enum kd_status settings_list(const struct settings *s, struct kd_vm_list **list_ret,
			     struct kd_error *err);

#endif
