/* SPDX-License-Identifier: MIT */
#include "lib/shark/traffic_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

enum { SNAPLEN = 65535, WORD_MAX = 200 };

/* One of the two texts, while it is read. */
struct source {
	const char *text, *at;
	const char *name; /* "filter", "intercept": for errors */
	unsigned list;
	bool has_positive; /* a bracket that takes: what no bracket takes is left */
	struct kd_probe_filter *to;
	struct kd_error *err;
};

static enum kd_status complain(const struct source *s, const char *where, const char *what)
{
	size_t column = (size_t)(where - s->text);

	return kd_error_set(s->err, KD_E_SYNTAX, column, "%s, column %zu: %s", s->name, column + 1,
			    what);
}

/* --- conditions --- */

static bool read_port(const char **at, uint16_t *ret)
{
	char *end;
	unsigned long v = strtoul(*at, &end, 10);

	if (!isdigit((unsigned char)**at) || v > 65535)
		return false;
	*ret = (uint16_t)v;
	*at = end;
	return true;
}

static const char *read_ports(const char *value, uint16_t *first, uint16_t *last)
{
	if (!read_port(&value, first))
		return "a port from 0 to 65535 is expected";
	*last = *first;
	if (*value == '-') {
		value++;
		if (!read_port(&value, last) || *last < *first)
			return "a port that is not below the first is expected after -";
	}
	return *value ? "a port, or PORT-PORT, is expected" : NULL;
}

/* ADDRESS or ADDRESS/BITS. */
static const char *read_address(const char *value, struct kd_probe_w_rule *r, uint8_t to[16],
				uint8_t *bits)
{
	char text[64], *slash, *end;
	unsigned long n;
	int family;

	snprintf(text, sizeof text, "%s", value);
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, text, to) != 1)
		return "an IP address is expected";
	if (r->match & KD_PROBE_MATCH_FAMILY && r->family != (family == AF_INET ? 4 : 6))
		return "both addresses must be of one family";
	r->family = family == AF_INET ? 4 : 6;
	r->match |= KD_PROBE_MATCH_FAMILY;
	n = family == AF_INET ? 32 : 128;
	*bits = (uint8_t)n;
	if (slash) {
		unsigned long v = strtoul(slash + 1, &end, 10);

		if (*end || end == slash + 1 || v > n)
			return "the length of a prefix is expected after /";
		*bits = (uint8_t)v;
	}
	return NULL;
}

static bool looks_like_address(const char *value)
{
	return strchr(value, '.') || strchr(value, ':');
}

static const char *set_process(struct kd_probe_w_rule *r, const char *value)
{
	size_t size = strlen(value);

	if (size == 0 || size > sizeof r->path)
		return "the pattern of a process has 1 to 60 characters";
	memcpy(r->path, value, size);
	r->path_size = (uint16_t)size;
	r->match |= KD_PROBE_MATCH_PATH;
	return NULL;
}

static const char *set_pid(struct kd_probe_w_rule *r, const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 0);

	if (!isdigit((unsigned char)*value) || *end || v > UINT32_MAX)
		return "a process id is expected";
	r->pid = (uint32_t)v;
	r->match |= KD_PROBE_MATCH_PID;
	return NULL;
}

static const char *set_local(struct kd_probe_w_rule *r, const char *value)
{
	if (looks_like_address(value)) {
		r->match |= KD_PROBE_MATCH_LOCAL;
		return read_address(value, r, r->local, &r->local_bits);
	}
	r->match |= KD_PROBE_MATCH_LOCAL_PORT;
	return read_ports(value, &r->local_port_first, &r->local_port_last);
}

static const char *set_remote(struct kd_probe_w_rule *r, const char *value)
{
	if (looks_like_address(value)) {
		r->match |= KD_PROBE_MATCH_REMOTE;
		return read_address(value, r, r->remote, &r->remote_bits);
	}
	r->match |= KD_PROBE_MATCH_REMOTE_PORT;
	return read_ports(value, &r->remote_port_first, &r->remote_port_last);
}

static const struct {
	const char *name;
	const char *(*set)(struct kd_probe_w_rule *r, const char *value);
} settings[] = {
	{ "process", set_process },
	{ "pid", set_pid },
	{ "local", set_local },
	{ "remote", set_remote },
};

/* Words without a value: which field they set to what. */
static const struct {
	const char *name;
	uint32_t match;
	size_t offset;
	uint8_t value;
} flags[] = {
	{ "out", KD_PROBE_MATCH_DIRECTION, offsetof(struct kd_probe_w_rule, direction),
	  KD_PROBE_OUT },
	{ "in", KD_PROBE_MATCH_DIRECTION, offsetof(struct kd_probe_w_rule, direction),
	  KD_PROBE_IN },
	{ "loopback", KD_PROBE_MATCH_LOOPBACK, offsetof(struct kd_probe_w_rule, is_loopback), 1 },
	{ "!loopback", KD_PROBE_MATCH_LOOPBACK, offsetof(struct kd_probe_w_rule, is_loopback), 0 },
	{ "tcp", KD_PROBE_MATCH_PROTOCOL, offsetof(struct kd_probe_w_rule, protocol), 6 },
	{ "udp", KD_PROBE_MATCH_PROTOCOL, offsetof(struct kd_probe_w_rule, protocol), 17 },
	{ "ip4", KD_PROBE_MATCH_FAMILY, offsetof(struct kd_probe_w_rule, family), 4 },
	{ "ip6", KD_PROBE_MATCH_FAMILY, offsetof(struct kd_probe_w_rule, family), 6 },
};

static const struct {
	const char *name;
	enum kd_probe_action action;
} actions[] = {
	{ "ignore", KD_PROBE_IGNORE },
	{ "show", KD_PROBE_SHOW },
	{ "hold", KD_PROBE_HOLD },
};

static const char *apply_word(struct kd_probe_w_rule *r, char *word, bool is_first)
{
	char *value = strchr(word, '=');

	for (size_t i = 0; is_first && i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(word, actions[i].name) == 0) {
			r->action = (uint16_t)actions[i].action;
			return NULL;
		}
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(word, flags[i].name) == 0) {
			r->match |= flags[i].match;
			((uint8_t *)r)[flags[i].offset] = flags[i].value;
			return NULL;
		}
	if (value) {
		*value++ = '\0';
		for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
			if (strcmp(word, settings[i].name) == 0)
				return settings[i].set(r, value);
	}
	return "process=, pid=, local=, remote=, in, out, loopback, !loopback, tcp, udp, ip4, ip6 "
	       "are the conditions";
}

static enum kd_status add_rule(struct source *s, const struct kd_probe_w_rule *r)
{
	if (s->to->n_rules == KD_PROBE_RULES_MAX)
		return kd_error_set(s->err, KD_E_TOO_BIG, 0,
				    "%s: more than %d conditions in brackets", s->name,
				    KD_PROBE_RULES_MAX);
	s->to->rules[s->to->n_rules++] = *r;
	return KD_OK;
}

/* [word word ...]; s->at is behind the bracket. */
static enum kd_status read_bracket(struct source *s)
{
	struct kd_probe_w_rule r = { .lists = (uint16_t)s->list };
	bool is_first = true;

	for (;;) {
		char word[WORD_MAX];
		const char *from, *problem;
		size_t n;

		s->at += strspn(s->at, " \t");
		from = s->at;
		if (*from == ']')
			break;
		n = strcspn(from, " \t]");
		if (from[n] == '\0')
			return complain(s, from + n, "] is missing");
		if (n >= sizeof word)
			return complain(s, from, "the condition is too long");
		memcpy(word, from, n);
		word[n] = '\0';
		problem = apply_word(&r, word, is_first);
		if (problem)
			return complain(s, from, problem);
		is_first = false;
		s->at += n;
	}
	if (is_first)
		return complain(s, s->at, "a condition is missing");
	s->at++;
	s->has_positive |= r.action != KD_PROBE_IGNORE;
	return add_rule(s, &r);
}

/* --- expressions --- */

/*
 * libpcap does not say where an expression is wrong. The longest beginning that is a whole
 * expression ends before the mistake.
 */
static size_t find_mistake(pcap_t *p, const char *text)
{
	size_t size = strlen(text), good = 0;
	char *copy = strdup(text);

	for (size_t n = size; copy && n > 0 && !good; n--) {
		struct bpf_program program;

		if (n < size && !isspace((unsigned char)text[n]))
			continue;
		copy[n] = '\0';
		if (pcap_compile(p, &program, copy, 1, PCAP_NETMASK_UNKNOWN) == 0) {
			pcap_freecode(&program);
			good = n + strspn(text + n, " \t");
		}
	}
	free(copy);
	return good;
}

static enum kd_status take_program(const struct source *s, const struct bpf_program *program,
				   struct kd_probe_program *ret)
{
	if (program->bf_len > KD_PROBE_INSTRUCTIONS_MAX)
		return kd_error_set(s->err, KD_E_TOO_BIG, 0,
				    "%s: the expression takes %u instructions, %d are the most",
				    s->name, program->bf_len, KD_PROBE_INSTRUCTIONS_MAX);
	ret->n = program->bf_len;
	for (uint32_t i = 0; i < ret->n; i++)
		ret->instructions[i] = (struct kd_bpf_instruction){ program->bf_insns[i].code,
								    program->bf_insns[i].jt,
								    program->bf_insns[i].jf,
								    program->bf_insns[i].k };
	return KD_OK;
}

static enum kd_status read_expression(struct source *s, struct kd_probe_program *ret)
{
	pcap_t *p = pcap_open_dead(DLT_RAW, SNAPLEN);
	struct bpf_program program;
	enum kd_status status;

	if (!p)
		return kd_error_set(s->err, KD_E_NO_MEMORY, 0, "out of memory");
	if (pcap_compile(p, &program, s->at, 1, PCAP_NETMASK_UNKNOWN) == 0) {
		status = take_program(s, &program, ret);
		pcap_freecode(&program);
	} else {
		char why[160];

		snprintf(why, sizeof why, "%s", pcap_geterr(p));
		status = complain(s, s->at + find_mistake(p, s->at), why);
	}
	pcap_close(p);
	return status;
}

/* --- both texts --- */

static enum kd_status read_source(struct source *s, struct kd_probe_program *program)
{
	enum kd_status status = KD_OK;

	for (;;) {
		s->at += strspn(s->at, " \t\r\n");
		if (*s->at != '[' || status != KD_OK)
			break;
		s->at++;
		status = read_bracket(s);
	}
	program->n = 0;
	if (status == KD_OK && *s->at)
		status = read_expression(s, program);
	return status;
}

/* What is not held unless somebody asks for it: file sharing breaks when it waits. */
static enum kd_status add_default_holds(struct source *s)
{
	static const struct {
		uint16_t first, last;
	} ports[] = { { 137, 139 }, { 445, 445 } };
	enum kd_status status = KD_OK;

	for (size_t i = 0; i < 2 * sizeof ports / sizeof ports[0] && status == KD_OK; i++) {
		struct kd_probe_w_rule r = { .lists = KD_PROBE_LIST_HOLD, .action = KD_PROBE_SHOW };

		if (i % 2) {
			r.match = KD_PROBE_MATCH_LOCAL_PORT;
			r.local_port_first = ports[i / 2].first;
			r.local_port_last = ports[i / 2].last;
		} else {
			r.match = KD_PROBE_MATCH_REMOTE_PORT;
			r.remote_port_first = ports[i / 2].first;
			r.remote_port_last = ports[i / 2].last;
		}
		status = add_rule(s, &r);
	}
	return status;
}

static enum kd_status add_rest(struct source *s, enum kd_probe_action action)
{
	struct kd_probe_w_rule r = { .lists = (uint16_t)s->list, .action = (uint16_t)action };

	return s->has_positive ? add_rule(s, &r) : KD_OK;
}

static enum kd_status add_kdnet(struct source *s, uint16_t port)
{
	struct kd_probe_w_rule r = { .lists = KD_PROBE_LIST_SHOW,
				     .action = KD_PROBE_IGNORE,
				     .match = KD_PROBE_MATCH_PROTOCOL | KD_PROBE_MATCH_REMOTE_PORT,
				     .protocol = 17,
				     .remote_port_first = port,
				     .remote_port_last = port };

	return port ? add_rule(s, &r) : KD_OK;
}

enum kd_status kd__traffic_filter_compile(const char *filter, const char *intercept,
					  uint16_t kdnet_port, struct kd_probe_filter *ret,
					  struct kd_error *err)
{
	struct source show = { .text = filter ? filter : "",
			       .name = "filter",
			       .list = KD_PROBE_LIST_SHOW,
			       .to = ret,
			       .err = err };
	struct source hold = { .text = intercept ? intercept : "",
			       .name = "intercept",
			       .list = KD_PROBE_LIST_HOLD,
			       .to = ret,
			       .err = err };
	enum kd_status status;

	show.at = show.text;
	hold.at = hold.text;
	kd_probe_filter_init(ret);
	status = add_kdnet(&show, kdnet_port);
	if (status == KD_OK)
		status = read_source(&show, &ret->capture);
	if (status == KD_OK)
		status = add_rest(&show, KD_PROBE_IGNORE);
	if (status == KD_OK)
		status = read_source(&hold, &ret->intercept);
	if (status == KD_OK)
		status = add_default_holds(&hold);
	if (status == KD_OK)
		status = add_rest(&hold, KD_PROBE_SHOW);
	return status;
}
