/* SPDX-License-Identifier: MIT */
#include "lib/engine/filter.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * WinDbg's defaults. Kernel targets forward first chances of breakpoint, step and assertion only,
 * so most first-chance rows act at the second chance unless NtGlobalFlag has "stop on exception".
 */
static const struct kd_filter defaults[] = {
	{ "ld", "Load module", 0, KD_FILTER_OUTPUT, true, "" },
	{ "ud", "Unload module", 0, KD_FILTER_OUTPUT, true, "" },
	{ "ser", "System error", 0, KD_FILTER_IGNORE, true, "" },
	{ "ibp", "Initial breakpoint", 0, KD_FILTER_BREAK, true, "" },
	{ "iml", "Initial module load", 0, KD_FILTER_IGNORE, true, "" },
	{ "out", "Debuggee output", 0, KD_FILTER_OUTPUT, true, "" },
	{ "av", "Access violation", 0xC0000005, KD_FILTER_BREAK, false, "" },
	{ "asrt", "Assertion failure", 0xC0000420, KD_FILTER_BREAK, false, "" },
	{ "aph", "Application hang", 0xCFFFFFFF, KD_FILTER_BREAK, false, "" },
	{ "bpe", "Break instruction exception", 0x80000003, KD_FILTER_BREAK, true, "" },
	{ "eh", "C++ EH exception", 0xE06D7363, KD_FILTER_SECOND_CHANCE, false, "" },
	{ "clr", "CLR exception", 0xE0434352, KD_FILTER_SECOND_CHANCE, false, "" },
	{ "cc", "Debugger command exception", 0x40010005, KD_FILTER_BREAK, true, "" },
	{ "dm", "Data misaligned", 0x80000002, KD_FILTER_BREAK, false, "" },
	{ "dbce", "Debugger command exception", 0x40010009, KD_FILTER_IGNORE, true, "" },
	{ "dz", "Integer divide-by-zero", 0xC0000094, KD_FILTER_BREAK, false, "" },
	{ "gp", "Guard page violation", 0x80000001, KD_FILTER_BREAK, false, "" },
	{ "ii", "Illegal instruction", 0xC000001D, KD_FILTER_SECOND_CHANCE, false, "" },
	{ "iov", "Integer overflow", 0xC0000095, KD_FILTER_BREAK, false, "" },
	{ "ip", "In-page I/O error", 0xC0000006, KD_FILTER_BREAK, false, "" },
	{ "isc", "Invalid system call", 0xC000001C, KD_FILTER_BREAK, false, "" },
	{ "lsq", "Invalid lock sequence", 0xC000001E, KD_FILTER_BREAK, false, "" },
	{ "sbo", "Security check failure or stack buffer overrun", 0xC0000409, KD_FILTER_BREAK,
	  false, "" },
	{ "sov", "Stack overflow", 0xC00000FD, KD_FILTER_BREAK, false, "" },
	{ "sse", "Single step exception", 0x80000004, KD_FILTER_BREAK, true, "" },
	{ "3c", "Child application termination", 0xC000001B, KD_FILTER_SECOND_CHANCE, false, "" },
	{ "vcpp", "Visual C++ exception", 0x406D1388, KD_FILTER_IGNORE, true, "" },
	{ "wkd", "Wake debugger", 0x80000007, KD_FILTER_BREAK, false, "" },
	{ "wob", "WOW64 breakpoint", 0x4000001F, KD_FILTER_BREAK, false, "" },
	{ "wos", "WOW64 single step exception", 0x4000001E, KD_FILTER_BREAK, false, "" },
};

enum { MAX_FILTERS = KD_ARRAY_LEN(defaults) + 64 };

struct kd__filters {
	struct kd_filter table[MAX_FILTERS];
	size_t n;
};

enum kd_status kd__filters_create(struct kd_session *s)
{
	s->filters = calloc(1, sizeof *s->filters);
	if (!s->filters)
		return KD_E_NO_MEMORY;
	kd_filter_reset(s);
	return KD_OK;
}

void kd__filters_destroy(struct kd_session *s)
{
	free(s->filters);
	s->filters = NULL;
}

void kd__filters_on_stop(struct kd_session *s)
{
	(void)s;
}

void kd__filters_on_resume(struct kd_session *s)
{
	(void)s;
}

void kd__filters_on_restart(struct kd_session *s)
{
	(void)s;
}

KD_EXPORT void kd_filter_reset(struct kd_session *s)
{
	memcpy(s->filters->table, defaults, sizeof defaults);
	s->filters->n = KD_ARRAY_LEN(defaults);
}

KD_EXPORT const struct kd_filter *kd_filter_table(const struct kd_session *s, size_t *n_ret)
{
	*n_ret = s->filters->n;
	return s->filters->table;
}

static struct kd_filter *find(const struct kd_session *s, const char *name)
{
	for (size_t i = 0; i < s->filters->n; i++)
		if (!strcasecmp(s->filters->table[i].name, name))
			return &s->filters->table[i];
	return NULL;
}

static struct kd_filter *find_code(const struct kd_session *s, uint32_t code)
{
	for (size_t i = 0; code && i < s->filters->n; i++)
		if (s->filters->table[i].code == code)
			return &s->filters->table[i];
	return NULL;
}

/* A number that no row names gets a row of its own. */
static enum kd_status find_or_add(struct kd_session *s, const char *name, struct kd_filter **ret,
				  struct kd_error *err)
{
	char *end;
	unsigned long long code;

	*ret = find(s, name);
	if (*ret)
		return KD_OK;
	code = strtoull(name, &end, 16);
	if (*name == '\0' || *end || code == 0 || code > UINT32_MAX)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no event or exception named '%s' (see sx)", name);
	*ret = find_code(s, (uint32_t)code);
	if (*ret)
		return KD_OK;
	if (s->filters->n == MAX_FILTERS)
		return kd_error_set(err, KD_E_FULL, 0, "no room for more than %d filters",
				    (int)MAX_FILTERS);
	*ret = &s->filters->table[s->filters->n++];
	memset(*ret, 0, sizeof **ret);
	(*ret)->code = (uint32_t)code;
	snprintf((*ret)->name, sizeof(*ret)->name, "%08x", (unsigned)code);
	snprintf((*ret)->description, sizeof(*ret)->description, "Exception %08x", (unsigned)code);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_filter_set(struct kd_session *s, const char *name,
				       enum kd_filter_action action, const char *argument,
				       struct kd_error *err)
{
	struct kd_filter *f;
	enum kd_status status = find_or_add(s, name, &f, err);

	if (status != KD_OK)
		return status;
	if (argument && strlen(argument) >= sizeof f->argument)
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "the pattern is longer than %zu characters",
				    sizeof f->argument - 1);
	f->action = action;
	if (argument)
		strcpy(f->argument, argument);
	return KD_OK;
}

struct kd__verdict kd__filter_exception(const struct kd_session *s, uint32_t code,
					bool first_chance)
{
	const struct kd_filter *f = find_code(s, code);
	enum kd_filter_action action = f ? f->action : KD_FILTER_SECOND_CHANCE;
	struct kd__verdict v = { .handled = f && f->handled };

	v.stop = action == KD_FILTER_BREAK || (!first_chance && action != KD_FILTER_IGNORE);
	v.tell = v.stop || action == KD_FILTER_OUTPUT;
	return v;
}

struct kd__verdict kd__filter_module(const struct kd_session *s, const char *name,
				     const char *module)
{
	const struct kd_filter *f = find(s, name);
	bool match = !f->argument[0] || !fnmatch(f->argument, module, FNM_CASEFOLD);

	return (struct kd__verdict){ .stop = f->action == KD_FILTER_BREAK && match,
				     .tell = f->action != KD_FILTER_IGNORE,
				     .handled = true };
}
