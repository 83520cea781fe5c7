/* SPDX-License-Identifier: MIT */
/*
 * Command lines (NULs between arguments) and single option values. Oracle: counts are within their
 * limits, texts end, serial numbers and kinds are such that the ports can be used; what is parsed
 * twice is the same; keys and values, written with commas doubled, read as themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/qemu_cmdline.h"
#include "lib/vm/qemu_options.h"
#include "lib/vm/qemu_process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
}

static void check_port(const struct kd_qemu_port *p)
{
	check_text(p->id, sizeof p->id);
	check_text(p->path, sizeof p->path);
	if ((unsigned)p->use > KD_QEMU_GDB || (unsigned)p->kind > KD_QEMU_PORT_STDIO ||
	    (p->waits && !p->is_server) || (p->port && p->kind != KD_QEMU_PORT_TCP) ||
	    (p->use != KD_QEMU_SERIAL && p->index))
		abort();
}

static void check(const struct kd_qemu_cmdline *c)
{
	if (c->n_ports > KD_QEMU_PORTS_MAX || c->n_backends > KD_QEMU_BACKENDS_MAX ||
	    c->n_ivshmem > KD_QEMU_IVSHMEM_MAX || !c->n_cpus)
		abort();
	check_text(c->program, sizeof c->program);
	check_text(c->name, sizeof c->name);
	check_text(c->uuid, sizeof c->uuid);
	check_text(c->machine, sizeof c->machine);
	check_text(c->memory_backend, sizeof c->memory_backend);
	check_text(c->accel, sizeof c->accel);
	for (size_t i = 0; i < c->n_ports; i++) {
		check_port(&c->ports[i]);
		if (!kd_qemu_port_find(c, c->ports[i].use, c->ports[i].index))
			abort();
	}
	for (size_t i = 0; i < c->n_backends; i++) {
		check_text(c->backends[i].id, sizeof c->backends[i].id);
		check_text(c->backends[i].path, sizeof c->backends[i].path);
		if (!kd_qemu_backend_find(c, c->backends[i].id))
			abort();
	}
}

/* A copy of each argument's own size: reading beyond its end is seen. */
static void check_options(const char *argument)
{
	struct kd__qemu_options o, again;
	size_t size = 1;
	char *text, *p;

	if (kd__qemu_options_parse(argument, "first", &o) != KD_OK)
		abort();
	for (size_t i = 0; i < o.n; i++)
		size += 2 * (strlen(o.row[i].key) + strlen(o.row[i].value)) + 2;
	p = text = malloc(size);
	if (!text)
		abort();
	for (size_t i = 0; i < o.n; i++) {
		const char *const parts[] = { o.row[i].key, o.row[i].value };

		for (int k = 0; k < 2; k++) {
			for (const char *from = parts[k]; *from; from++) {
				*p++ = *from;
				if (*from == ',')
					*p++ = ',';
			}
			*p++ = k ? ',' : '=';
		}
	}
	if (p > text)
		p--;
	*p = '\0';
	/* What an object holds may look like anything as text: keys with "=" in them are left out.
	 */
	if (argument[0] != '{' && !o.is_cut) {
		if (kd__qemu_options_parse(text, NULL, &again) != KD_OK || again.n != o.n)
			abort();
		for (size_t i = 0; i < o.n; i++)
			if (strcmp(o.row[i].key, again.row[i].key) != 0 ||
			    strcmp(o.row[i].value, again.row[i].value) != 0)
				abort();
		kd__qemu_options_deinit(&again);
	}
	kd__qemu_options_deinit(&o);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd_qemu_cmdline c, again;
	struct kd_error err = { 0 };
	char *text = malloc(size + 1), state;
	uint64_t start;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (kd_qemu_cmdline_parse((const char *)data, size, &c, &err) == KD_OK) {
		check(&c);
		kd_qemu_cmdline_parse((const char *)data, size, &again, &err);
		if (memcmp(&c, &again, sizeof c) != 0)
			abort();
	} else if (err.status != KD_E_MALFORMED || (size && data[0])) {
		abort();
	}
	check_options(text);
	kd_qemu_is_program(text);
	kd__proc_stat_parse(text, &state, &start);
	if (kd__qemu_size(text, 1 << 20) >= UINT64_C(1) << 53)
		abort();
	free(text);
	return 0;
}
