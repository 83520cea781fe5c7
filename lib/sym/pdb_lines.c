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

#define SUB_IGNORE 0x80000000u

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

static const char *file_of(const struct c13 *x, uint32_t checksum)
{
	if (checksum > x->checksums_size || x->checksums_size - checksum < 4)
		return "";
	return kd__pdb_name(x->pdb, kd_get32(x->checksums + checksum));
}

static void add(struct c13 *x, uint32_t rva, uint32_t line, const char *file)
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
	m->lines[m->n_lines++] = (struct pdb_row){ rva, line, file };
}

static void parse_lines(struct c13 *x, struct kd_cursor c)
{
	uint32_t offset = kd__cursor_u32(&c), start;
	uint16_t section = kd__cursor_u16(&c);

	kd__cursor_u16(&c); /* flags: columns are skipped with the block */
	kd__cursor_u32(&c); /* code size */
	if (!c.ok || !kd__pdb_rva(x->pdb, section, offset, &start))
		return;
	while ((size_t)(c.end - c.p) >= 12) {
		const uint8_t *block = c.p;
		const char *file = file_of(x, kd_get32(block));
		uint32_t n = kd_get32(block + 4), size = kd_get32(block + 8);

		if (size < 12 || (size_t)(c.end - c.p) < size || (size - 12) / 8 < n)
			return;
		for (uint32_t i = 0; i < n; i++)
			add(x, start + kd_get32(block + 12 + 8 * (size_t)i),
			    kd_get32(block + 16 + 8 * (size_t)i) & LINE_MASK, file);
		c.p += size;
	}
}

static int by_rva(const void *a, const void *b)
{
	const struct pdb_row *x = a, *y = b;

	return x->rva < y->rva ? -1 : x->rva > y->rva;
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
	if (low == 0 || m->lines[low - 1].rva < c->rva)
		return KD_E_NOT_FOUND;
	*ret = (struct kd_pdb_line){ m->lines[low - 1].file, m->lines[low - 1].line,
				     m->lines[low - 1].rva };
	return KD_OK;
}

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

enum kd_status kd_pdb_line_find(struct kd_pdb *pdb, const char *file, uint32_t line,
				struct kd_pdb_line *ret)
{
	bool found = false;

	for (size_t i = 0; i < pdb->n_modules; i++) {
		struct pdb_module *m = &pdb->modules[i];

		load(pdb, m);
		for (size_t j = 0; j < m->n_lines; j++) {
			const struct pdb_row *r = &m->lines[j];

			if (r->line < line || (found && r->line >= ret->line) ||
			    !is_file(r->file, file))
				continue;
			*ret = (struct kd_pdb_line){ r->file, r->line, r->rva };
			found = true;
		}
	}
	return found ? KD_OK : KD_E_NOT_FOUND;
}
