/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/sources.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openkd/vm.h>

#include "apps/kd/config.h"
#include "apps/kd/text.h"

enum { LOOK_MS = 50 };

#define MONITOR_SOCKET "kdmon.sock" /* it does not speak as a session does */

static struct source *add(struct source_list *list, const char *prefix, const char *id,
			  const char *name)
{
	struct source *s;
	size_t n;

	if (list->n == SOURCES_MAX)
		return NULL;
	s = &list->source[list->n++];
	n = (size_t)snprintf(s->id, sizeof(s->id), "%s", prefix);
	for (; *id && n + 1 < sizeof(s->id); id++)
		s->id[n++] = isalnum((unsigned char)*id) || strchr("-_.", *id) ? *id : '-';
	s->id[n] = '\0';
	snprintf(s->name, sizeof(s->name), "%.90s", name);
	/* braces are extcap's own */
	for (char *p = s->name; *p; p++)
		if (strchr("{}", *p) || iscntrl((unsigned char)*p))
			*p = '_';
	return s;
}

/* --- sessions --- */

static bool someone_listens(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answered;

	app_copy(address.sun_path, sizeof(address.sun_path), path, strlen(path));
	answered = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return answered;
}

static void find_sessions(struct source_list *list)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char fallback[64], folder[200], path[108], name[96];
	struct dirent *entry;
	DIR *d;

	snprintf(fallback, sizeof(fallback), "/run/user/%u", (unsigned)getuid());
	snprintf(folder, sizeof(folder), "%s/openkd", base && base[0] == '/' ? base : fallback);
	d = opendir(folder);
	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);
		struct source *s;

		if (n < 6 || n - 5 >= sizeof(name) || strcmp(entry->d_name + n - 5, ".sock") != 0 ||
		    strcmp(entry->d_name, MONITOR_SOCKET) == 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    (int)sizeof(path) ||
		    !someone_listens(path))
			continue;
		app_copy(name, sizeof(name), entry->d_name, n - 5);
		s = add(list, "openkd-", name, name);
		if (s)
			app_copy(s->session, sizeof(s->session), path, strlen(path));
	}
	if (d)
		closedir(d);
}

/* --- machines --- */

static struct source *session_at(struct source_list *list, const char *path)
{
	for (size_t i = 0; *path && i < list->n; i++)
		if (strcmp(list->source[i].session, path) == 0)
			return &list->source[i];
	return NULL;
}

static void add_machine(struct source_list *list, const struct kd_vm *vm)
{
	struct source *s = session_at(list, vm->session);
	char name[96];

	if (s) { /* it says more than a socket's name */
		if (strcmp(s->name, vm->name) != 0) {
			snprintf(name, sizeof(name), "%.45s (%.40s)", vm->name, s->name);
			app_copy(s->name, sizeof(s->name), name, strlen(name));
		}
		return;
	}
	s = add(list, "openkd-vm-", vm->id, vm->name);
	if (!s)
		return;
	snprintf(s->endpoint, sizeof(s->endpoint), "%.250s", vm->endpoint);
	s->is_taken = vm->debugger == KD_VM_DEBUGGER_OTHER && vm->n_obstacles;
	for (size_t i = 0; i < vm->n_obstacles; i++)
		snprintf(s->obstacle + strlen(s->obstacle),
			 sizeof(s->obstacle) - strlen(s->obstacle), "%s%s", i ? "; " : "",
			 vm->obstacles[i]);
}

static void find_machines(struct source_list *list)
{
	struct kd_vm_list_options options = KD_VM_LIST_OPTIONS_INIT;
	struct kd_vm_target targets[CONFIG_TARGETS_MAX];
	struct config config = { 0 };
	char path[512], message[800];
	struct kd_vm_list *vms;

	config_path("XDG_CONFIG_HOME", ".config", "config", path, sizeof(path));
	/* a mistake in the file is kd's to tell: what was read of it is good */
	config_read(&config, path, false, message, sizeof(message));
	for (size_t i = 0; i < config.n_targets; i++)
		if (config.targets[i].endpoint)
			targets[options.n_targets++] = (struct kd_vm_target){
				config.targets[i].name, config.targets[i].endpoint
			};
	options.targets = targets;
	options.timeout_ms = LOOK_MS;
	options.leaves_monitors = true;
	if (kd_vm_list_create(&options, &vms, NULL) == KD_OK) {
		for (size_t i = 0; i < kd_vm_list_size(vms); i++)
			add_machine(list, kd_vm_list_get(vms, i));
		kd_vm_list_destroy(vms);
	}
	config_free(&config);
}

/* --- all --- */

bool sources_find(struct source_list *list)
{
	list->n = 0;
	list->source = calloc(SOURCES_MAX, sizeof(*list->source));
	if (!list->source)
		return false;
	find_sessions(list);
	find_machines(list);
	return true;
}

void sources_free(struct source_list *list)
{
	free(list->source);
	*list = (struct source_list){ 0 };
}

const struct source *sources_get(const struct source_list *list, const char *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->source[i].id, id) == 0)
			return &list->source[i];
	return NULL;
}
