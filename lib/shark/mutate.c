/* SPDX-License-Identifier: MIT */
#include "lib/shark/mutate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

/* --- chance: splitmix64 --- */

uint64_t kd__random_next(struct kd__random *r)
{
	uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

size_t kd__random_below(struct kd__random *r, size_t below)
{
	return below ? (size_t)(kd__random_next(r) % below) : 0;
}

/* --- bytes --- */

/* Room at `at`, or (negative) bytes taken out. False: too large, or no memory. */
static bool make_room(struct kd__bytes *b, size_t at, size_t room)
{
	uint8_t *more;

	if (room > KD__MUTATE_MAX - b->size)
		return false;
	more = realloc(b->data, b->size + room + 1);
	if (!more)
		return false;
	b->data = more;
	memmove(more + at + room, more + at, b->size - at);
	b->size += room;
	return true;
}

static void take_out(struct kd__bytes *b, size_t at, size_t n)
{
	memmove(b->data + at, b->data + at + n, b->size - at - n);
	b->size -= n;
}

static size_t length_of(struct kd__random *r, size_t max)
{
	/* short ones are more likely */
	size_t n = 1 + kd__random_below(r, KD_MIN(max, (size_t)1 << kd__random_below(r, 10)));

	return KD_MIN(n, max);
}

/* --- words --- */

enum { WORDS = 512, WORD_MIN = 3, WORD_MAX = 32 };

struct kd__words {
	size_t n, next;
	struct {
		uint8_t size;
		uint8_t bytes[WORD_MAX];
	} list[WORDS];
};

struct kd__words *kd__words_create(void)
{
	return calloc(1, sizeof(struct kd__words));
}

void kd__words_destroy(struct kd__words *w)
{
	free(w);
}

static bool is_known(const struct kd__words *w, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].size == size && memcmp(w->list[i].bytes, bytes, size) == 0)
			return true;
	return false;
}

static void learn(struct kd__words *w, const uint8_t *bytes, size_t size)
{
	if (size < WORD_MIN || size > WORD_MAX || is_known(w, bytes, size))
		return;
	w->list[w->next].size = (uint8_t)size;
	memcpy(w->list[w->next].bytes, bytes, size);
	w->next = (w->next + 1) % WORDS;
	w->n = KD_MIN(w->n + 1, (size_t)WORDS);
}

void kd__words_learn(struct kd__words *w, const uint8_t *bytes, size_t size)
{
	size_t from = 0;

	size = KD_MIN(size, (size_t)4096);
	for (size_t i = 0; i <= size; i++)
		if (i == size || !(isalnum(bytes[i]) || (bytes[i] && strchr("-_./", bytes[i])))) {
			learn(w, bytes + from, i - from);
			from = i + 1;
		}
}

/* --- the mutations --- */

static bool flip_bits(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t n = 1 + kd__random_below(r, 4);

	(void)words;
	for (size_t i = 0; i < n && b->size; i++) {
		size_t bit = kd__random_below(r, b->size * 8);

		b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return b->size != 0;
}

static bool set_bytes(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t n = length_of(r, b->size), at = kd__random_below(r, b->size - n + 1);

	(void)words;
	for (size_t i = 0; i < n && b->size; i++)
		b->data[at + i] = (uint8_t)kd__random_next(r);
	return b->size != 0;
}

/* A number of `size` bytes, either way round. */
static void put_number(uint8_t *to, size_t size, uint64_t value, bool is_big)
{
	for (size_t i = 0; i < size; i++)
		to[is_big ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_number(const uint8_t *from, size_t size, bool is_big)
{
	uint64_t v = 0;

	for (size_t i = 0; i < size; i++)
		v |= (uint64_t)from[is_big ? size - 1 - i : i] << 8 * i;
	return v;
}

static const uint64_t boundaries[] = { 0,          1,
				       0x7F,       0x80,
				       0xFF,       0x100,
				       0x7FFF,     0x8000,
				       0xFFFF,     0x10000,
				       0x7FFFFFFF, 0x80000000,
				       0xFFFFFFFF, UINT64_C(0x7FFFFFFFFFFFFFFF),
				       UINT64_MAX };

static bool set_boundary(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t size = (size_t)1 << kd__random_below(r, 4);
	uint64_t value = boundaries[kd__random_below(r, KD_ARRAY_LEN(boundaries))];
	bool is_big = kd__random_below(r, 2);

	(void)words;
	if (b->size < size)
		return false;
	put_number(b->data + kd__random_below(r, b->size - size + 1), size, value, is_big);
	return true;
}

/* Does a number at this place tell how many bytes follow, or how many there are? */
static bool is_length(const struct kd__bytes *b, size_t at, size_t size, bool is_big)
{
	uint64_t v = get_number(b->data + at, size, is_big);

	return v > 1 && (v == b->size || v == b->size - at || v == b->size - at - size);
}

/* Decimal digits that say how many bytes follow the line's end, as in Content-Length. */
static bool is_text_length(const struct kd__bytes *b, size_t at, size_t *n_ret)
{
	size_t n = 0;
	uint64_t v = 0;

	while (at + n < b->size && n < 9 && isdigit(b->data[at + n]))
		v = v * 10 + (b->data[at + n++] - '0');
	*n_ret = n;
	if (n < 1 || v < 2 || (at > 0 && isdigit(b->data[at - 1])))
		return false;
	for (size_t i = at + n; i + 3 < b->size; i++)
		if (memcmp(b->data + i, "\r\n\r\n", 4) == 0)
			return v == b->size - i - 4;
	return false;
}

struct length_field {
	size_t at, size;
	bool is_big, is_text;
};

static size_t find_lengths(const struct kd__bytes *b, struct length_field *list, size_t max)
{
	size_t n = 0, digits, end = KD_MIN(b->size, (size_t)4096);

	for (size_t at = 0; at < end; at++) {
		if (n < max && is_text_length(b, at, &digits))
			list[n++] = (struct length_field){ at, digits, false, true };
		for (size_t size = 1; size <= 4; size *= 2)
			for (int big = 0; big < (size > 1 ? 2 : 1); big++)
				if (n < max && at + size <= b->size && is_length(b, at, size, big))
					list[n++] = (struct length_field){ at, size, big, false };
	}
	return n;
}

static uint64_t wrong_length(uint64_t right, struct kd__random *r)
{
	switch (kd__random_below(r, 5)) {
	case 0: return right + 1 + kd__random_below(r, 16);
	case 1: return right - KD_MIN(right, 1 + kd__random_below(r, 16));
	case 2: return 0;
	case 3: return right * 2;
	default: return boundaries[kd__random_below(r, KD_ARRAY_LEN(boundaries))];
	}
}

static bool change_length(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	struct length_field fields[64], f;
	size_t n = find_lengths(b, fields, KD_ARRAY_LEN(fields));
	uint64_t value;

	(void)words;
	if (n == 0)
		return false;
	f = fields[kd__random_below(r, n)];
	value = wrong_length(f.is_text ? b->size : get_number(b->data + f.at, f.size, f.is_big), r);
	if (!f.is_text) {
		put_number(b->data + f.at, f.size, value, f.is_big);
		return true;
	}
	for (size_t i = f.size; i-- > 0; value /= 10)
		b->data[f.at + i] = (uint8_t)('0' + value % 10);
	return true;
}

static bool insert_word(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t at = kd__random_below(r, b->size + 1), size, i;

	if (!words || words->n == 0)
		return false;
	i = kd__random_below(r, words->n);
	size = words->list[i].size;
	/* over what is there, or between */
	if (kd__random_below(r, 2) && b->size >= size)
		at = kd__random_below(r, b->size - size + 1);
	else if (!make_room(b, at, size))
		return false;
	memcpy(b->data + at, words->list[i].bytes, size);
	return true;
}

static bool insert_bytes(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t n = length_of(r, 1024), at = kd__random_below(r, b->size + 1);
	uint8_t filler = (uint8_t)kd__random_next(r);
	bool is_one = kd__random_below(r, 2);

	(void)words;
	if (!make_room(b, at, n))
		return false;
	for (size_t i = 0; i < n; i++)
		b->data[at + i] = is_one ? filler : (uint8_t)kd__random_next(r);
	return true;
}

static bool remove_bytes(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t n;

	(void)words;
	if (b->size < 2)
		return false;
	n = length_of(r, b->size - 1);
	take_out(b, kd__random_below(r, b->size - n + 1), n);
	return true;
}

static bool repeat_bytes(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	size_t n, at, times;

	(void)words;
	if (b->size == 0)
		return false;
	n = length_of(r, b->size);
	at = kd__random_below(r, b->size - n + 1);
	times = 1 + kd__random_below(r, 8);
	for (size_t i = 0; i < times; i++) {
		if (!make_room(b, at + n, n))
			return i > 0;
		memcpy(b->data + at + n, b->data + at, n);
	}
	return true;
}

static bool cut_end(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	(void)words;
	if (b->size < 2)
		return false;
	b->size = 1 + kd__random_below(r, b->size - 1);
	return true;
}

static bool any(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words)
{
	enum { TRIES = 8, KINDS = 9 };
	size_t times = 1 + kd__random_below(r, 3);
	bool did = false;

	for (size_t i = 0; i < times; i++) {
		bool done = false;

		for (size_t k = 0; k < TRIES && !done; k++)
			done = kd__mutations[1 + kd__random_below(r, KINDS)].run(b, r, words);
		did |= done;
	}
	return did;
}

/* `any` goes first, and chooses among the KINDS behind it. */
const struct kd__mutation kd__mutations[] = {
	{ "any", "a few of all the others, by chance", any },
	{ "bitflip", "up to four bits", flip_bits },
	{ "bytes", "a run of random bytes over what is there", set_bytes },
	{ "boundary", "a number of 1 to 8 bytes becomes 0, -1, a power of two ...", set_boundary },
	{ "length", "a field that tells a length (also Content-Length) tells a wrong one",
	  change_length },
	{ "dictionary", "a word that other payloads had", insert_word },
	{ "insert", "bytes are put in", insert_bytes },
	{ "remove", "bytes are taken out", remove_bytes },
	{ "repeat", "a part is repeated", repeat_bytes },
	{ "cut", "the end is missing", cut_end },
	{ NULL, NULL, NULL },
};

const struct kd__mutation *kd__mutation_find(const char *name)
{
	for (const struct kd__mutation *m = kd__mutations; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}
