/* SPDX-License-Identifier: MIT */
/* e and its kin, f, m, .readmem, .writemem */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openkd/memory.h>

#include "apps/kd/aside.h"
#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"

enum { EDIT_MAX = 64 << 10, CHUNK = 64 << 10, PATTERN_MAX = 4096 };

/* --- values --- */

enum edit_style { EDIT_NUMBER, EDIT_FLOAT, EDIT_STRING };

static const struct edit {
	const char *name;
	uint8_t unit; /* 0: pointer */
	enum edit_style style;
	bool is_wide, has_end;
} edits[] = {
	{ "b", 1, EDIT_NUMBER, false, false }, { "w", 2, EDIT_NUMBER, false, false },
	{ "d", 4, EDIT_NUMBER, false, false }, { "q", 8, EDIT_NUMBER, false, false },
	{ "p", 0, EDIT_NUMBER, false, false }, { "f", 4, EDIT_FLOAT, false, false },
	{ "D", 8, EDIT_FLOAT, false, false },  { "a", 1, EDIT_STRING, false, false },
	{ "u", 2, EDIT_STRING, true, false },  { "za", 1, EDIT_STRING, false, true },
	{ "zu", 2, EDIT_STRING, true, true },
};

/* By the letters after `e`, or after `!e`. */
static const struct edit *find_edit(const char *name)
{
	size_t i = 0;

	name += name[0] == '!' ? 2 : 1;
	while (strcmp(edits[i].name, name) != 0)
		i++; /* the table of commands names no others */
	return &edits[i];
}

static void add_number(struct text *bytes, uint64_t value, unsigned unit)
{
	uint8_t one[8];

	value_store(one, unit, value);
	text_append(bytes, (const char *)one, unit);
}

static enum kd_status add_float(struct call *call, struct text *bytes, unsigned unit)
{
	char word[64], *end;
	double number;
	float single;
	uint64_t bits = 0;

	if (!args_word(&call->args, word, sizeof(word)))
		return KD_OK;
	number = strtod(word, &end);
	if (end == word || *end)
		return call_fail(call, KD_E_SYNTAX, "'%s' is not a number", word);
	single = (float)number;
	if (unit == 4)
		memcpy(&bits, &single, sizeof(single));
	else
		memcpy(&bits, &number, sizeof(number));
	add_number(bytes, bits, unit);
	return KD_OK;
}

/* UTF-8 to UTF-16LE; bad bytes become U+FFFD. */
static void add_wide(struct text *bytes, const char *s)
{
	while (*s) {
		unsigned char c = (unsigned char)*s++;
		unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		uint32_t code = c < 0x80 ? c : more ? c & (0x3fu >> more) : 0xfffd;

		while (more-- && ((unsigned char)*s & 0xc0) == 0x80)
			code = code << 6 | ((unsigned char)*s++ & 0x3f);
		if (code >= 0x10000) {
			add_number(bytes, 0xd800 + ((code - 0x10000) >> 10), 2);
			code = 0xdc00 + ((code - 0x10000) & 0x3ff);
		}
		add_number(bytes, code, 2);
	}
}

static enum kd_status add_string(struct call *call, struct text *bytes, const struct edit *e)
{
	char *s = args_quoted(&call->args);

	if (!s)
		return call_fail(call, KD_E_SYNTAX, "%s wants a \"string\" in quotes", call->name);
	if (e->is_wide)
		add_wide(bytes, s);
	else
		text_add(bytes, s);
	if (e->has_end)
		add_number(bytes, 0, e->unit);
	free(s);
	return KD_OK;
}

/* Byte lists also take "strings" and 'c'. */
static enum kd_status add_value(struct call *call, struct text *bytes, unsigned unit)
{
	uint64_t value;
	enum kd_status s;

	if (*call->args.at == '"') {
		char *string = args_quoted(&call->args);

		text_add(bytes, string);
		free(string);
		return KD_OK;
	}
	if (call->args.at[0] == '\'' && call->args.at[1] && call->args.at[2] == '\'') {
		add_number(bytes, (unsigned char)call->args.at[1], unit);
		call->args.at += 3;
		return KD_OK;
	}
	s = args_value(&call->args, &value);
	if (s != KD_OK)
		return s;
	if (unit < 8 && value >> (8 * unit) && ~value >> (8 * unit - 1))
		return call_fail(call, KD_E_INVALID, "0x%llx does not fit %u byte%s",
				 (unsigned long long)value, unit, unit == 1 ? "" : "s");
	add_number(bytes, value, unit);
	return KD_OK;
}

static enum kd_status take_bytes(struct call *call, const struct edit *e, struct text *bytes)
{
	unsigned unit = e->unit ? e->unit : call->con->pointer_size;
	enum kd_status s = KD_OK;

	if (args_at_end(&call->args))
		return call_fail(call, KD_E_SYNTAX, "%s wants values: %s ADDRESS VALUE ...",
				 call->name, call->name);
	if (e->style == EDIT_STRING) {
		s = add_string(call, bytes, e);
		return s == KD_OK ? args_done(&call->args) : s;
	}
	while (s == KD_OK && !args_at_end(&call->args)) {
		s = e->style == EDIT_FLOAT ? add_float(call, bytes, unit)
					   : add_value(call, bytes, unit);
		if (bytes->size > EDIT_MAX)
			return call_fail(call, KD_E_TOO_BIG, "more than %d KB", EDIT_MAX >> 10);
	}
	return s;
}

static enum kd_status edit(struct call *call, bool is_physical)
{
	const struct edit *e = find_edit(call->name);
	struct text bytes = TEXT_INIT;
	uint64_t address;
	enum kd_status s = args_value(&call->args, &address);

	if (s == KD_OK)
		s = take_bytes(call, e, &bytes);
	if (s == KD_OK && bytes.size)
		s = memory_write(call, is_physical, address, bytes.data, bytes.size);
	text_free(&bytes);
	return s;
}

static enum kd_status run_edit(struct call *call)
{
	return edit(call, false);
}

static enum kd_status run_edit_physical(struct call *call)
{
	return edit(call, true);
}

/* --- fill, move --- */

static enum kd_status run_fill(struct call *call)
{
	struct range r;
	struct text bytes = TEXT_INIT;
	enum kd_status s = args_range_needed(&call->args, 1, &r);

	if (s == KD_OK && args_at_end(&call->args))
		s = call_fail(call, KD_E_SYNTAX, "f wants bytes to fill with: f START LCOUNT 90");
	while (s == KD_OK && !args_at_end(&call->args) && bytes.size < PATTERN_MAX)
		s = add_value(call, &bytes, 1);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_memory_fill(call->session, r.start, r.count, bytes.data, bytes.size,
				   call->err);
	if (s == KD_OK)
		out_printf(call->out, "Filled 0x%llx bytes\n", (unsigned long long)r.count);
	text_free(&bytes);
	return s;
}

/* Overlapping areas come out right: all is read before anything is written. */
static enum kd_status run_move(struct call *call)
{
	struct range r;
	uint64_t to;
	uint8_t *bytes;
	enum kd_status s = args_range_needed(&call->args, 1, &r);

	if (s == KD_OK)
		s = args_value(&call->args, &to);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (r.count > MEMORY_BLOCK_MAX)
		return call_fail(call, KD_E_TOO_BIG, "at most %d MB at once",
				 MEMORY_BLOCK_MAX >> 20);
	bytes = app_alloc((size_t)r.count);
	s = memory_read(call, false, r.start, bytes, (size_t)r.count, NULL);
	if (s == KD_OK)
		s = memory_write(call, false, to, bytes, (size_t)r.count);
	free(bytes);
	return s;
}

/* --- files --- */

typedef enum kd_status (*chunk_fn)(struct call *call, FILE *f, uint64_t address, uint8_t *bytes,
				   size_t size, size_t *done_ret);

static enum kd_status to_file(struct call *call, FILE *f, uint64_t address, uint8_t *bytes,
			      size_t size, size_t *done_ret)
{
	enum kd_status s = memory_read(call, false, address, bytes, size, NULL);

	*done_ret = size;
	if (s == KD_OK && fwrite(bytes, 1, size, f) != size)
		return call_fail(call, KD_E_IO, "the file cannot be written: %s", strerror(errno));
	return s;
}

static enum kd_status from_file(struct call *call, FILE *f, uint64_t address, uint8_t *bytes,
				size_t size, size_t *done_ret)
{
	*done_ret = fread(bytes, 1, size, f);
	if (ferror(f))
		return call_fail(call, KD_E_IO, "the file cannot be read: %s", strerror(errno));
	return *done_ret ? memory_write(call, false, address, bytes, *done_ret) : KD_OK;
}

static enum kd_status copy_chunks(struct call *call, FILE *f, const struct range *r, chunk_fn chunk,
				  const char *what, uint64_t *done_ret)
{
	uint64_t started = console_now_ns();
	uint8_t *bytes = app_alloc(CHUNK);
	enum kd_status s = KD_OK;

	*done_ret = 0;
	while (s == KD_OK && *done_ret < r->count) {
		size_t size = (size_t)APP_MIN(r->count - *done_ret, (uint64_t)CHUNK), done;

		s = chunk(call, f, r->start + *done_ret, bytes, size, &done);
		*done_ret += s == KD_OK ? done : 0;
		show_progress(call->con, what, *done_ret, r->count, started);
		if (done < size)
			break;
		if (s == KD_OK && console_interrupted(call->con))
			s = call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	free(bytes);
	out_transient(call->out, NULL);
	return s;
}

static enum kd_status io_failure(struct call *call, const char *path)
{
	return call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
}

static enum kd_status from_memory(struct call *call, const char *path, const struct range *r)
{
	uint64_t done = 0;
	struct aside a;
	enum kd_status s;

	if (!aside_begin(&a, path))
		return io_failure(call, path);
	s = copy_chunks(call, a.file, r, to_file, "Wrote", &done);
	if (!aside_end(&a, s == KD_OK) && s == KD_OK)
		s = io_failure(call, path);
	if (s == KD_OK)
		out_printf(call->out, "Wrote 0x%llx bytes\n", (unsigned long long)done);
	data_address(call_object(call), "bytes", done);
	return s;
}

static enum kd_status into_memory(struct call *call, const char *path, const struct range *r)
{
	FILE *f = fopen(path, "re");
	uint64_t done = 0;
	enum kd_status s;

	if (!f)
		return io_failure(call, path);
	s = copy_chunks(call, f, r, from_file, "Read", &done);
	fclose(f);
	out_printf(call->out, "Read 0x%llx bytes\n", (unsigned long long)done);
	data_address(call_object(call), "bytes", done);
	return s;
}

static enum kd_status run_writemem(struct call *call)
{
	char *path = args_string(&call->args);
	struct range r;
	enum kd_status s;

	if (!path)
		return call_fail(call, KD_E_SYNTAX, "which file? .writemem FILE START LCOUNT");
	s = args_range_needed(&call->args, 1, &r);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = from_memory(call, path, &r);
	free(path);
	return s;
}

/* What into_memory() is to fail on counts as one byte. */
static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 1;
}

/* The range's length may be left out: the whole file. */
static enum kd_status run_readmem(struct call *call)
{
	char *path = args_string(&call->args);
	struct range r;
	enum kd_status s;

	if (!path)
		return call_fail(call, KD_E_SYNTAX, "which file? .readmem FILE ADDRESS");
	s = args_range(&call->args, 1, file_size(path), &r);
	if (s == KD_OK && !r.has_start)
		s = call_fail(call, KD_E_SYNTAX, "to which address? .readmem FILE ADDRESS");
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = into_memory(call, path, &r);
	free(path);
	return s;
}

#define EDIT_FLAGS (CMD_STOPPED | CMD_CHANGES)
#define EDIT(name, help, example)                                                                \
	{                                                                                        \
		name, name " ADDRESS VALUE ...", help, example, NULL, EDIT_FLAGS, WORDS_SYMBOLS, \
			run_edit, NULL, NULL                                                     \
	}
#define EDIT_TEXT(name, help, example)                                                            \
	{                                                                                         \
		name, name " ADDRESS \"STRING\"", help, example, NULL, EDIT_FLAGS, WORDS_SYMBOLS, \
			run_edit, NULL, NULL                                                      \
	}

/* clang-format off */
static const struct command commands[] = {
	EDIT("eb", "Write bytes; values may be \"strings\" too", "eb @rip 90 90"),
	EDIT("ew", "Write 2-byte numbers", "ew @rsp 1234"),
	EDIT("ed", "Write 4-byte numbers", "ed demo!DemoCounter 1000"),
	EDIT("eq", "Write 8-byte numbers", "eq @rsp fffff801`12345678"),
	EDIT("ep", "Write pointers", "ep @rsp nt!KeBugCheckEx"),
	EDIT("ef", "Write single-precision numbers", "ef @rsp 1.5"),
	EDIT("eD", "Write double-precision numbers", "eD @rsp 1.5"),
	EDIT_TEXT("ea", "Write a string of 1-byte characters, without an end", "ea @rsp \"abc\""),
	EDIT_TEXT("eu", "Write a string of UTF-16, without an end", "eu @rsp \"abc\""),
	EDIT_TEXT("eza", "Write a string of 1-byte characters and a NUL", "eza @rsp \"abc\""),
	EDIT_TEXT("ezu", "Write a string of UTF-16 and a NUL", "ezu @rsp \"abc\""),
	{ "!eb", "!eb ADDRESS VALUE ...", "Write bytes of physical memory", "!eb 1000 90",
	  NULL, EDIT_FLAGS, WORDS_NONE, run_edit_physical, NULL, NULL },
	{ "!ed", "!ed ADDRESS VALUE ...", "Write 4-byte numbers of physical memory", "!ed 1000 12345678",
	  NULL, EDIT_FLAGS, WORDS_NONE, run_edit_physical, NULL, NULL },
	{ "f", "f RANGE VALUE ...", "Fill memory with bytes, repeated", "f @rsp-100 L100 cc",
	  NULL, EDIT_FLAGS, WORDS_SYMBOLS, run_fill, NULL, NULL },
	{ "m", "m RANGE ADDRESS", "Copy memory to another address", "m @rsp L20 @rsp-100",
	  NULL, EDIT_FLAGS, WORDS_SYMBOLS, run_move, NULL, NULL },
	{ ".writemem", ".writemem FILE RANGE", "Write memory into a file", ".writemem stack.bin @rsp L1000",
	  "byte-count", CMD_STOPPED, WORDS_FILES, run_writemem, NULL, NULL },
	{ ".readmem", ".readmem FILE ADDRESS [LCOUNT]", "Read a file into memory", ".readmem patch.bin @rip",
	  "byte-count", EDIT_FLAGS, WORDS_FILES, run_readmem, NULL, NULL },
};
/* clang-format on */

FAMILY(family_edit, "Changing memory");
