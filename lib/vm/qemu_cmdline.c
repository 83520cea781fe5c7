/* SPDX-License-Identifier: MIT */
#include "lib/vm/qemu_cmdline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/vm/qemu_options.h"

enum { CHARDEVS_MAX = 64, MB = 1 << 20 };

/* What is under way: chardevs may stand before or behind what uses them. */
struct parse {
	struct kd_qemu_cmdline *c;
	size_t n_chardevs;
	struct kd_qemu_port chardevs[CHARDEVS_MAX];
	unsigned next_serial;
	const char *mem_path; /* into the arguments */
	char *machine_accel;  /* ours; NULL: none */
};

/* A text that does not fit is left out whole: half a path is another path. */
static void copy(struct parse *p, const char *from, char *to, size_t size)
{
	size_t n = strlen(from);

	if (n >= size) {
		p->c->is_cut = true;
		n = 0;
	}
	memcpy(to, from, n);
	to[n] = '\0';
}

#define COPY(p, from, to) copy(p, from, to, sizeof(to))

bool kd_qemu_is_program(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return !strncmp(name, "qemu-system-", 12) || !strcmp(name, "qemu-kvm") ||
	       !strcmp(name, "kvm");
}

/* --- character devices --- */

static uint16_t port_number(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

static void set_server(const struct kd__qemu_options *o, struct kd_qemu_port *port)
{
	port->is_server = kd__qemu_option_bool(o, "server", false);
	port->waits = port->is_server && kd__qemu_option_bool(o, "wait", true);
}

/* The host without the brackets of an IPv6 address. */
static void set_host(struct parse *p, const char *host, size_t n, struct kd_qemu_port *port)
{
	char text[KD_QEMU_PATH_SIZE];

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n >= sizeof text) {
		p->c->is_cut = true;
		n = 0;
	}
	memcpy(text, host, n);
	text[n] = '\0';
	COPY(p, text, port->path);
}

static void set_socket(struct parse *p, const struct kd__qemu_options *o, struct kd_qemu_port *port)
{
	const char *host = kd__qemu_option(o, "host");

	set_server(o, port);
	if (*kd__qemu_option(o, "path")) {
		port->kind = KD_QEMU_PORT_UNIX;
		COPY(p, kd__qemu_option(o, "path"), port->path);
	} else if (*kd__qemu_option(o, "fd")) {
		port->kind = KD_QEMU_PORT_FD;
	} else {
		port->kind = KD_QEMU_PORT_TCP;
		set_host(p, host, strlen(host), port);
		port->port = port_number(kd__qemu_option(o, "port"));
	}
}

struct kind_row {
	const char *name;
	enum kd_qemu_port_kind kind;
	bool has_path;
};

/* The backends of -chardev other than "socket"; what is not here nobody can connect to. */
static const struct kind_row chardev_kinds[] = {
	{ "pty", KD_QEMU_PORT_PTY, false },   { "file", KD_QEMU_PORT_FILE, true },
	{ "pipe", KD_QEMU_PORT_PIPE, true },  { "stdio", KD_QEMU_PORT_STDIO, false },
	{ "serial", KD_QEMU_PORT_TTY, true }, { "tty", KD_QEMU_PORT_TTY, true },
};

static void on_chardev(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	const char *backend = kd__qemu_option(o, "backend");
	struct kd_qemu_port *port;

	(void)value;
	if (p->n_chardevs == CHARDEVS_MAX) {
		p->c->is_cut = true;
		return;
	}
	port = &p->chardevs[p->n_chardevs++];
	memset(port, 0, sizeof *port);
	COPY(p, kd__qemu_option(o, "id"), port->id);
	if (!strcmp(backend, "socket"))
		set_socket(p, o, port);
	for (size_t i = 0; i < KD_ARRAY_LEN(chardev_kinds); i++) {
		const struct kind_row *row = &chardev_kinds[i];

		if (strcmp(backend, row->name) != 0)
			continue;
		port->kind = row->kind;
		if (row->has_path)
			COPY(p, kd__qemu_option(o, "path"), port->path);
	}
}

static void by_id(struct parse *p, const char *id, struct kd_qemu_port *port)
{
	COPY(p, id, port->id);
	for (size_t i = 0; i < p->n_chardevs; i++)
		if (!strcmp(p->chardevs[i].id, id))
			*port = p->chardevs[i];
}

/* The short form of -serial, -monitor, -qmp and -gdb: "unix:PATH,server=on". */

static void unix_form(struct parse *p, const char *rest, struct kd_qemu_port *port)
{
	struct kd__qemu_options o;

	if (kd__qemu_options_parse(rest, "path", &o) == KD_OK) {
		set_server(&o, port);
		COPY(p, kd__qemu_option(&o, "path"), port->path);
	}
	kd__qemu_options_deinit(&o);
}

/* HOST:PORT[,option...]; the host may be empty or [IPv6]. */
static void tcp_form(struct parse *p, const char *rest, struct kd_qemu_port *port)
{
	size_t n = strcspn(rest, ",");
	const char *colon = memrchr(rest, ':', n);
	struct kd__qemu_options o;

	if (!colon)
		return;
	set_host(p, rest, (size_t)(colon - rest), port);
	port->port = port_number(colon + 1);
	if (kd__qemu_options_parse(rest, "address", &o) == KD_OK)
		set_server(&o, port);
	kd__qemu_options_deinit(&o);
}

static void path_form(struct parse *p, const char *rest, struct kd_qemu_port *port)
{
	COPY(p, rest, port->path);
}

struct form {
	const char *prefix;
	enum kd_qemu_port_kind kind;
	void (*parse)(struct parse *p, const char *rest, struct kd_qemu_port *port);
};

static const struct form forms[] = {
	{ "unix:", KD_QEMU_PORT_UNIX, unix_form },    { "tcp:", KD_QEMU_PORT_TCP, tcp_form },
	{ "telnet:", KD_QEMU_PORT_TCP, tcp_form },    { "file:", KD_QEMU_PORT_FILE, path_form },
	{ "websocket:", KD_QEMU_PORT_TCP, tcp_form }, { "pipe:", KD_QEMU_PORT_PIPE, path_form },
	{ "chardev:", KD_QEMU_PORT_NONE, by_id },     { "pty", KD_QEMU_PORT_PTY, NULL },
	{ "stdio", KD_QEMU_PORT_STDIO, NULL },
};

static void short_form(struct parse *p, const char *value, struct kd_qemu_port *port)
{
	if (!strncmp(value, "mon:", 4))
		value += 4;
	if (!strncmp(value, "/dev/", 5)) {
		port->kind = KD_QEMU_PORT_TTY;
		COPY(p, value, port->path);
	}
	for (size_t i = 0; i < KD_ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i].prefix);

		if (strncmp(value, forms[i].prefix, n) != 0)
			continue;
		port->kind = forms[i].kind;
		if (forms[i].parse)
			forms[i].parse(p, value + n, port);
		return;
	}
}

static void add_port(struct parse *p, struct kd_qemu_port *port, enum kd_qemu_use use)
{
	if (p->c->n_ports == KD_QEMU_PORTS_MAX) {
		p->c->is_cut = true;
		return;
	}
	port->use = use;
	p->c->ports[p->c->n_ports++] = *port;
}

static void add_short(struct parse *p, const char *value, enum kd_qemu_use use)
{
	struct kd_qemu_port port = { .kind = KD_QEMU_PORT_NONE };

	if (!strcmp(value, "none"))
		return;
	short_form(p, value, &port);
	if (use == KD_QEMU_SERIAL)
		port.index = p->next_serial++;
	add_port(p, &port, use);
}

static void on_qmp(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	add_short(p, value, KD_QEMU_QMP);
}

static void on_monitor(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	add_short(p, value, KD_QEMU_MONITOR);
}

/* "-serial none" makes no port and takes no number (up to QEMU 8; later ones take it). */
static void on_serial(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	add_short(p, value, KD_QEMU_SERIAL);
}

static void on_gdb(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	struct kd_qemu_port port = { .kind = KD_QEMU_PORT_NONE };

	if (!strcmp(value, "none"))
		return;
	short_form(p, value, &port);
	/* The stub always listens, and never waits. */
	port.is_server |= port.kind == KD_QEMU_PORT_TCP;
	port.waits = false;
	add_port(p, &port, KD_QEMU_GDB);
}

static void on_gdb_default(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	on_gdb(p, o, "tcp::1234");
}

static void on_mon(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	struct kd_qemu_port port = { .kind = KD_QEMU_PORT_NONE };
	bool is_qmp = !strcmp(kd__qemu_option(o, "mode"), "control");

	by_id(p, kd__qemu_option(o, "chardev"), &port);
	add_port(p, &port, is_qmp ? KD_QEMU_QMP : KD_QEMU_MONITOR);
}

/* --- devices --- */

static void add_serial_device(struct parse *p, const struct kd__qemu_options *o)
{
	const char *index = kd__qemu_option(o, "index");
	struct kd_qemu_port port = { .kind = KD_QEMU_PORT_NONE };

	by_id(p, kd__qemu_option(o, "chardev"), &port);
	port.index = *index ? port_number(index) : p->next_serial;
	p->next_serial = KD_MAX(p->next_serial, port.index + 1);
	add_port(p, &port, KD_QEMU_SERIAL);
}

static void on_device(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	const char *driver = kd__qemu_option(o, "driver");

	if (!strcmp(driver, "isa-serial"))
		add_serial_device(p, o);
	if (strcmp(driver, "ivshmem-plain") != 0)
		return;
	if (p->c->n_ivshmem == KD_QEMU_IVSHMEM_MAX)
		p->c->is_cut = true;
	else
		COPY(p, kd__qemu_option(o, "memdev"), p->c->ivshmem[p->c->n_ivshmem++]);
}

/* --- memory --- */

static const struct backend_row {
	const char *type;
	enum kd_qemu_backend_kind kind;
	bool is_shared; /* unless told */
} backend_rows[] = {
	{ "memory-backend-ram", KD_QEMU_BACKEND_RAM, false },
	{ "memory-backend-memfd", KD_QEMU_BACKEND_MEMFD, true },
	{ "memory-backend-file", KD_QEMU_BACKEND_FILE, false },
	{ "memory-backend-", KD_QEMU_BACKEND_OTHER, false }, /* a prefix: those we don't know */
};

static struct kd_qemu_backend *add_backend(struct parse *p, enum kd_qemu_backend_kind kind)
{
	struct kd_qemu_backend *b;

	if (p->c->n_backends == KD_QEMU_BACKENDS_MAX) {
		p->c->is_cut = true;
		return NULL;
	}
	b = &p->c->backends[p->c->n_backends++];
	b->kind = kind;
	return b;
}

static void on_object(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	const char *type = kd__qemu_option(o, "qom-type");

	for (size_t i = 0; i < KD_ARRAY_LEN(backend_rows); i++) {
		const struct backend_row *row = &backend_rows[i];
		bool is_prefix = row->kind == KD_QEMU_BACKEND_OTHER;
		struct kd_qemu_backend *b;

		if (is_prefix ? strncmp(type, row->type, strlen(row->type)) != 0
			      : strcmp(type, row->type) != 0)
			continue;
		b = add_backend(p, row->kind);
		if (!b)
			return;
		b->is_shared = kd__qemu_option_bool(o, "share", row->is_shared);
		b->size = kd__qemu_size(kd__qemu_option(o, "size"), 1);
		COPY(p, kd__qemu_option(o, "id"), b->id);
		COPY(p, kd__qemu_option(o, "mem-path"), b->path);
		return;
	}
}

static void on_memory(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	uint64_t size = kd__qemu_size(kd__qemu_option(o, "size"), MB);

	if (size)
		p->c->memory_size = size;
}

static void on_mem_path(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	p->mem_path = value;
}

/* -mem-path makes QEMU's own backend one of files, private to the process. */
static void finish_mem_path(struct parse *p)
{
	struct kd_qemu_backend *b = p->mem_path ? add_backend(p, KD_QEMU_BACKEND_FILE) : NULL;

	if (!b)
		return;
	b->size = p->c->memory_size;
	COPY(p, "pc.ram", b->id);
	COPY(p, p->mem_path, b->path);
}

/* --- the machine --- */

static void on_machine(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	if (*kd__qemu_option(o, "type"))
		COPY(p, kd__qemu_option(o, "type"), p->c->machine);
	if (*kd__qemu_option(o, "memory-backend"))
		COPY(p, kd__qemu_option(o, "memory-backend"), p->c->memory_backend);
	/* accel=kvm:tcg; -accel goes before it. */
	if (*kd__qemu_option(o, "accel") && !p->machine_accel)
		p->machine_accel = strdup(kd__qemu_option(o, "accel"));
}

/* The first of several is tried first. */
static void on_accel(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	if (!p->c->accel[0])
		COPY(p, kd__qemu_option(o, "accel"), p->c->accel);
}

static void on_kvm(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	if (!p->c->accel[0])
		COPY(p, "kvm", p->c->accel);
}

static void finish_accel(struct parse *p)
{
	if (!p->c->accel[0] && p->machine_accel) {
		p->machine_accel[strcspn(p->machine_accel, ":")] = '\0';
		COPY(p, p->machine_accel, p->c->accel);
	}
	free(p->machine_accel);
}

static void on_name(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	COPY(p, kd__qemu_option(o, "guest"), p->c->name);
}

static void on_uuid(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	COPY(p, value, p->c->uuid);
}

/* How many processors at start: told, or the product of the parts that are. */
static void on_smp(struct parse *p, const struct kd__qemu_options *o, const char *value)
{
	static const char *const parts[] = { "sockets", "dies", "clusters", "cores", "threads" };
	unsigned long n = strtoul(kd__qemu_option(o, "cpus"), NULL, 10);

	if (!n) {
		n = 1;
		for (size_t i = 0; i < KD_ARRAY_LEN(parts) && n <= UINT16_MAX; i++) {
			unsigned long part = port_number(kd__qemu_option(o, parts[i]));

			n *= part ? part : 1;
		}
	}
	p->c->n_cpus = n <= UINT16_MAX ? (unsigned)n : UINT16_MAX;
}

/* --- arguments --- */

struct option {
	const char *name;
	void (*on)(struct parse *p, const struct kd__qemu_options *o, const char *value);
	const char *implied; /* key of the first part; NULL: the value is not of keys */
	bool is_chardev;     /* read before all others */
};

/* Those with a value that we read. */
static const struct option read_options[] = {
	{ "chardev", on_chardev, "backend", true },
	{ "qmp", on_qmp, NULL, false },
	{ "qmp-pretty", on_qmp, NULL, false },
	{ "monitor", on_monitor, NULL, false },
	{ "mon", on_mon, "chardev", false },
	{ "serial", on_serial, NULL, false },
	{ "gdb", on_gdb, NULL, false },
	{ "device", on_device, "driver", false },
	{ "object", on_object, "qom-type", false },
	{ "m", on_memory, "size", false },
	{ "mem-path", on_mem_path, NULL, false },
	{ "machine", on_machine, "type", false },
	{ "M", on_machine, "type", false },
	{ "accel", on_accel, "accel", false },
	{ "name", on_name, "guest", false },
	{ "uuid", on_uuid, NULL, false },
	{ "smp", on_smp, "cpus", false },
};

/* Those without a value that we read. */
static const struct option read_switches[] = {
	{ "enable-kvm", on_kvm, NULL, false },
	{ "s", on_gdb_default, NULL, false },
};

/*
 * Those whose value could look like an option ("-append -s"): it is passed over. All other options
 * that we don't read may have a value or not; a word without a dash is nothing to us either way.
 */
static const char *const passed_over[] = {
	"D",       "L",   "append",   "audiodev", "bios",    "blockdev", "boot",
	"cdrom",   "cpu", "d",        "debugcon", "display", "drive",    "dtb",
	"fda",     "fdb", "fsdev",    "fw_cfg",   "global",  "hda",      "hdb",
	"hdc",     "hdd", "incoming", "initrd",   "kernel",  "loadvm",   "net",
	"netdev",  "nic", "numa",     "parallel", "pflash",  "pidfile",  "rtc",
	"sandbox", "set", "smbios",   "spice",    "trace",   "vga",      "vnc",
};

static const struct option *find(const struct option *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

static bool is_passed_over(const char *name)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(passed_over); i++)
		if (!strcmp(passed_over[i], name))
			return true;
	return false;
}

static enum kd_status run(struct parse *p, const struct option *option, const char *value)
{
	struct kd__qemu_options o = { .n = 0 };
	enum kd_status s = KD_OK;

	if (option->implied)
		s = kd__qemu_options_parse(value, option->implied, &o);
	if (s == KD_OK)
		option->on(p, &o, value);
	p->c->is_cut |= o.is_cut;
	kd__qemu_options_deinit(&o);
	return s;
}

static const char *next_argument(const char *argument, const char *end)
{
	const char *next = argument + strlen(argument) + 1;

	return next < end ? next : NULL;
}

/* Each argument from the second on; `chardevs` tells which of the two rounds it is. */
static enum kd_status walk(struct parse *p, const char *bytes, const char *end, bool chardevs)
{
	enum kd_status s = KD_OK;
	const char *argument = next_argument(bytes, end);

	for (; argument && s == KD_OK; argument = next_argument(argument, end)) {
		const struct option *option;
		const char *name = argument;

		if (*name != '-')
			continue;
		name += 1 + (name[1] == '-');
		option = find(read_switches, KD_ARRAY_LEN(read_switches), name);
		if (option) {
			if (!chardevs)
				s = run(p, option, "");
			continue;
		}
		option = find(read_options, KD_ARRAY_LEN(read_options), name);
		if (!option && !is_passed_over(name))
			continue;
		argument = next_argument(argument, end);
		if (!argument)
			break;
		if (option && option->is_chardev == chardevs)
			s = run(p, option, argument);
	}
	return s;
}

static enum kd_status parse_all(const char *bytes, const char *end, struct kd_qemu_cmdline *c)
{
	struct parse *p = calloc(1, sizeof *p);
	const char *slash = strrchr(bytes, '/');
	enum kd_status s;

	if (!p)
		return KD_E_NO_MEMORY;
	p->c = c;
	c->n_cpus = 1;
	COPY(p, slash ? slash + 1 : bytes, c->program);
	s = walk(p, bytes, end, true);
	if (s == KD_OK)
		s = walk(p, bytes, end, false);
	finish_mem_path(p);
	finish_accel(p);
	free(p);
	return s;
}

enum kd_status kd_qemu_cmdline_parse(const char *bytes, size_t size, struct kd_qemu_cmdline *ret,
				     struct kd_error *err)
{
	size_t n = KD_MIN(size, (size_t)KD_QEMU_CMDLINE_MAX);
	enum kd_status s;
	char *text;

	memset(ret, 0, sizeof *ret);
	if (!n || !bytes[0])
		return kd_error_set(err, KD_E_MALFORMED, 0, "an empty command line");
	text = malloc(n + 1);
	if (!text)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	memcpy(text, bytes, n);
	text[n] = '\0';
	ret->is_cut = n < size;
	s = parse_all(text, text + n, ret);
	free(text);
	return s == KD_OK ? KD_OK : kd_error_set(err, s, 0, "out of memory");
}

const struct kd_qemu_port *kd_qemu_port_find(const struct kd_qemu_cmdline *c, enum kd_qemu_use use,
					     unsigned index)
{
	for (size_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].use == use && (use != KD_QEMU_SERIAL || c->ports[i].index == index))
			return &c->ports[i];
	return NULL;
}

const struct kd_qemu_backend *kd_qemu_backend_find(const struct kd_qemu_cmdline *c, const char *id)
{
	for (size_t i = 0; i < c->n_backends; i++)
		if (!strcmp(c->backends[i].id, id))
			return &c->backends[i];
	return NULL;
}
