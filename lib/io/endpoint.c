/* SPDX-License-Identifier: MIT */
/*
 * Endpoint texts to values and back. What a scheme allows stands in its row in transports.c; the
 * options stand in the table below.
 *
 * The text is cut at single commas into parts; two commas are one literal comma. The first part
 * holds the scheme and its body, each further one is `name` or `name=value`. After `com:` there is
 * no body: all parts are options, and which of them are there decides the kind.
 */
#include "lib/io/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "lib/io/net_crypto.h"
#include "lib/io/private_dir.h"
#include "lib/io/transport_private.h"

enum { PART_SIZE = KD_ENDPOINT_PATH_SIZE, BAUD_MAX = 20000000, RESETS_MAX = 1000000 };

#define ADDRESS_BYTES "0123456789abcdefABCDEF.:"

struct parser {
	const char *text;
	size_t at;            /* of the next part */
	size_t part_at;       /* where `part` began */
	char part[PART_SIZE]; /* commas undoubled */
	struct kd_error *err;
};

/* A complaint about the `size` bytes at `at`; says the column and quotes at most 40 bytes. */
static enum kd_status complain(const struct parser *p, size_t at, const char *why)
{
	size_t size = strcspn(p->text + at, ",");

	if (size == 0)
		return kd_error_set(p->err, KD_E_SYNTAX, at, "%s, at column %zu of \"%.80s\"", why,
				    at + 1, p->text);
	return kd_error_set(p->err, KD_E_SYNTAX, at, "%s: \"%.*s\" at column %zu", why,
			    (int)KD_MIN(size, 40), p->text + at, at + 1);
}

/* The next part into p->part. KD_E_NOT_FOUND: there is none. */
static enum kd_status next_part(struct parser *p)
{
	size_t n = 0;

	if (p->text[p->at] == '\0')
		return KD_E_NOT_FOUND;
	p->part_at = p->at;
	for (;; p->at++) {
		char c = p->text[p->at];

		if (c == ',' && p->text[p->at + 1] == ',')
			p->at++;
		else if (c == ',' || c == '\0')
			break;
		if (n + 1 == sizeof p->part)
			return kd_error_set(p->err, KD_E_SYNTAX, p->part_at,
					    "more than %d bytes in one part, at column %zu",
					    PART_SIZE - 1, p->part_at + 1);
		p->part[n++] = c;
	}
	p->part[n] = '\0';
	if (p->text[p->at] == ',' && p->text[++p->at] == '\0')
		return kd_error_set(p->err, KD_E_SYNTAX, p->at - 1,
				    "nothing follows the comma at column %zu", p->at);
	return KD_OK;
}

/* Decimal digits only, min..max. */
static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	if (value < min)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* --- options --- */

static bool set_reconnect(struct kd_endpoint *ep, const char *value)
{
	uint32_t on = 1;

	if (value && !parse_number(value, 0, 1, &on))
		return false;
	ep->reconnect = on;
	return true;
}

static bool set_resets(struct kd_endpoint *ep, const char *value)
{
	return value && parse_number(value, 0, RESETS_MAX, &ep->max_resets);
}

static bool set_baud(struct kd_endpoint *ep, const char *value)
{
	return value && parse_number(value, 50, BAUD_MAX, &ep->baud);
}

static const struct {
	enum kd__option bit;
	const char *name, *domain;
	bool (*set)(struct kd_endpoint *ep, const char *value);
} options[] = {
	{ KD__OPTION_RECONNECT, "reconnect", "reconnect takes no value, or 0 or 1", set_reconnect },
	{ KD__OPTION_RESETS, "resets", "resets wants a number, 0 means no limit", set_resets },
	{ KD__OPTION_BAUD, "baud", "baud wants a number of bits per second from 50 to 20000000",
	  set_baud },
};

/* Cuts p->part at its '='; the value or NULL. */
static char *cut_value(struct parser *p)
{
	char *equals = strchr(p->part, '=');

	if (!equals)
		return NULL;
	*equals = '\0';
	return equals + 1;
}

/* KD_E_NOT_FOUND: p->part names none of the `allowed` options. */
static enum kd_status apply_option(struct parser *p, unsigned allowed, const char *value,
				   struct kd_endpoint *ep)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(options); i++) {
		if (!(allowed & options[i].bit) || strcmp(options[i].name, p->part) != 0)
			continue;
		if (!options[i].set(ep, value))
			return complain(p, p->part_at, options[i].domain);
		return KD_OK;
	}
	return KD_E_NOT_FOUND;
}

static enum kd_status unknown_option(const struct parser *p, const struct kd__scheme *scheme)
{
	char known[64] = "none";
	size_t n = 0;

	for (size_t i = 0; i < KD_ARRAY_LEN(options); i++)
		if (scheme->options & options[i].bit && n < sizeof known)
			n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "",
					      options[i].name);
	return kd_error_set(p->err, KD_E_SYNTAX, p->part_at,
			    "\"%.40s\" at column %zu is no option of %s: (known: %s; a comma in a "
			    "path is written twice)",
			    p->part, p->part_at + 1, scheme->name, known);
}

static enum kd_status parse_options(struct parser *p, const struct kd__scheme *scheme,
				    struct kd_endpoint *ep)
{
	enum kd_status s;

	while ((s = next_part(p)) == KD_OK) {
		const char *value = cut_value(p);

		s = apply_option(p, scheme->options, value, ep);
		if (s == KD_E_NOT_FOUND)
			return unknown_option(p, scheme);
		if (s != KD_OK)
			return s;
	}
	return s == KD_E_NOT_FOUND ? KD_OK : s;
}

/* --- bodies --- */

static const struct kd__scheme *scheme_of(enum kd_endpoint_kind kind)
{
	const struct kd__scheme *row = kd__schemes;

	while (row->kind != kind || row->body >= KD__BODY_WINDBG_COM)
		row++;
	return row;
}

static enum kd_status set_path(struct parser *p, const struct kd__scheme *scheme, size_t at,
			       const char *path, struct kd_endpoint *ep)
{
	size_t size = strlen(path);

	if (size > scheme->path_max || size >= sizeof ep->path)
		return kd_error_set(p->err, KD_E_SYNTAX, at,
				    "the path at column %zu has %zu bytes; %s: takes at most %zu",
				    at + 1, size, scheme->name, scheme->path_max);
	memcpy(ep->path, path, size + 1);
	return KD_OK;
}

static bool is_host_text(const char *host)
{
	return *host && strlen(host) < 256 && !strpbrk(host, " /\\[]\"'");
}

/* `host` ends before `colon`; [IPv6] loses its brackets. */
static enum kd_status set_host(struct parser *p, size_t at, char *host, struct kd_endpoint *ep)
{
	size_t n = strlen(host);
	bool has_brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';

	if (has_brackets) {
		host[n - 1] = '\0';
		host++;
	}
	if (!is_host_text(host))
		return complain(p, at, "not a host name or address");
	if (strchr(host, ':') && !has_brackets)
		return complain(p, at, "write an IPv6 address as [ADDRESS]");
	snprintf(ep->path, sizeof ep->path, "%s", host);
	return KD_OK;
}

static enum kd_status parse_host_port(struct parser *p, size_t at, char *body, uint32_t min_port,
				      struct kd_endpoint *ep)
{
	char *colon = strrchr(body, ':');
	uint32_t port;

	if (!colon || strchr(colon, ']'))
		return complain(p, at, "HOST:PORT is wanted");
	*colon = '\0';
	if (!parse_number(colon + 1, min_port, UINT16_MAX, &port))
		return complain(p, at + (size_t)(colon + 1 - body), "not a port number");
	ep->port = (uint16_t)port;
	return set_host(p, at, body, ep);
}

static enum kd_status parse_body(struct parser *p, const struct kd__scheme *scheme,
				 struct kd_endpoint *ep)
{
	size_t skip = strlen(scheme->name) + 1, at = p->part_at + skip;
	char *body = p->part + skip;

	if (scheme->body == KD__BODY_HOST_PORT)
		return parse_host_port(p, at, body, 1, ep);
	if (scheme->body == KD__BODY_HOST_ANY_PORT)
		return parse_host_port(p, at, body, 0, ep);
	if (scheme->body == KD__BODY_PATH && !*body)
		return kd_error_set(p->err, KD_E_SYNTAX, at,
				    "%s: wants a path at column %zu, as in %s", scheme->name,
				    at + 1, scheme->text);
	return set_path(p, scheme, at, body, ep);
}

/* --- WinDbg's com: --- */

struct com {
	bool is_pipe;
	char port[PART_SIZE], ipport[8];
	size_t port_at, ipport_at;
	bool has_port, has_ipport;
};

static const char pipe_prefix[] = "\\\\.\\pipe\\";
static const char device_prefix[] = "\\\\.\\";

static bool starts_with(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* com1 -> /dev/ttyS0; \\.\com12 -> /dev/ttyS11; a path stays. */
static enum kd_status com_device(struct parser *p, const struct com *com, struct kd_endpoint *ep)
{
	const char *port = com->port;
	char device[32];
	uint32_t number;

	if (starts_with(port, device_prefix))
		port += strlen(device_prefix);
	if (starts_with(port, "com") && parse_number(port + 3, 1, 256, &number)) {
		snprintf(device, sizeof device, "/dev/ttyS%u", number - 1);
		port = device;
	}
	if (port[0] != '/')
		return complain(p, com->port_at,
				"port= wants com1..com256 or a device such as /dev/ttyS0");
	ep->kind = KD_ENDPOINT_SERIAL;
	if (ep->baud == 0)
		ep->baud = KD_BAUD_DEFAULT;
	return set_path(p, scheme_of(ep->kind), com->port_at, port, ep);
}

/* \\.\pipe\NAME is NAME in the runtime folder, where kdmon puts its sockets; a path stays. */
static enum kd_status com_pipe(struct parser *p, const struct com *com, struct kd_endpoint *ep)
{
	const char *name = com->port + strlen(pipe_prefix);
	char path[KD_ENDPOINT_PATH_SIZE];
	enum kd_status s;

	ep->kind = KD_ENDPOINT_UNIX;
	ep->baud = 0; /* habitual in -k strings for pipes, and without meaning there */
	if (starts_with(com->port, pipe_prefix)) {
		if (!*name || strpbrk(name, "/\\") || *name == '.')
			return complain(p, com->port_at, "not a pipe name");
		s = kd_private_dir_path(KD_DIR_RUNTIME, name, path, sizeof path, p->err);
		return s == KD_OK ? set_path(p, scheme_of(ep->kind), com->port_at, path, ep) : s;
	}
	if (com->port[0] == '\\')
		return complain(p, com->port_at,
				"pipes of other machines are out of reach; use tcp: or ssh");
	if (!com->port[0])
		return complain(p, com->port_at, "port= wants the path of a socket");
	return set_path(p, scheme_of(ep->kind), com->port_at, com->port, ep);
}

static enum kd_status com_tcp(struct parser *p, struct com *com, struct kd_endpoint *ep)
{
	uint32_t port;

	if (!parse_number(com->ipport, 1, UINT16_MAX, &port))
		return complain(p, com->ipport_at, "not a port number");
	ep->kind = KD_ENDPOINT_TCP;
	ep->baud = 0;
	ep->port = (uint16_t)port;
	/* Here a bare IPv6 address is unambiguous. */
	if (strchr(com->port, ':') && com->port[0] != '[' && is_host_text(com->port)) {
		snprintf(ep->path, sizeof ep->path, "%.255s", com->port);
		return KD_OK;
	}
	return set_host(p, com->port_at, com->port, ep);
}

/* The options of com: that are not options of ours. Value offsets are for complaints. */
static enum kd_status com_option(struct parser *p, const char *value, struct com *com)
{
	size_t value_at = p->part_at + strlen(p->part) + 1;

	if (strcmp(p->part, "pipe") == 0 && !value) {
		com->is_pipe = true;
		return KD_OK;
	}
	if (strcmp(p->part, "port") == 0 && value) {
		com->has_port = true;
		com->port_at = value_at;
		snprintf(com->port, sizeof com->port, "%s", value);
		return KD_OK;
	}
	if (strcmp(p->part, "ipport") == 0 && value) {
		com->has_ipport = true;
		com->ipport_at = value_at;
		if (strlen(value) >= sizeof com->ipport)
			return complain(p, value_at, "not a port number");
		snprintf(com->ipport, sizeof com->ipport, "%s", value);
		return KD_OK;
	}
	return complain(p, p->part_at,
			"com: knows port=, baud=, pipe, ipport=, reconnect and resets=, not this");
}

static enum kd_status com_finish(struct parser *p, struct com *com, struct kd_endpoint *ep)
{
	if (!com->has_port)
		return kd_error_set(p->err, KD_E_SYNTAX, p->at,
				    "com: wants port=, as in com:pipe,port=/tmp/win.sock");
	if (com->is_pipe && com->has_ipport)
		return complain(p, com->ipport_at, "pipe and ipport= exclude each other");
	if (com->is_pipe)
		return com_pipe(p, com, ep);
	return com->has_ipport ? com_tcp(p, com, ep) : com_device(p, com, ep);
}

static enum kd_status parse_com(struct parser *p, const struct kd__scheme *scheme,
				struct kd_endpoint *ep)
{
	struct com com = { 0 };
	enum kd_status s;

	p->at = strlen(scheme->name) + 1;
	while ((s = next_part(p)) == KD_OK) {
		const char *value = cut_value(p);

		s = apply_option(p, scheme->options, value, ep);
		if (s == KD_E_NOT_FOUND)
			s = com_option(p, value, &com);
		if (s != KD_OK)
			return s;
	}
	return s == KD_E_NOT_FOUND ? com_finish(p, &com, ep) : s;
}

/* --- WinDbg's net: --- */

/* Nothing is quoted here: any part may be the key, mistyped. */
static enum kd_status net_complain(const struct parser *p, enum kd_status status, const char *why)
{
	return kd_error_set(p->err, status, p->part_at, "%s, at column %zu of the net: endpoint",
			    why, p->part_at + 1);
}

static enum kd_status net_key(struct parser *p, const char *value, struct kd_endpoint *ep)
{
	struct kd_net_keys keys;
	enum kd_status s = kd_net_key_from_text(value, &keys, p->err);

	OPENSSL_cleanse(&keys, sizeof keys);
	if (s != KD_OK) {
		if (p->err)
			p->err->where = p->part_at;
		return s;
	}
	snprintf(ep->key, sizeof ep->key, "%s", value);
	return KD_OK;
}

static enum kd_status net_option(struct parser *p, const char *value, struct kd_endpoint *ep)
{
	uint32_t port;

	if (strcmp(p->part, "key") == 0 && value)
		return net_key(p, value, ep);
	if (strcmp(p->part, "port") == 0 && value) {
		if (!parse_number(value, 1, UINT16_MAX, &port))
			return net_complain(p, KD_E_SYNTAX, "port= wants a number from 1 to 65535");
		ep->port = (uint16_t)port;
		return KD_OK;
	}
	if (strcmp(p->part, "bind") == 0 && value) {
		if (!*value || strlen(value) > 45 || strspn(value, ADDRESS_BYTES) != strlen(value))
			return net_complain(p, KD_E_SYNTAX,
					    "bind= wants an IP address of this machine");
		snprintf(ep->path, sizeof ep->path, "%s", value);
		return KD_OK;
	}
	if (strcmp(p->part, "target") == 0)
		return net_complain(p, KD_E_UNSUPPORTED,
				    "target=: a target that is called is not supported; let it "
				    "call (bcdedit /dbgsettings net hostip:... without it here)");
	return net_complain(p, KD_E_SYNTAX, "not an option: port=, key= and bind= are");
}

static enum kd_status parse_net(struct parser *p, const struct kd__scheme *scheme,
				struct kd_endpoint *ep)
{
	enum kd_status s;

	p->at = strlen(scheme->name) + 1;
	while ((s = next_part(p)) == KD_OK) {
		const char *value = cut_value(p);

		s = net_option(p, value, ep);
		if (s != KD_OK)
			return s;
	}
	p->part_at = p->at;
	if (s != KD_E_NOT_FOUND)
		return s;
	if (!ep->port)
		return net_complain(p, KD_E_SYNTAX,
				    "port= is missing, as in net:port=50000,key=...");
	if (!ep->key[0])
		return net_complain(p, KD_E_SYNTAX,
				    "key= is missing: the four words that bcdedit /dbgsettings "
				    "shows in the target");
	return KD_OK;
}

/* --- the whole --- */

static const struct kd__scheme *find_scheme(const char *text)
{
	size_t n = strcspn(text, ":");

	if (text[n] != ':')
		return NULL;
	for (const struct kd__scheme *row = kd__schemes; row->name; row++)
		if (strlen(row->name) == n && strncasecmp(row->name, text, n) == 0)
			return row;
	return NULL;
}

static enum kd_status unknown_scheme(const char *text, struct kd_error *err)
{
	if (text[0] == '/')
		return kd_error_set(err, KD_E_SYNTAX, 0,
				    "\"%.80s\" is a bare path: write unix:%.80s for a socket, or "
				    "serial: or replay: before it",
				    text, text);
	return kd_error_set(err, KD_E_SYNTAX, 0,
			    "\"%.*s\" at column 1 is no transport: unix:, tcp:, serial:, pty:, "
			    "replay: and WinDbg's com: and net: are",
			    (int)KD_MIN(strcspn(text, ":,"), 40), text);
}

/* They would tear the one line of an error message, and no place is named so. */
static enum kd_status refuse_control_characters(const char *text, struct kd_error *err)
{
	for (size_t i = 0; text[i]; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7F)
			return kd_error_set(err, KD_E_SYNTAX, i,
					    "control character 0x%02X at column %zu", c, i + 1);
	}
	return KD_OK;
}

enum kd_status kd_endpoint_parse(const char *text, struct kd_endpoint *ep_ret, struct kd_error *err)
{
	const struct kd__scheme *scheme = find_scheme(text);
	struct parser p = { .text = text, .err = err };
	struct kd_endpoint ep = { 0 };
	enum kd_status s = refuse_control_characters(text, err);

	if (s != KD_OK)
		return s;
	if (!scheme)
		return unknown_scheme(text, err);
	if (scheme->body == KD__BODY_REFUSED)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0, "%s: %s", scheme->name, scheme->text);
	ep.kind = scheme->kind;
	if (scheme->body == KD__BODY_WINDBG_COM) {
		s = parse_com(&p, scheme, &ep);
	} else if (scheme->body == KD__BODY_NET) {
		s = parse_net(&p, scheme, &ep);
	} else {
		if (scheme->options & KD__OPTION_BAUD)
			ep.baud = KD_BAUD_DEFAULT;
		s = next_part(&p);
		if (s == KD_OK)
			s = parse_body(&p, scheme, &ep);
		if (s == KD_OK)
			s = parse_options(&p, scheme, &ep);
	}
	if (s == KD_OK)
		*ep_ret = ep;
	OPENSSL_cleanse(p.part, sizeof p.part);
	return s;
}

/* --- and back --- */

struct out {
	char *text;
	size_t size, n;
};

static void put_byte(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->text[o->n] = c;
	o->n++;
}

static void put_escaped(struct out *o, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			put_byte(o, ',');
		put_byte(o, *text);
	}
}

static void KD_PRINTF(2, 3) put(struct out *o, const char *fmt, ...)
{
	char piece[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(piece, sizeof piece, fmt, ap);
	va_end(ap);
	for (const char *p = piece; *p; p++)
		put_byte(o, *p);
}

size_t kd_endpoint_text(const struct kd_endpoint *ep, char *text, size_t size)
{
	const struct kd__scheme *scheme = scheme_of(ep->kind);
	struct out o = { text, size, 0 };
	bool has_port = scheme->body == KD__BODY_HOST_PORT ||
			scheme->body == KD__BODY_HOST_ANY_PORT;
	bool has_brackets = has_port && strchr(ep->path, ':');

	put(&o, "%s:%s", scheme->name, has_brackets ? "[" : "");
	if (ep->kind == KD_ENDPOINT_NET)
		put(&o, "port=%u%s", ep->port, ep->path[0] ? ",bind=" : "");
	put_escaped(&o, ep->path);
	if (has_port)
		put(&o, "%s:%u", has_brackets ? "]" : "", ep->port);
	if (scheme->options & KD__OPTION_BAUD)
		put(&o, ",baud=%u", ep->baud);
	if (ep->max_resets)
		put(&o, ",resets=%u", ep->max_resets);
	if (ep->reconnect)
		put(&o, ",reconnect");
	if (size)
		text[KD_MIN(o.n, size - 1)] = '\0';
	return o.n;
}
