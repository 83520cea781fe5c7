/* SPDX-License-Identifier: MIT */
/*
 * What a PDB costs: each question from a cold start (a fresh kd_pdb), then many of them. JSON lines
 * with CPU time and what was counted, then a table with the bars of issue 2's facts (symbols 8).
 *
 *   bench_sym [PDB [NAME TYPE]]     NAME, TYPE: what is looked up; default: what the PDB lists
 *
 * Without a PDB it is one of a kernel's size, 80,000 publics and 40,000 functions, which
 * bench/gen-big-pdb makes in about a minute, once a build folder.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/sym/pdb.h"
#include "lib/sym/types.h"

enum { RUNS = 7, LOOKUPS = 2000 };

struct job {
	const char *path, *name, *type;
	uint32_t *rvas; /* LOOKUPS of them, in functions */
	struct kd_pdb *pdb;
	uint64_t count; /* what the last run counted */
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct kd_pdb *open_pdb(const char *path)
{
	struct kd_pdb *pdb;
	struct kd_error err;

	if (kd_pdb_open(path, &pdb, &err) != KD_OK) {
		fprintf(stderr, "bench_sym: %s\n", err.text);
		exit(1);
	}
	return pdb;
}

/* --- the questions; `pdb` is open and knows nothing yet --- */

static void ask_open(struct job *j)
{
	struct kd_pdb_info info;

	kd_pdb_close(open_pdb(j->path));
	kd_pdb_info(j->pdb, &info);
	j->count = info.machine;
}

static void ask_symbols(struct job *j)
{
	const struct kd_pdb_symbol *list;
	size_t n, before = mallinfo2().uordblks + mallinfo2().hblkhd;

	kd_pdb_symbols(j->pdb, &list, &n, NULL);
	j->count = mallinfo2().uordblks + mallinfo2().hblkhd - before;
}

static void ask_name(struct job *j)
{
	const struct kd_pdb_symbol *s = kd_pdb_find(j->pdb, j->name);

	j->count = s ? s->rva : 0;
}

static void ask_missing(struct job *j)
{
	j->count = kd_pdb_find(j->pdb, "NoSuchNameAnywhere") != NULL;
}

static void ask_function(struct job *j)
{
	const struct kd_pdb_symbol *s = kd_pdb_at(j->pdb, j->rvas[LOOKUPS / 2]);

	j->count = s ? s->rva : 0;
}

static void ask_line(struct job *j)
{
	struct kd_pdb_line line = { .line = 0 };

	kd_pdb_line_at(j->pdb, j->rvas[LOOKUPS / 2], &line);
	j->count = line.line;
}

static void ask_type(struct job *j)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field f;
	struct kd_type_desc d;
	uint32_t type;
	char text[256];

	j->count = 0;
	if (kd_types_find(j->pdb, j->type, &type, NULL) != KD_OK ||
	    kd_types_describe(j->pdb, type, &d) != KD_OK)
		return;
	while (kd_types_next(j->pdb, &d, &at, &f) == KD_OK) {
		kd_types_format(j->pdb, f.type, text, sizeof text);
		j->count++;
	}
}

static void ask_places(struct job *j)
{
	struct kd_pdb_line line;

	j->count = 0;
	for (size_t i = 0; i < LOOKUPS; i++)
		j->count += kd_pdb_at(j->pdb, j->rvas[i]) != NULL &&
			    kd_pdb_line_at(j->pdb, j->rvas[i], &line) == KD_OK;
}

static const struct row {
	const char *name, *counts;
	void (*ask)(struct job *j);
	unsigned warm; /* asked so often before the clock runs */
	unsigned per;  /* figures are per this many */
	double bar_us; /* 0: none */
} rows[] = {
	/* clang-format off */
	{ "open",                          "machine",    ask_open,     0, 1,       2000 },
	{ "all symbols, by address",       "heap bytes", ask_symbols,  0, 1,       25000 },
	{ "one name, first",               "rva",        ask_name,     0, 1,       100 },
	{ "one name, again",               "rva",        ask_name,     1, 1,       100 },
	{ "a name that is not there, first", "found",    ask_missing,  0, 1,       0 },
	{ "a name that is not there, again", "found",    ask_missing,  1, 1,       100 },
	{ "address to function, first",    "rva",        ask_function, 0, 1,       10000 },
	{ "address to line, first",        "line",       ask_line,     0, 1,       5000 },
	{ "one type with members",         "members",    ask_type,     0, 1,       5000 },
	{ "2000 addresses to function and line, first", "answers", ask_places, 0, 1, 200000 },
	{ "the same, again, each",         "answers",    ask_places,   1, LOOKUPS, 3 },
	/* clang-format on */
};

/* --- running --- */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median of some runs, each with a PDB of its own; the file itself is in the page cache. */
static double run(const struct row *r, struct job *j)
{
	uint64_t ns[RUNS];

	for (size_t i = 0; i < RUNS; i++) {
		j->pdb = open_pdb(j->path);
		for (unsigned n = 0; n < r->warm; n++)
			r->ask(j);
		ns[i] = cpu_ns();
		r->ask(j);
		ns[i] = cpu_ns() - ns[i];
		kd_pdb_close(j->pdb);
	}
	qsort(ns, RUNS, sizeof *ns, by_value);
	return (double)ns[RUNS / 2] / r->per;
}

static bool keep_name(void *context, const char *name, uint32_t type)
{
	struct job *j = context;

	(void)type;
	j->type = name;
	return false;
}

/* Addresses all over the functions, and a name and a type when none were given. */
static size_t choose(struct job *j, struct kd_pdb *pdb)
{
	const struct kd_pdb_symbol *list;
	size_t n = 0, n_functions = 0;
	uint32_t random = 1;

	kd_pdb_symbols(pdb, &list, &n, NULL);
	j->rvas = calloc(LOOKUPS, sizeof *j->rvas);
	for (size_t i = 0; i < n; i++)
		n_functions += list[i].kind == KD_PDB_FUNCTION;
	if (!j->rvas || !n_functions) {
		fprintf(stderr, "bench_sym: the PDB has no functions\n");
		exit(1);
	}
	for (size_t i = 0; i < LOOKUPS;) {
		const struct kd_pdb_symbol *s;

		random = random * 1664525u + 1013904223u;
		s = &list[(random >> 4) % n];
		if (s->kind != KD_PDB_FUNCTION)
			continue;
		j->rvas[i++] = s->rva + (s->size ? (random >> 8) % s->size : 0);
		if (!j->name)
			j->name = s->name;
	}
	if (!j->type)
		kd_types_each(pdb, keep_name, j);
	return n;
}

static const char *big_pdb(void)
{
	static const char path[] = KD_BENCH_FOLDER "/big-pdb/big.pdb";

	if (access(path, R_OK) &&
	    system("'" KD_BENCH_GENERATOR "' '" KD_BENCH_FOLDER "/big-pdb' 1>&2")) {
		fprintf(stderr, "bench_sym: %s could not be made\n", path);
		exit(1);
	}
	return path;
}

int main(int argc, char **argv)
{
	struct job j = { 0 };
	struct kd_pdb *pdb;
	double us[KD_ARRAY_LEN(rows)];
	size_t n;
	int slow = 0;

	if (argc > 4 || argc == 3) {
		fprintf(stderr, "usage: bench_sym [PDB [NAME TYPE]]\n");
		return 2;
	}
	j.path = argc > 1 ? argv[1] : big_pdb();
	j.name = argc == 4 ? argv[2] : NULL;
	j.type = argc == 4 ? argv[3] : NULL;
	pdb = open_pdb(j.path);
	n = choose(&j, pdb);
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		us[i] = run(&rows[i], &j) / 1000;
		printf("{\"bench\": \"sym\", \"name\": \"sym: %s\", \"symbols\": %zu, \"cpu_ns\": "
		       "%.0f, "
		       "\"counted\": \"%s\", \"count\": %" PRIu64 "}\n",
		       rows[i].name, n, us[i] * 1000, rows[i].counts, j.count);
	}
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		bool is_slow = rows[i].bar_us != 0 && us[i] > rows[i].bar_us;

		slow += is_slow;
		printf("# %-46s %10.1f us", rows[i].name, us[i]);
		if (rows[i].bar_us != 0)
			printf("  bar %8.0f%s", rows[i].bar_us, is_slow ? "  SLOW" : "");
		printf("\n");
	}
	kd_pdb_close(pdb);
	free(j.rvas);
	return slow ? 1 : 0;
}
