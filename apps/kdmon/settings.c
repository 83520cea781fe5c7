/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/settings.h"

#include <stdlib.h>

#include "apps/kd/text.h"

bool settings_read(struct settings *s, const char *path, char *message_ret, size_t size)
{
	char own[512] = "";

	*s = (struct settings){ 0 };
	if (!path)
		config_path("XDG_CONFIG_HOME", ".config", "config", own, sizeof(own));
	if (!config_read(&s->config, path ? path : own, path != NULL, message_ret, size))
		return false;
	for (size_t i = 0; i < s->config.n_targets; i++)
		if (s->config.targets[i].endpoint)
			s->targets[s->n_targets++] = (struct kd_vm_target){
				s->config.targets[i].name, s->config.targets[i].endpoint
			};
	s->uris = app_strdup(s->config.connections ? s->config.connections : "");
	s->n_connections = config_connections(s->uris, s->connections);
	return true;
}

void settings_free(struct settings *s)
{
	free(s->uris);
	config_free(&s->config);
}

enum kd_status settings_list(const struct settings *s, struct kd_vm_list **list_ret,
			     struct kd_error *err)
{
	struct kd_vm_list_options o = KD_VM_LIST_OPTIONS_INIT;

	o.targets = s->targets;
	o.n_targets = s->n_targets;
	/* None named: those whose daemon listens. */
	o.connections = s->config.connections ? s->connections : NULL;
	o.n_connections = s->n_connections;
	return kd_vm_list_create(&o, list_ret, err);
}
