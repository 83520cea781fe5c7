/* SPDX-License-Identifier: MIT */
/* Layouts: RFC 791, 768, 8200; link types as libpcap numbers them. All big-endian. */
#include "lib/io/udp_frame.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86DD,
	ETHER_VLAN = 0x8100,
	ETHER_QINQ = 0x88A8,
	VLAN_SIZE = 4,
	VLANS_MAX = 4,

	PROTO_HOP = 0,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_OPTIONS = 60,
	EXTENSIONS_MAX = 8,

	IPV4_MIN = 20,
	IPV6_SIZE = 40,
	UDP_SIZE = 8,
};

/* Where the link's header has the EtherType, and where the packet begins; ether_at -1: it has none.
 */
static const struct link {
	uint16_t type;
	int ether_at;
	size_t size;
} links[] = {
	{ 1, 12, 14 },                   /* Ethernet */
	{ 113, 14, 16 },                 /* Linux cooked */
	{ 276, 0, 20 },                  /* Linux cooked, version 2 */
	{ 101, -1, 0 },                  /* raw IP */
	{ 12, -1, 0 },                   /* the same, as some systems number it */
	{ 14, -1, 0 },   { 228, -1, 0 }, /* raw IPv4 */
	{ 229, -1, 0 },                  /* raw IPv6 */
	{ 0, -1, 4 },                    /* loopback of the BSDs */
	{ 108, -1, 4 },
};

struct cut {
	const uint8_t *p;
	size_t size;
	const char **why;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum kd_status fail(const struct cut *c, enum kd_status status, const char *why)
{
	*c->why = why;
	return status;
}

static bool skip(struct cut *c, size_t n)
{
	if (n > c->size)
		return false;
	c->p += n;
	c->size -= n;
	return true;
}

static enum kd_status too_short(const struct cut *c)
{
	return fail(c, KD_E_TRUNCATED, "the frame is cut short");
}

/* Past the link's header. */
static enum kd_status strip_link(struct cut *c, uint16_t type)
{
	const struct link *l = links;
	uint16_t ether;

	while (l < links + KD_ARRAY_LEN(links) && l->type != type)
		l++;
	if (l == links + KD_ARRAY_LEN(links))
		return fail(c, KD_E_UNSUPPORTED,
			    "a link type other than Ethernet, raw IP, Linux cooked, loopback");
	if (c->size < l->size)
		return too_short(c);
	ether = l->ether_at < 0 ? ETHER_IPV4 : be16(c->p + l->ether_at);
	skip(c, l->size);
	for (int i = 0; i < VLANS_MAX && (ether == ETHER_VLAN || ether == ETHER_QINQ); i++) {
		if (c->size < VLAN_SIZE)
			return too_short(c);
		ether = be16(c->p + 2);
		skip(c, VLAN_SIZE);
	}
	if (ether != ETHER_IPV4 && ether != ETHER_IPV6)
		return fail(c, KD_E_NOT_FOUND, "not IP");
	return KD_OK;
}

static enum kd_status strip_ipv4(struct cut *c, struct kd__udp *ret)
{
	size_t header, whole;

	if (c->size < IPV4_MIN)
		return too_short(c);
	header = (size_t)(c->p[0] & 15) * 4;
	whole = be16(c->p + 2);
	if (header < IPV4_MIN || whole < header)
		return fail(c, KD_E_MALFORMED, "an IPv4 header that contradicts itself");
	if (c->p[9] != PROTO_UDP)
		return fail(c, KD_E_NOT_FOUND, "not UDP");
	if (be16(c->p + 6) & 0x3FFF)
		return fail(c, KD_E_UNSUPPORTED, "a fragment of an IP packet");
	if (c->size < whole)
		return too_short(c);
	kd_net_address_from_ipv4(&ret->from, c->p + 12, 0);
	kd_net_address_from_ipv4(&ret->to, c->p + 16, 0);
	c->size = whole; /* Ethernet fills short frames up */
	skip(c, header);
	return KD_OK;
}

static enum kd_status strip_ipv6(struct cut *c, struct kd__udp *ret)
{
	uint8_t next;

	if (c->size < IPV6_SIZE)
		return too_short(c);
	if (c->size - IPV6_SIZE < be16(c->p + 4))
		return too_short(c);
	c->size = IPV6_SIZE + be16(c->p + 4);
	next = c->p[6];
	memcpy(ret->from.ip, c->p + 8, 16);
	memcpy(ret->to.ip, c->p + 24, 16);
	skip(c, IPV6_SIZE);
	for (int i = 0; i < EXTENSIONS_MAX && next != PROTO_UDP; i++) {
		size_t size;

		if (next == PROTO_FRAGMENT)
			return fail(c, KD_E_UNSUPPORTED, "a fragment of an IP packet");
		if (next != PROTO_HOP && next != PROTO_ROUTING && next != PROTO_OPTIONS)
			return fail(c, KD_E_NOT_FOUND, "not UDP");
		size = c->size >= 2 ? ((size_t)c->p[1] + 1) * 8 : 2;
		next = c->size >= 2 ? c->p[0] : next;
		if (!skip(c, size))
			return too_short(c);
	}
	return next == PROTO_UDP ? KD_OK : fail(c, KD_E_NOT_FOUND, "not UDP");
}

static enum kd_status strip_udp(struct cut *c, struct kd__udp *ret)
{
	size_t whole;

	if (c->size < UDP_SIZE)
		return too_short(c);
	ret->from.port = be16(c->p);
	ret->to.port = be16(c->p + 2);
	whole = be16(c->p + 4);
	if (whole < UDP_SIZE)
		return fail(c, KD_E_MALFORMED, "a UDP header that contradicts itself");
	if (c->size < whole)
		return too_short(c);
	ret->payload = c->p + UDP_SIZE;
	ret->size = whole - UDP_SIZE;
	return KD_OK;
}

enum kd_status kd__udp_frame(uint16_t link_type, const uint8_t *frame, size_t size,
			     struct kd__udp *ret, const char **why_ret)
{
	struct cut c = { frame, size, why_ret };
	enum kd_status s = strip_link(&c, link_type);

	*ret = (struct kd__udp){ 0 };
	if (s != KD_OK)
		return s;
	if (c.size == 0)
		return too_short(&c);
	if (c.p[0] >> 4 == 4)
		s = strip_ipv4(&c, ret);
	else if (c.p[0] >> 4 == 6)
		s = strip_ipv6(&c, ret);
	else
		s = fail(&c, KD_E_NOT_FOUND, "not IP");
	return s == KD_OK ? strip_udp(&c, ret) : s;
}

const char *kd__net_address_text(const struct kd_net_address *a, char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
	char ip[INET6_ADDRSTRLEN] = "?";

	if (memcmp(a->ip, mapped, sizeof mapped) == 0) {
		inet_ntop(AF_INET, a->ip + 12, ip, sizeof ip);
		snprintf(text, KD__ADDRESS_TEXT, "%s:%u", ip, a->port);
	} else {
		inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
		snprintf(text, KD__ADDRESS_TEXT, "[%s]:%u", ip, a->port);
	}
	return text;
}
