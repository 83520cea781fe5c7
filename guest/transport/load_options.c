/* SPDX-License-Identifier: MIT */
#include "guest/transport/load_options.h"

#include <stddef.h>

enum { TEXT_MAX = 4096, WORD = sizeof(void *), DEFAULT_BAUD = 115200 };

/* --- the text --- */

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == '/' || c == 0;
}

/* Behind `name` when the text goes on with it, else NULL. */
static const char *skip_name(const char *text, const char *name)
{
	while (*name && upper(*text) == *name) {
		text++;
		name++;
	}
	return *name ? NULL : text;
}

static uint32_t number(const char *text)
{
	uint32_t value = 0;

	while (*text >= '0' && *text <= '9' && value < 100000000)
		value = value * 10 + (uint32_t)(*text++ - '0');
	return value;
}

static void take_port(const char *value, struct load_options *o)
{
	const char *digit = skip_name(value, "COM");

	if (digit && *digit >= '1' && *digit <= '4')
		o->com_port = (unsigned)(*digit - '0');
}

static void take_baud_rate(const char *value, struct load_options *o)
{
	const uint32_t rate = number(value);

	if (rate >= 300 && rate <= 115200)
		o->baud_rate = rate;
}

static void take_fifo(const char *value, struct load_options *o)
{
	const char *end = skip_name(value, "STOCK");

	if (end && is_separator(*end))
		o->has_stock_fifo = true;
}

static void take_ring(const char *value, struct load_options *o)
{
	const char *end = skip_name(value, "IVSHMEM");

	if (end && is_separator(*end))
		o->ring_is_pci = true;
}

static const struct {
	const char *name;
	void (*take)(const char *value, struct load_options *o);
} options[] = {
	{ "DEBUGPORT=", take_port },
	/* Where DEBUGPORT=RING chooses the transport (boot.ini), no room is left for its port. */
	{ "RINGPORT=", take_port },
	{ "BAUDRATE=", take_baud_rate },
	{ "FIFO=", take_fifo },
	{ "RING=", take_ring },
};

void load_options_parse(const char *text, struct load_options *ret)
{
	char before = ' ';

	*ret = (struct load_options){ .com_port = 1, .baud_rate = DEFAULT_BAUD };
	for (size_t i = 0; text && text[i] && i < TEXT_MAX; before = text[i++]) {
		if (!is_separator(before))
			continue;
		for (size_t j = 0; j < sizeof(options) / sizeof(options[0]); j++) {
			const char *value = skip_name(text + i, options[j].name);

			if (value)
				options[j].take(value, ret);
		}
	}
}

/* --- the loader block --- */

/*
 * Vista and later begin with OsMajorVersion, OsMinorVersion, Size, reserved; XP with the module
 * list. Then so many LIST_ENTRYs (inferred for 8 and 8.1), four pointers, the registry's length (in
 * 10 the stack's size before it), and six pointers before LoadOptions.
 */
struct shape {
	uint32_t major, minor;
	uint8_t n_lists;
	bool has_stack_size;
};

static const struct shape shapes[] = {
	{ 10, 0, 7, true }, { 6, 3, 6, false }, { 6, 2, 5, false },
	{ 6, 1, 3, false }, { 6, 0, 3, false },
};

static const struct shape xp = { 0, 0, 3, false };

static const struct shape *find_shape(const void *block)
{
	const uint32_t *version = block;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (version[0] == shapes[i].major && version[1] == shapes[i].minor)
			return &shapes[i];
	/* The low half of a pointer to a list entry is never that small. */
	return version[0] >= 0x10000 ? &xp : NULL;
}

static size_t header_size(const struct shape *s)
{
	return s->major ? 16 : 0;
}

static size_t options_offset(const struct shape *s)
{
	size_t lengths = s->has_stack_size || WORD == 8 ? 8 : 4;

	return header_size(s) + s->n_lists * 2u * WORD + 4u * WORD + lengths + 6u * WORD;
}

/* Only what can be an address of the kernel's half is looked at. */
static bool is_kernel_pointer(const void *p)
{
	return (intptr_t)p < 0 && (uintptr_t)p < UINTPTR_MAX - 0x10000;
}

static void *pointer_at(const void *base, size_t offset)
{
	return *(void *const *)((const char *)base + offset);
}

const char *load_options_find(const void *loader_block)
{
	const struct shape *s = loader_block ? find_shape(loader_block) : NULL;
	const char *text;

	if (!s)
		return NULL;
	text = pointer_at(loader_block, options_offset(s));
	return is_kernel_pointer(text) ? text : NULL;
}

void *load_options_kernel_base(const void *loader_block)
{
	enum { DLL_BASE = 6 * WORD }; /* in a KLDR_DATA_TABLE_ENTRY: 0x18, 0x30 */
	const struct shape *s = loader_block ? find_shape(loader_block) : NULL;
	const void *head, *first;

	if (!s)
		return NULL;
	head = (const char *)loader_block + header_size(s);
	first = pointer_at(head, 0);
	/* Empty: the kernel has taken the list over. */
	if (!is_kernel_pointer(first) || first == head)
		return NULL;
	return is_kernel_pointer(pointer_at(first, DLL_BASE)) ? pointer_at(first, DLL_BASE) : NULL;
}
