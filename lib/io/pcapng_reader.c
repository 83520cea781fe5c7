/* SPDX-License-Identifier: MIT */
/*
 * A block is read whole into one buffer that grows up to KD_PCAPNG_BLOCK_MAX, then taken apart with
 * a bounded view of it. Files come from anywhere: every length is checked against what is there.
 */
#include "lib/io/pcapng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/io/pcapng_private.h"

enum { NS_PER_S = 1000000000, GROW_AT_LEAST = 4096 };

struct interface {
	uint16_t link_type;
	uint32_t snap_length; /* 0: no limit */
	uint8_t resolution;   /* if_tsresol: 10^-n, or 2^-n with the top bit */
	int64_t offset_s;     /* if_tsoffset */
	char *name;           /* owned; NULL: none */
};

/* The bytes of a block's body that were not looked at yet. */
struct view {
	const uint8_t *at;
	size_t size;
};

struct kd_pcapng_reader {
	FILE *file;
	char path[256];            /* for messages, cut */
	uint64_t offset, block_at; /* of the next byte; of the block */
	bool is_big_endian;        /* in this section */
	bool in_section;
	uint8_t *block; /* body without type and lengths */
	size_t capacity;
	size_t n_interfaces;
	struct interface *interfaces;
};

static uint16_t get16(const struct kd_pcapng_reader *r, const uint8_t *p)
{
	return r->is_big_endian ? (uint16_t)(p[0] << 8 | p[1]) : kd_get16(p);
}

static uint32_t get32(const struct kd_pcapng_reader *r, const uint8_t *p)
{
	uint32_t v = kd_get32(p);

	return r->is_big_endian ? __builtin_bswap32(v) : v;
}

static uint64_t get64(const struct kd_pcapng_reader *r, const uint8_t *p)
{
	uint64_t v = kd_get64(p);

	return r->is_big_endian ? __builtin_bswap64(v) : v;
}

static enum kd_status malformed(const struct kd_pcapng_reader *r, const char *what,
				struct kd_error *err)
{
	return kd_error_set(err, KD_E_MALFORMED, r->block_at,
			    "%.120s: %s in the block at offset %llu", r->path, what,
			    (unsigned long long)r->block_at);
}

static enum kd_status truncated(const struct kd_pcapng_reader *r, struct kd_error *err)
{
	return kd_error_set(err, KD_E_TRUNCATED, r->block_at,
			    "%.120s ends inside the block at offset %llu", r->path,
			    (unsigned long long)r->block_at);
}

/* --- bytes --- */

/* All of `size`, or how many there were. */
static size_t read_bytes(struct kd_pcapng_reader *r, void *to, size_t size)
{
	size_t n = fread(to, 1, size, r->file);

	r->offset += n;
	return n;
}

static enum kd_status short_read(struct kd_pcapng_reader *r, struct kd_error *err)
{
	if (ferror(r->file))
		return kd_error_set(err, KD_E_IO, r->offset, "%.120s: %s", r->path,
				    strerror(errno));
	return truncated(r, err);
}

/*
 * The buffer grows as bytes really come, not as lengths claim: a small file must not make us ask
 * for 16 MiB.
 */
static enum kd_status read_body(struct kd_pcapng_reader *r, size_t size, struct kd_error *err)
{
	size_t done = 0;

	while (done < size) {
		size_t step = KD_MIN(size - done, KD_MAX(done, (size_t)GROW_AT_LEAST));

		if (done + step > r->capacity) {
			uint8_t *bigger = realloc(r->block, done + step);

			if (!bigger)
				return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
			r->block = bigger;
			r->capacity = done + step;
		}
		if (read_bytes(r, r->block + done, step) != step)
			return short_read(r, err);
		done += step;
	}
	return KD_OK;
}

/* --- options --- */

static bool take(struct view *v, size_t size, const uint8_t **ret)
{
	if (size > v->size)
		return false;
	*ret = v->at;
	v->at += size;
	v->size -= size;
	return true;
}

/* False: no further option, or one that claims more than there is. */
static bool next_option(const struct kd_pcapng_reader *r, struct view *v, uint16_t *code_ret,
			struct view *value_ret)
{
	const uint8_t *head, *value, *padding;
	size_t size;

	if (!take(v, 4, &head) || get16(r, head) == KD__PCAPNG_OPT_END)
		return false;
	*code_ret = get16(r, head);
	size = get16(r, head + 2);
	if (!take(v, size, &value))
		return false;
	/* The last one's padding is missing in some files. */
	take(v, KD_MIN((4 - size % 4) % 4, v->size), &padding);
	*value_ret = (struct view){ value, size };
	return true;
}

/* --- section and interface blocks --- */

static void forget_interfaces(struct kd_pcapng_reader *r)
{
	for (size_t i = 0; i < r->n_interfaces; i++)
		free(r->interfaces[i].name);
	free(r->interfaces);
	r->interfaces = NULL;
	r->n_interfaces = 0;
}

/* `version`: what follows the byte-order magic. */
static enum kd_status begin_section(struct kd_pcapng_reader *r, const uint8_t *version,
				    struct kd_error *err)
{
	if (get16(r, version) != 1)
		return kd_error_set(err, KD_E_UNSUPPORTED, r->block_at,
				    "%.120s: version %u of pcapng is unknown", r->path,
				    get16(r, version));
	forget_interfaces(r);
	r->in_section = true;
	return KD_OK;
}

static char *text_of(const struct view *value)
{
	size_t size = KD_MIN(value->size, (size_t)KD_PCAPNG_TEXT_MAX);
	char *text = malloc(size + 1);

	if (text) {
		memcpy(text, value->at, size);
		text[size] = '\0';
	}
	return text;
}

static void interface_options(const struct kd_pcapng_reader *r, struct view *v, struct interface *i)
{
	struct view value;
	uint16_t code;

	while (next_option(r, v, &code, &value)) {
		if (code == KD__PCAPNG_IF_NAME && !i->name)
			i->name = text_of(&value);
		else if (code == KD__PCAPNG_IF_TSRESOL && value.size == 1)
			i->resolution = value.at[0];
		else if (code == KD__PCAPNG_IF_TSOFFSET && value.size == 8)
			i->offset_s = (int64_t)get64(r, value.at);
	}
}

static enum kd_status add_interface(struct kd_pcapng_reader *r, struct view v, struct kd_error *err)
{
	struct interface i = { .resolution = 6 }, *bigger;
	const uint8_t *fixed;

	if (!take(&v, KD__PCAPNG_IDB_FIXED, &fixed))
		return malformed(r, "an interface without its fixed part", err);
	if (r->n_interfaces == KD_PCAPNG_INTERFACES_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, r->block_at,
				    "%.120s has more than %d interfaces", r->path,
				    KD_PCAPNG_INTERFACES_MAX);
	bigger = realloc(r->interfaces, (r->n_interfaces + 1) * sizeof *bigger);
	if (!bigger)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	r->interfaces = bigger;
	i.link_type = get16(r, fixed);
	i.snap_length = get32(r, fixed + 4);
	interface_options(r, &v, &i);
	r->interfaces[r->n_interfaces++] = i;
	return KD_OK;
}

/* --- packets --- */

/* Units of 10^-n or 2^-n seconds to nanoseconds; wraps for times that no clock has. */
static uint64_t to_ns(const struct interface *i, uint64_t units)
{
	uint64_t seconds = 0, ns = 0;
	unsigned n = i->resolution & 0x7F;

	if (i->resolution & 0x80) {
		uint64_t fraction = n >= 64 ? units : units & (((uint64_t)1 << n) - 1);

		seconds = n >= 64 ? 0 : units >> n;
		for (; n > 32; n--)
			fraction >>= 1;
		ns = fraction * NS_PER_S >> n;
	} else {
		uint64_t per_second = 1;

		for (; n > 9 && units; n--)
			units /= 10;
		for (unsigned k = 0; k < n && k < 9; k++)
			per_second *= 10;
		seconds = units / per_second;
		ns = units % per_second * (NS_PER_S / per_second);
	}
	return (seconds + (uint64_t)i->offset_s) * NS_PER_S + ns;
}

static void packet_options(const struct kd_pcapng_reader *r, struct view *v,
			   struct kd_pcapng_packet *p)
{
	struct view value;
	uint16_t code;

	while (next_option(r, v, &code, &value)) {
		if (code == KD__PCAPNG_OPT_COMMENT && !p->comment) {
			p->comment = (const char *)value.at;
			p->comment_size = KD_MIN(value.size, (size_t)KD_PCAPNG_TEXT_MAX);
		} else if (code == KD__PCAPNG_EPB_FLAGS && value.size == 4) {
			uint32_t direction = get32(r, value.at) & 3;

			p->direction = direction == 3 ? KD_PCAPNG_UNKNOWN
						      : (enum kd_pcapng_direction)direction;
		}
	}
}

static enum kd_status take_data(struct kd_pcapng_reader *r, struct view *v, size_t size,
				struct kd_pcapng_packet *p, struct kd_error *err)
{
	const uint8_t *padding;

	if (size > KD_PCAPNG_DATA_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, r->block_at,
				    "%.120s: a packet of %zu bytes in the block at offset %llu",
				    r->path, size, (unsigned long long)r->block_at);
	if (!take(v, size, &p->data))
		return malformed(r, "a packet longer than its block", err);
	p->size = size;
	take(v, KD_MIN((4 - size % 4) % 4, v->size), &padding);
	return KD_OK;
}

static enum kd_status enhanced_packet(struct kd_pcapng_reader *r, struct view v,
				      struct kd_pcapng_packet *p, struct kd_error *err)
{
	const struct interface *i;
	const uint8_t *fixed;
	enum kd_status s;

	if (!take(&v, KD__PCAPNG_EPB_FIXED, &fixed))
		return malformed(r, "a packet without its fixed part", err);
	p->interface_id = get32(r, fixed);
	if (p->interface_id >= r->n_interfaces)
		return malformed(r, "a packet of an interface that was not described", err);
	i = &r->interfaces[p->interface_id];
	p->link_type = i->link_type;
	p->time_ns = to_ns(i, (uint64_t)get32(r, fixed + 4) << 32 | get32(r, fixed + 8));
	s = take_data(r, &v, get32(r, fixed + 12), p, err);
	if (s != KD_OK)
		return s;
	p->original_size = KD_MAX((size_t)get32(r, fixed + 16), p->size);
	packet_options(r, &v, p);
	return KD_OK;
}

/* No time, no direction, no captured length: that is the least of original, snap and block. */
static enum kd_status simple_packet(struct kd_pcapng_reader *r, struct view v,
				    struct kd_pcapng_packet *p, struct kd_error *err)
{
	const uint8_t *fixed;
	size_t size;
	enum kd_status s;

	if (!take(&v, KD__PCAPNG_SPB_FIXED, &fixed))
		return malformed(r, "a packet without its fixed part", err);
	if (r->n_interfaces == 0)
		return malformed(r, "a packet of an interface that was not described", err);
	p->link_type = r->interfaces[0].link_type;
	size = KD_MIN((size_t)get32(r, fixed), v.size);
	if (r->interfaces[0].snap_length)
		size = KD_MIN(size, (size_t)r->interfaces[0].snap_length);
	s = take_data(r, &v, size, p, err);
	p->original_size = KD_MAX((size_t)get32(r, fixed), p->size);
	return s;
}

/* --- blocks --- */

/* The byte order of a section stands behind its length, which is written in it. */
static enum kd_status section_order(struct kd_pcapng_reader *r, uint8_t magic[4],
				    struct kd_error *err)
{
	if (read_bytes(r, magic, 4) != 4)
		return short_read(r, err);
	if (kd_get32(magic) != KD__PCAPNG_MAGIC &&
	    kd_get32(magic) != __builtin_bswap32(KD__PCAPNG_MAGIC))
		return malformed(r, "no byte order", err);
	r->is_big_endian = kd_get32(magic) != KD__PCAPNG_MAGIC;
	return KD_OK;
}

static enum kd_status check_length(struct kd_pcapng_reader *r, uint32_t length, size_t least,
				   struct kd_error *err)
{
	if (length % 4 != 0 || length < KD__PCAPNG_FRAME + least)
		return malformed(r, "an impossible length", err);
	if (length > KD_PCAPNG_BLOCK_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, r->block_at,
				    "%.120s: the block at offset %llu has %u bytes, more than %d",
				    r->path, (unsigned long long)r->block_at, length,
				    KD_PCAPNG_BLOCK_MAX);
	return KD_OK;
}

/* Files that are not what was meant, by how they begin. */
static enum kd_status not_pcapng(const struct kd_pcapng_reader *r, uint32_t begin,
				 struct kd_error *err)
{
	static const struct {
		uint32_t mask, begin; /* little-endian */
		const char *text;
	} others[] = {
		{ 0x0000FFFF, 0x00008B1F, "is compressed: gunzip it first" },
		{ 0xFFFFFFFF, 0xFD2FB528, "is compressed: unzstd it first" },
		{ 0xFFFFFFFF, 0x587A37FD, "is compressed: unxz it first" },
		{ 0xFFFFFFFF, 0xA1B2C3D4, "is of the older form pcap: editcap makes it pcapng" },
		{ 0xFFFFFFFF, 0xA1B23C4D, "is of the older form pcap: editcap makes it pcapng" },
	};

	for (size_t i = 0; r->block_at == 0 && i < sizeof others / sizeof others[0]; i++)
		if ((begin & others[i].mask) == others[i].begin)
			return kd_error_set(err, KD_E_MALFORMED, 0, "%.120s %s", r->path,
					    others[i].text);
	return malformed(r, "no section header: not a pcapng file, or damaged,", err);
}

/*
 * Reads one block; *type_ret and *body_ret describe it. A section header is dealt with here, since
 * it decides how its own length reads. KD_E_NOT_FOUND: the file ended before it.
 */
static enum kd_status next_block(struct kd_pcapng_reader *r, uint32_t *type_ret,
				 struct view *body_ret, struct kd_error *err)
{
	uint8_t head[KD__PCAPNG_HEAD], magic[4], tail[4];
	size_t n, already = 0;
	uint32_t length;
	enum kd_status s;

	r->block_at = r->offset;
	n = read_bytes(r, head, sizeof head);
	if (n == 0 && !ferror(r->file))
		return kd_error_set(err, KD_E_NOT_FOUND, r->offset, "%.120s: the end", r->path);
	if (n != sizeof head)
		return short_read(r, err);
	if (kd_get32(head) == KD__PCAPNG_SHB) {
		s = section_order(r, magic, err);
		if (s != KD_OK)
			return s;
		already = sizeof magic;
	} else if (!r->in_section) {
		return not_pcapng(r, kd_get32(head), err);
	}
	length = get32(r, head + 4);
	s = check_length(r, length, already ? KD__PCAPNG_SHB_FIXED : 0, err);
	if (s == KD_OK)
		s = read_body(r, length - KD__PCAPNG_FRAME - already, err);
	if (s != KD_OK)
		return s;
	if (read_bytes(r, tail, sizeof tail) != sizeof tail)
		return short_read(r, err);
	if (get32(r, tail) != length)
		return malformed(r, "two different lengths", err);
	*type_ret = already ? KD__PCAPNG_SHB : get32(r, head);
	*body_ret = (struct view){ r->block, length - KD__PCAPNG_FRAME - already };
	return already ? begin_section(r, body_ret->at, err) : KD_OK;
}

enum kd_status kd_pcapng_next(struct kd_pcapng_reader *r, struct kd_pcapng_packet *packet_ret,
			      struct kd_error *err)
{
	struct kd_pcapng_packet p;
	struct view body;
	uint32_t type = 0;
	enum kd_status s;

	for (;;) {
		s = next_block(r, &type, &body, err);
		if (s != KD_OK)
			return s;
		p = (struct kd_pcapng_packet){ .offset = r->block_at };
		if (type == KD__PCAPNG_IDB)
			s = add_interface(r, body, err);
		else if (type == KD__PCAPNG_EPB)
			s = enhanced_packet(r, body, &p, err);
		else if (type == KD__PCAPNG_SPB)
			s = simple_packet(r, body, &p, err);
		if (s != KD_OK)
			return s;
		if (type == KD__PCAPNG_EPB || type == KD__PCAPNG_SPB) {
			*packet_ret = p;
			return KD_OK;
		}
	}
}

const char *kd_pcapng_interface_name(const struct kd_pcapng_reader *r, uint32_t id)
{
	if (id >= r->n_interfaces)
		return NULL;
	return r->interfaces[id].name ? r->interfaces[id].name : "";
}

/* --- life --- */

/* Takes over `file`. The first block must be a section: better said now than at the first packet.
 */
static enum kd_status create(FILE *file, const char *path, struct kd_pcapng_reader **r_ret,
			     struct kd_error *err)
{
	struct kd_pcapng_reader *r = calloc(1, sizeof *r);
	struct view body;
	uint32_t type;
	enum kd_status s;

	if (!r) {
		fclose(file);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	r->file = file;
	snprintf(r->path, sizeof r->path, "%s", path);
	s = next_block(r, &type, &body, err);
	if (s == KD_E_NOT_FOUND)
		s = kd_error_set(err, KD_E_MALFORMED, 0, "%.160s is empty", path);
	else if (s == KD_E_TRUNCATED)
		s = kd_error_set(err, KD_E_MALFORMED, 0, "%.160s is too short for pcapng", path);
	if (s != KD_OK) {
		kd_pcapng_reader_destroy(r);
		return s;
	}
	*r_ret = r;
	return KD_OK;
}

enum kd_status kd_pcapng_reader_open(const char *path, struct kd_pcapng_reader **r_ret,
				     struct kd_error *err)
{
	FILE *file = fopen(path, "rbe");

	if (!file)
		return kd_error_set(err,
				    errno == ENOENT   ? KD_E_NOT_FOUND
				    : errno == EACCES ? KD_E_DENIED
						      : KD_E_IO,
				    0, "cannot read %.160s: %s", path, strerror(errno));
	return create(file, path, r_ret, err);
}

enum kd_status kd_pcapng_reader_open_memory(const void *bytes, size_t size,
					    struct kd_pcapng_reader **r_ret, struct kd_error *err)
{
	/* fmemopen() takes no size of 0, and only reads with mode "r". */
	FILE *file = size ? fmemopen((void *)(uintptr_t)bytes, size, "rb")
			  : fopen("/dev/null", "re");

	if (!file)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return create(file, "the recording", r_ret, err);
}

void kd_pcapng_reader_destroy(struct kd_pcapng_reader *r)
{
	if (!r)
		return;
	forget_interfaces(r);
	free(r->block);
	fclose(r->file);
	free(r);
}
