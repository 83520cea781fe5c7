/* SPDX-License-Identifier: MIT */
/* C13 line information, a module at a time, when it is first asked for. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	SUB_LINES = 0xF2,
	SUB_CHECKSUMS = 0xF4,
	LINES_HAVE_COLUMNS = 1,
	LINE_MASK = 0xFFFFFF,
	LINE_ALWAYS_STEP_INTO = 0xFEEFEE,
	LINE_NEVER_STEP_INTO = 0xF00F00,
};

#define ROW_END UINT32_MAX /* in place of a file: here ends a piece of code */

struct c13 {
	struct kd_pdb *pdb;
	struct pdb_module *module;
	const uint8_t *checksums;
	uint32_t checksums_size;
	size_t cap;
	bool failed;
};

static bool next_part(struct kd_cursor *c, uint32_t *kind, struct kd_cursor *body)
{
	uint32_t size;

	if ((size_t)(c->end - c->p) < 8)
		return false;
	*kind = kd__cursor_u32(c);
	size = kd__cursor_u32(c);
	if ((size_t)(c->end - c->p) < size)
		return false;
	*body = kd__cursor(c->p, size);
	c->p += KD_MIN((size_t)(c->end - c->p), ((size_t)size + 3) & ~(size_t)3);
	return true;
}

/* Offset of a file's name in /names, by the offset of its checksum. */
static uint32_t name_of(const struct c13 *x, uint32_t checksum)
{
	if (checksum > x->checksums_size || x->checksums_size - checksum < 4)
		return 0;
	return kd_get32(x->checksums + checksum);
}

static void add(struct c13 *x, uint32_t rva, uint32_t line, uint32_t name)
{
	struct pdb_module *m = x->module;

	if (line == LINE_ALWAYS_STEP_INTO || line == LINE_NEVER_STEP_INTO || x->failed)
		return;
	if (m->n_lines == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 256;
		struct pdb_row *rows = realloc(m->lines, cap * sizeof *rows);

		if (!rows) {
			x->failed = true;
			return;
		}
		m->lines = rows;
		x->cap = cap;
	}
	m->lines[m->n_lines] = (struct pdb_row){ rva, line, name, (uint32_t)m->n_lines };
	m->n_lines++;
}

/* The lines of a piece of code, and a row for its end: padding behind it has no line. */
static void parse_lines(struct c13 *x, struct kd_cursor c)
{
	uint32_t offset = kd__cursor_u32(&c), start, code_size;
	uint16_t section = kd__cursor_u16(&c);

	kd__cursor_u16(&c); /* flags: columns are skipped with the block */
	code_size = kd__cursor_u32(&c);
	if (!c.ok || !kd__pdb_rva(x->pdb, section, offset, &start))
		return;
	add(x, start + code_size, 0, ROW_END);
	while ((size_t)(c.end - c.p) >= 12) {
		const uint8_t *block = c.p;
		uint32_t name = name_of(x, kd_get32(block));
		uint32_t n = kd_get32(block + 4), size = kd_get32(block + 8);

		if (size < 12 || (size_t)(c.end - c.p) < size || (size - 12) / 8 < n)
			return;
		for (uint32_t i = 0; i < n; i++)
			add(x, start + kd_get32(block + 12 + 8 * (size_t)i),
			    kd_get32(block + 16 + 8 * (size_t)i) & LINE_MASK, name);
		c.p += size;
	}
}

/* Where one piece ends and the next begins, the beginning counts. */
static int by_rva(const void *a, const void *b)
{
	const struct pdb_row *x = a, *y = b;

	if (x->rva != y->rva)
		return x->rva < y->rva ? -1 : 1;
	if ((x->name == ROW_END) != (y->name == ROW_END))
		return x->name == ROW_END ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void load(struct kd_pdb *pdb, struct pdb_module *m)
{
	struct c13 x = { .pdb = pdb, .module = m };
	struct kd_cursor all, c, body;
	const uint8_t *bytes;
	uint32_t size, kind;
	uint64_t at = (uint64_t)m->symbols_size + m->c11_size;

	if (m->has_lines)
		return;
	m->has_lines = true;
	if (m->stream == PDB_STREAM_NONE || !m->c13_size ||
	    kd_msf_stream(&pdb->msf, m->stream, &bytes, &size, NULL) != KD_OK ||
	    at + m->c13_size > size)
		return;
	all = kd__cursor(bytes + at, m->c13_size);
	for (c = all; next_part(&c, &kind, &body);)
		if (kind == SUB_CHECKSUMS) {
			x.checksums = body.p;
			x.checksums_size = (uint32_t)(body.end - body.p);
		}
	for (c = all; next_part(&c, &kind, &body);)
		if (kind == SUB_LINES)
			parse_lines(&x, body);
	if (m->n_lines)
		qsort(m->lines, m->n_lines, sizeof *m->lines, by_rva);
}

/* A row as callers see it: up to the next row of another place. */
static struct kd_pdb_line line_of(const struct kd_pdb *pdb, const struct pdb_module *m, size_t i)
{
	const struct pdb_row *r = &m->lines[i];
	size_t next = i + 1;

	while (next < m->n_lines && m->lines[next].rva == r->rva)
		next++;
	return (struct kd_pdb_line){ kd__pdb_name(pdb, r->name), r->line, r->rva,
				     next < m->n_lines ? m->lines[next].rva : r->rva };
}

enum kd_status kd_pdb_line_at(struct kd_pdb *pdb, uint32_t rva, struct kd_pdb_line *ret)
{
	const struct pdb_contribution *c = kd__pdb_contribution_at(pdb, rva);
	struct pdb_module *m;
	size_t low = 0, high;

	if (!c)
		return KD_E_NOT_FOUND;
	m = &pdb->modules[c->module];
	load(pdb, m);
	high = m->n_lines;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->lines[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || m->lines[low - 1].rva < c->rva || m->lines[low - 1].line == 0)
		return KD_E_NOT_FOUND;
	*ret = line_of(pdb, m, low - 1);
	return KD_OK;
}

/* --- by file and line --- */

/* "ke/trap.c" names ".../ntos/ke/trap.c"; both kinds of separators. */
static bool is_file(const char *path, const char *wanted)
{
	size_t n = strlen(path), w = strlen(wanted);

	if (w > n || w == 0)
		return false;
	for (size_t i = 0; i < w; i++) {
		char a = path[n - w + i], b = wanted[i];

		if (a != b && strncasecmp(&a, &b, 1) && !(a == '\\' && b == '/') &&
		    !(a == '/' && b == '\\'))
			return false;
	}
	return w == n || path[n - w - 1] == '/' || path[n - w - 1] == '\\';
}

struct file_match { /* rows of one file follow each other: its name is compared once */
	const char *wanted;
	uint32_t name;
	bool matches;
};

static bool is_wanted(const struct kd_pdb *pdb, struct file_match *f, const struct pdb_row *r)
{
	if (r->name == ROW_END || r->line == 0)
		return false;
	if (r->name != f->name) {
		f->name = r->name;
		f->matches = is_file(kd__pdb_name(pdb, r->name), f->wanted);
	}
	return f->matches;
}

/* The lowest line of the file at or above `line` that has code; 0: none. */
static uint32_t line_with_code(struct kd_pdb *pdb, const char *file, uint32_t line)
{
	struct file_match f = { file, ROW_END, false };
	uint32_t best = 0;

	for (size_t i = 0; i < pdb->n_modules; i++) {
		struct pdb_module *m = &pdb->modules[i];

		load(pdb, m);
		for (size_t j = 0; j < m->n_lines; j++)
			if (m->lines[j].line >= line && (!best || m->lines[j].line < best) &&
			    is_wanted(pdb, &f, &m->lines[j]))
				best = m->lines[j].line;
	}
	return best;
}

enum kd_status kd_pdb_line_each(struct kd_pdb *pdb, const char *file, uint32_t line,
				kd_pdb_line_fn fn, void *context)
{
	struct file_match f = { file, ROW_END, false };
	uint32_t found = line_with_code(pdb, file, line);

	for (size_t i = 0; found && i < pdb->n_modules; i++) {
		const struct pdb_module *m = &pdb->modules[i];

		for (size_t j = 0; j < m->n_lines; j++) {
			const struct pdb_row *r = &m->lines[j];
			struct kd_pdb_line place;

			/* of rows that follow each other only the first begins the line */
			if (r->line != found || !is_wanted(pdb, &f, r) ||
			    (j > 0 && r[-1].line == found && r[-1].name == r->name))
				continue;
			place = line_of(pdb, m, j);
			if (!fn(context, &place))
				return KD_OK;
		}
	}
	return found ? KD_OK : KD_E_NOT_FOUND;
}

static bool keep_lowest(void *context, const struct kd_pdb_line *line)
{
	struct kd_pdb_line *lowest = context;

	if (!lowest->line || line->rva < lowest->rva)
		*lowest = *line;
	return true;
}

enum kd_status kd_pdb_line_find(struct kd_pdb *pdb, const char *file, uint32_t line,
				struct kd_pdb_line *ret)
{
	struct kd_pdb_line lowest = { .line = 0 };
	enum kd_status status = kd_pdb_line_each(pdb, file, line, keep_lowest, &lowest);

	if (status == KD_OK)
		*ret = lowest;
	return status;
}
