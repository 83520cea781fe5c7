/* SPDX-License-Identifier: MIT */
/*
 * VMware's .vmx: lines `key = "value"`; keys without regard to case, `|22` and the like in values
 * are characters by their hexadecimal number.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/vm_found.h"

enum { LINE_MAX_SIZE = 4096, LINES_MAX = 1 << 16 };

struct serial {
	bool is_present, is_client;
	char type[32], file[KD_QEMU_PATH_SIZE];
};

struct machine {
	char name[KD_QEMU_TEXT_SIZE], uuid[64];
	struct serial serial[KD_VM_SERIALS_MAX];
};

static const struct {
	const char *name;
	enum kd_qemu_port_kind kind;
} types[] = {
	{ "pipe", KD_QEMU_PORT_UNIX }, /* on Linux a pipe is a unix socket */
	{ "network", KD_QEMU_PORT_TCP },
	{ "device", KD_QEMU_PORT_TTY },
	{ "file", KD_QEMU_PORT_FILE },
};

static int digit(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

static void unescape(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++) {
		if (*from == '|' && digit(from[1]) >= 0 && digit(from[2]) >= 0) {
			to[n++] = (char)(digit(from[1]) * 16 + digit(from[2]));
			from += 2;
		} else {
			to[n++] = *from;
		}
	}
	/* What does not fit is left out whole: half a path is another path. */
	to[*from ? 0 : n] = '\0';
}

static bool is_true(const char *value)
{
	return strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static void take_serial(struct serial *s, const char *key, const char *value)
{
	if (strcasecmp(key, "present") == 0)
		s->is_present = is_true(value);
	else if (strcasecmp(key, "fileType") == 0)
		unescape(value, s->type, sizeof s->type);
	else if (strcasecmp(key, "fileName") == 0)
		unescape(value, s->file, sizeof s->file);
	else if (strcasecmp(key, "pipe.endPoint") == 0 || strcasecmp(key, "network.endPoint") == 0)
		s->is_client = strcasecmp(value, "client") == 0;
}

static void take_pair(struct machine *m, const char *key, const char *value)
{
	if (strcasecmp(key, "displayName") == 0)
		unescape(value, m->name, sizeof m->name);
	else if (strcasecmp(key, "uuid.bios") == 0)
		unescape(value, m->uuid, sizeof m->uuid);
	else if (strncasecmp(key, "serial", 6) == 0 && isdigit((unsigned char)key[6]) &&
		 key[6] < '0' + KD_VM_SERIALS_MAX && key[7] == '.')
		take_serial(&m->serial[key[6] - '0'], key + 8, value);
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		s[--n] = '\0';
	return s;
}

static void take_line(struct machine *m, char *line)
{
	char *equals = strchr(line, '='), *value;
	size_t n;

	line = trim(line);
	if (!equals || *line == '#' || *line == '.')
		return;
	*equals = '\0';
	value = trim(equals + 1);
	n = strlen(value);
	if (n < 2 || value[0] != '"' || value[n - 1] != '"')
		return;
	value[n - 1] = '\0';
	take_pair(m, trim(line), value + 1);
}

/* file "host:port" or "telnet://host:port" of a network port */
static void take_address(struct kd_qemu_port *port, const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *host = scheme ? scheme + 3 : text;
	const char *colon = strrchr(host, ':');
	unsigned long number = strtoul(colon ? colon + 1 : host, NULL, 10);

	port->port = number <= UINT16_MAX ? (uint16_t)number : 0;
	snprintf(port->path, sizeof port->path, "%.*s", colon ? (int)(colon - host) : 0, host);
}

static void add_port(struct kd_vm_found *vm, const struct serial *s, unsigned index,
		     const char *folder)
{
	struct kd_qemu_port *port = &vm->serials[vm->n_serials++];

	memset(port, 0, sizeof *port);
	port->use = KD_QEMU_SERIAL;
	port->index = index;
	port->is_server = !s->is_client;
	for (size_t i = 0; i < KD_ARRAY_LEN(types); i++)
		if (strcasecmp(s->type, types[i].name) == 0)
			port->kind = types[i].kind;
	if (port->kind == KD_QEMU_PORT_TCP)
		take_address(port, s->file);
	else if (s->file[0] == '/' || !s->file[0])
		memcpy(port->path, s->file, sizeof port->path);
	else if (snprintf(port->path, sizeof port->path, "%s/%s", folder, s->file) >=
		 (int)sizeof port->path)
		port->path[0] = '\0';
}

static void finish(const struct machine *m, const char *path, struct kd_vm_found *vm)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char folder[KD_QEMU_PATH_SIZE];

	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	vm->source = KD_VM_VMWARE;
	vm->state = KD_VM_OFF;
	snprintf(vm->name, sizeof vm->name, "%s", m->name);
	if (!vm->name[0])
		snprintf(vm->name, sizeof vm->name, "%.*s", (int)strcspn(base, "."), base);
	snprintf(vm->connection, sizeof vm->connection, "%s", path);
	snprintf(vm->id, sizeof vm->id, "%s", path);
	for (unsigned i = 0; i < KD_VM_SERIALS_MAX; i++)
		if (m->serial[i].is_present)
			add_port(vm, &m->serial[i], i, folder);
}

enum kd_status kd__vmx_parse(const char *text, size_t size, const char *path,
			     struct kd_vm_found *ret, struct kd_error *err)
{
	struct machine m = { .name = "" };
	char line[LINE_MAX_SIZE];
	bool has_pair = false;

	if (memchr(text, '\0', size))
		return kd_error_set(err, KD_E_MALFORMED, 0, "it is not a text");
	for (size_t at = 0, lines = 0; at < size; lines++) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t n = end ? (size_t)(end - text) - at : size - at;

		if (lines == LINES_MAX)
			return kd_error_set(err, KD_E_TOO_BIG, at, "more than %d lines", LINES_MAX);
		if (n < sizeof line) {
			memcpy(line, text + at, n);
			line[n] = '\0';
			has_pair |= strchr(line, '=') != NULL;
			take_line(&m, line);
		}
		at += n + 1;
	}
	if (!has_pair)
		return kd_error_set(err, KD_E_MALFORMED, 0, "it has no line like: key = \"value\"");
	finish(&m, path, ret);
	return KD_OK;
}
