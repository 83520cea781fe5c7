/* SPDX-License-Identifier: MIT */
#include "core/ring/ring_announce.h"

#include "core/bytes.h"

static const char magic[] = "OKDRING1";

enum { MAGIC_SIZE = sizeof magic - 1 };

/* The one of Ethernet and zip, bit by bit: it is said once a boot. */
static uint32_t crc32_of(const char *text, size_t size)
{
	uint32_t crc = 0xFFFFFFFF;

	for (size_t i = 0; i < size; i++) {
		crc ^= (uint8_t)text[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
	}
	return ~crc;
}

/* --- writing --- */

struct out {
	char *text;
	size_t at, size;
};

static void put_char(struct out *o, char c)
{
	if (o->at < o->size)
		o->text[o->at] = c;
	o->at++;
}

static void put_text(struct out *o, const char *text)
{
	while (*text)
		put_char(o, *text++);
}

static void put_number(struct out *o, uint64_t value)
{
	int digits = 1;

	while (digits < 16 && value >> (4 * digits))
		digits++;
	while (digits-- > 0) {
		put_char(o, "0123456789abcdef"[value >> (4 * digits) & 0xF]);
		if (digits && digits % 3 == 0)
			put_char(o, '_');
	}
}

static void put_field(struct out *o, char name, uint64_t value)
{
	put_char(o, ' ');
	put_char(o, name);
	put_char(o, '=');
	put_number(o, value);
}

static void put_place(struct out *o, const struct kd_ring_announcement *a)
{
	if (a->is_pci) {
		put_field(o, 'b', a->bus);
		put_char(o, '.');
		put_number(o, a->device);
		put_char(o, '.');
		put_number(o, a->function);
		return;
	}
	for (uint32_t i = 0; i < a->n_runs; i++) {
		if (i)
			put_char(o, ',');
		else
			put_text(o, " r=");
		put_number(o, a->runs[i].frame);
		put_char(o, '+');
		put_number(o, a->runs[i].count);
	}
}

static bool is_same_place(const struct kd_ring_announcement *a,
			  const struct kd_ring_announcement *b)
{
	if (a->is_pci != b->is_pci)
		return false;
	if (a->is_pci)
		return a->bus == b->bus && a->device == b->device && a->function == b->function;
	if (a->n_runs != b->n_runs)
		return false;
	for (uint32_t i = 0; i < a->n_runs; i++)
		if (a->runs[i].frame != b->runs[i].frame || a->runs[i].count != b->runs[i].count)
			return false;
	return true;
}

bool kd_ring_announcement_is_same(const struct kd_ring_announcement *a,
				  const struct kd_ring_announcement *b)
{
	return a->version == b->version && a->pages == b->pages && a->arch == b->arch &&
	       a->nonce == b->nonce && is_same_place(a, b);
}

size_t kd_ring_announcement_write(const struct kd_ring_announcement *a, char *text, size_t size)
{
	struct out o = { text, 0, size };
	size_t begin;

	if (a->n_runs > KD_RING_RUNS_MAX || size == 0)
		return 0;
	put_text(&o, "\r\n");
	begin = o.at;
	put_text(&o, magic);
	put_field(&o, 'v', a->version);
	put_field(&o, 'a', a->arch);
	put_field(&o, 'p', a->pages);
	put_field(&o, 'n', a->nonce);
	put_place(&o, a);
	if (o.at >= size)
		return 0;
	put_field(&o, 'c', crc32_of(text + begin, o.at - begin));
	put_text(&o, "\r\n");
	put_char(&o, '\0');
	return o.at > size ? 0 : o.at - 1;
}

/* --- reading --- */

struct in {
	const char *at, *end;
	bool is_bad;
};

static bool take_char(struct in *in, char c)
{
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static int digit_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint64_t take_number(struct in *in, uint64_t max)
{
	uint64_t value = 0;
	int digits = 0;

	for (; in->at < in->end; in->at++) {
		int digit = digit_value(*in->at);

		if (*in->at == '_' && digits)
			continue;
		if (digit < 0)
			break;
		if (++digits > 16)
			in->is_bad = true;
		value = value << 4 | (unsigned)digit;
	}
	if (!digits || value > max)
		in->is_bad = true;
	return value;
}

static uint64_t take_field(struct in *in, char name, uint64_t max)
{
	if (!take_char(in, ' ') || !take_char(in, name) || !take_char(in, '='))
		in->is_bad = true;
	return in->is_bad ? 0 : take_number(in, max);
}

static void take_device(struct in *in, struct kd_ring_announcement *a)
{
	a->is_pci = true;
	a->bus = (uint8_t)take_field(in, 'b', 0xFF);
	in->is_bad |= !take_char(in, '.');
	a->device = (uint8_t)take_number(in, 31);
	in->is_bad |= !take_char(in, '.');
	a->function = (uint8_t)take_number(in, 7);
}

static void take_runs(struct in *in, struct kd_ring_announcement *a)
{
	/* 52 bits of physical address is what x64 knows. */
	const uint64_t frame_max = UINT64_C(1) << 40;
	uint32_t pages = 0;

	if (!take_char(in, ' ') || !take_char(in, 'r') || !take_char(in, '='))
		in->is_bad = true;
	do {
		struct kd_ring_run run = { .frame = take_number(in, frame_max) };

		in->is_bad |= !take_char(in, '+');
		run.count = (uint32_t)take_number(in, KD_RING_PAGES);
		pages += run.count;
		if (in->is_bad || !run.count || a->n_runs == KD_RING_RUNS_MAX) {
			in->is_bad = true;
			return;
		}
		a->runs[a->n_runs++] = run;
	} while (take_char(in, ','));
	in->is_bad |= pages != KD_RING_PAGES;
}

static enum kd_status parse(const char *text, size_t size, struct kd_ring_announcement *a)
{
	struct in in = { text + MAGIC_SIZE, text + size, false };
	uint32_t crc;

	*a = (struct kd_ring_announcement){ 0 };
	a->version = (uint16_t)take_field(&in, 'v', 0xFFFF);
	if (!in.is_bad && a->version != KD_RING_VERSION)
		return KD_E_UNSUPPORTED;
	a->arch = (uint8_t)take_field(&in, 'a', 0xFF);
	a->pages = (uint16_t)take_field(&in, 'p', 0xFFFF);
	a->nonce = take_field(&in, 'n', UINT64_MAX);
	if (in.end - in.at > 1 && in.at[1] == 'b')
		take_device(&in, a);
	else
		take_runs(&in, a);
	crc = crc32_of(text, (size_t)(in.at - text));
	if (take_field(&in, 'c', UINT32_MAX) != crc || in.is_bad || in.at != in.end)
		return KD_E_MALFORMED;
	return a->pages == KD_RING_PAGES ? KD_OK : KD_E_MALFORMED;
}

static bool is_magic(const char *text, size_t size)
{
	for (size_t i = 0; i < MAGIC_SIZE && i < size; i++)
		if (text[i] != magic[i])
			return false;
	return true;
}

enum kd_status kd_ring_announcement_find(const char *text, size_t size,
					 struct kd_ring_announcement *ret, size_t *end_ret)
{
	size_t begin = 0, end;

	while (begin < size && !is_magic(text + begin, size - begin))
		begin++;
	for (end = begin; end < size && text[end] != '\r' && text[end] != '\n';)
		end++;
	*end_ret = end;
	if (end - begin > KD_RING_LINE_MAX)
		return KD_E_MALFORMED;
	if (end < size)
		return parse(text + begin, end - begin, ret);
	*end_ret = begin; /* the rest may become one */
	return KD_E_NOT_FOUND;
}
