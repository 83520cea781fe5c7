/* SPDX-License-Identifier: MIT */
/* The user's breakpoints: the list, what each of them wants, whether a hit is a stop. */
#include <stdlib.h>
#include <string.h>

#include "lib/engine/breaks.h"
#include "lib/engine/breaks_private.h"
#include "lib/engine/event.h"

enum { MAX_BREAKPOINTS = 4096 };

enum kd_status kd__breaks_create(struct kd_session *s)
{
	s->breaks = calloc(1, sizeof *s->breaks);
	return s->breaks ? KD_OK : KD_E_NO_MEMORY;
}

static void brk_free(struct brk *b)
{
	if (!b)
		return;
	free(b->expression);
	free(b->condition);
	free(b->command);
	free(b);
}

void kd__breaks_forget_all(struct kd_session *s)
{
	for (size_t i = 0; i < s->breaks->n; i++)
		brk_free(s->breaks->list[i]);
	s->breaks->n = 0;
}

void kd__breaks_destroy(struct kd_session *s)
{
	if (!s->breaks)
		return;
	kd__breaks_forget_all(s);
	free(s->breaks->list);
	free(s->breaks);
	s->breaks = NULL;
}

void kd__breaks_on_stop(struct kd_session *s)
{
	(void)s;
}

void kd__breaks_on_resume(struct kd_session *s)
{
	(void)s;
}

/* The target restarted: nothing is planted, and what had an expression waits for its module. */
void kd__breaks_on_restart(struct kd_session *s)
{
	kd__sites_forget(s);
	kd__breaks_drop_temps(s);
	for (size_t i = 0; i < s->breaks->n; i++) {
		struct brk *b = s->breaks->list[i];

		if (!b->expression)
			continue;
		b->pub.is_deferred = true;
		b->pub.address = 0;
	}
}

void kd__breaks_disable_unnamed(struct kd_session *s)
{
	for (size_t i = 0; i < s->breaks->n; i++) {
		struct brk *b = s->breaks->list[i];

		if (b->expression || !b->pub.is_enabled)
			continue;
		b->pub.is_enabled = false;
		kd__events_notice(s,
				  "breakpoint %d was disabled: its address may mean something else "
				  "after the restart (be %d enables it)",
				  b->pub.id, b->pub.id);
	}
}

static bool is_code(const struct brk *b)
{
	return b->pub.kind == KD_BREAKPOINT_CODE;
}

bool kd__brk_wants(const struct brk *b)
{
	return b->pub.is_enabled && !b->pub.is_deferred;
}

/* Two enabled breakpoints at one address need one site. */
static size_t count_sites(const struct kd_session *s, const struct brk *extra)
{
	uint64_t seen[KD__SITES + 1];
	size_t n = 0;

	for (size_t i = 0; i <= s->breaks->n && n <= KD__SITES; i++) {
		const struct brk *b = i < s->breaks->n ? s->breaks->list[i] : extra;
		size_t j = 0;

		if (!b || !is_code(b) || !kd__brk_wants(b))
			continue;
		while (j < n && seen[j] != b->pub.address)
			j++;
		if (j == n)
			seen[n++] = b->pub.address;
	}
	return n;
}

static size_t count_data(const struct kd_session *s, const struct brk *extra)
{
	size_t n = extra && !is_code(extra) && extra->pub.is_enabled;

	for (size_t i = 0; i < s->breaks->n; i++)
		n += !is_code(s->breaks->list[i]) && s->breaks->list[i]->pub.is_enabled;
	return n;
}

static enum kd_status check_room(const struct kd_session *s, const struct brk *b,
				 struct kd_error *err)
{
	if (is_code(b) && count_sites(s, b) > KD__SITES)
		return kd_error_set(
			err, KD_E_FULL, b->pub.address,
			"the target's breakpoint table has 32 entries and all are used: "
			"disable or clear one (bd, bc), or use a debug register (ba e 1)");
	if (!is_code(b) && count_data(s, b) > KD__SLOTS)
		return kd_error_set(err, KD_E_FULL, b->pub.address,
				    "all 4 debug registers are used: clear a data breakpoint (bc), "
				    "or use a code breakpoint (bp)");
	return KD_OK;
}

static enum kd_status check_data(const struct kd_breakpoint_spec *spec, uint64_t address,
				 struct kd_error *err)
{
	uint8_t n = spec->access_size;

	if (spec->kind == KD_BREAKPOINT_CODE)
		return KD_OK;
	if (n != 1 && n != 2 && n != 4 && n != 8)
		return kd_error_set(err, KD_E_INVALID, address,
				    "a data breakpoint watches 1, 2, 4 or 8 bytes");
	if (spec->kind == KD_BREAKPOINT_EXECUTE && n != 1)
		return kd_error_set(err, KD_E_INVALID, address,
				    "an execute breakpoint has size 1 (ba e 1)");
	if (address % n)
		return kd_error_set(err, KD_E_INVALID, address,
				    "a data breakpoint of %u bytes must be aligned to them", n);
	return KD_OK;
}

static int lowest_free_id(const struct kd_session *s)
{
	int id = 0;

	while (kd_breakpoint_find(s, id))
		id++;
	return id;
}

static struct brk *find(const struct kd_session *s, int id)
{
	for (size_t i = 0; i < s->breaks->n; i++)
		if (s->breaks->list[i]->pub.id == id)
			return s->breaks->list[i];
	return NULL;
}

static enum kd_status insert(struct kd_session *s, struct brk *b, struct kd_error *err)
{
	struct kd__breaks *k = s->breaks;
	size_t at = 0;

	if (k->n == MAX_BREAKPOINTS)
		return kd_error_set(err, KD_E_FULL, 0, "more than %d breakpoints", MAX_BREAKPOINTS);
	if (k->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 16;
		struct brk **list = realloc(k->list, cap * sizeof(struct brk *));

		if (!list)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		k->list = list;
		k->cap = cap;
	}
	while (at < k->n && k->list[at]->pub.id < b->pub.id)
		at++;
	memmove(k->list + at + 1, k->list + at, (k->n - at) * sizeof(struct brk *));
	k->list[at] = b;
	k->n++;
	return KD_OK;
}

static void take_out(struct kd_session *s, struct brk *b)
{
	struct kd__breaks *k = s->breaks;

	for (size_t i = 0; i < k->n; i++) {
		if (k->list[i] != b)
			continue;
		memmove(k->list + i, k->list + i + 1, (k->n - i - 1) * sizeof(struct brk *));
		k->n--;
		return;
	}
}

static char *copy(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

static struct brk *brk_new(const struct kd_breakpoint_spec *spec, int id)
{
	struct brk *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->expression = copy(spec->expression);
	b->condition = copy(spec->condition);
	b->command = copy(spec->command);
	if (spec->size > offsetof(struct kd_breakpoint_spec, handler_context)) {
		b->handler = spec->handler;
		b->handler_context = spec->handler_context;
	}
	b->pub = (struct kd_breakpoint){
		.id = id,
		.kind = spec->kind,
		.is_enabled = true,
		.is_deferred = b->expression,
		.is_one_shot = spec->is_one_shot,
		.address = spec->address,
		.expression = b->expression,
		.access_size = spec->access_size,
		.passes = spec->passes ? spec->passes : 1,
		.passes_left = spec->passes ? spec->passes : 1,
		.process = spec->process,
		.thread = spec->thread,
		.condition = b->condition,
		.command = b->command,
	};
	return b;
}

/* Deferred breakpoints resolve quietly; one that names nothing yet is no error. */
static void try_resolve(struct kd_session *s, struct brk *b)
{
	uint64_t address;

	if (!b->pub.is_deferred ||
	    kd_expression_evaluate(s, b->expression, NULL, &address, NULL) != KD_OK)
		return;
	b->pub.address = kd__normalise(s, address);
	b->pub.is_deferred = false;
}

static enum kd_status check_memory(struct kd_session *s, const struct brk *b, struct kd_error *err)
{
	uint8_t byte;

	if (!is_code(b) || b->pub.is_deferred)
		return KD_OK;
	return kd_error_prefix(err, kd_memory_read(s, b->pub.address, &byte, 1, NULL, err),
			       "no breakpoint can be set");
}

static enum kd_status add_checked(struct kd_session *s, struct brk *b,
				  const struct kd_breakpoint_spec *spec, struct kd_error *err)
{
	struct brk *old = find(s, b->pub.id);
	enum kd_status status;

	if (b->expression)
		try_resolve(s, b);
	else
		b->pub.address = kd__normalise(s, b->pub.address);
	status = check_data(spec, b->pub.address, err);
	if (status == KD_OK && check_memory(s, b, NULL) != KD_OK)
		status = check_memory(s, b, err);
	if (status != KD_OK)
		return status;
	if (old)
		take_out(s, old);
	status = check_room(s, b, err);
	if (status == KD_OK)
		status = insert(s, b, err);
	if (status != KD_OK && old)
		insert(s, old, NULL);
	else
		brk_free(old);
	return status;
}

KD_EXPORT enum kd_status kd_breakpoint_add(struct kd_session *s, int id,
					   const struct kd_breakpoint_spec *spec, int *id_ret,
					   struct kd_error *err)
{
	struct brk *b;
	enum kd_status status = kd__need_write(s, err);

	if (status != KD_OK)
		return status;
	if (id >= MAX_BREAKPOINTS)
		return kd_error_set(err, KD_E_INVALID, 0, "ids go from 0 to %d",
				    MAX_BREAKPOINTS - 1);
	b = brk_new(spec, id < 0 ? lowest_free_id(s) : id);
	if (!b)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = add_checked(s, b, spec, err);
	if (status != KD_OK) {
		brk_free(b);
		return status;
	}
	if (id_ret)
		*id_ret = b->pub.id;
	return KD_OK;
}

static enum kd_status need(struct kd_session *s, int id, struct brk **ret, struct kd_error *err)
{
	*ret = find(s, id);
	return *ret ? KD_OK : kd_error_set(err, KD_E_NOT_FOUND, 0, "no breakpoint %d (see bl)", id);
}

KD_EXPORT enum kd_status kd_breakpoint_remove(struct kd_session *s, int id, struct kd_error *err)
{
	struct brk *b;
	enum kd_status status = need(s, id, &b, err);

	if (status == KD_OK)
		status = kd__need_stop(s, err);
	if (status != KD_OK)
		return status;
	take_out(s, b);
	brk_free(b);
	return KD_OK; /* the site goes at the next resume, or at the end */
}

static bool let_go(void *context, struct kd_session *s)
{
	(void)context;
	(void)s;
	return false;
}

KD_EXPORT enum kd_status kd_breakpoint_abandon(struct kd_session *s, int id, struct kd_error *err)
{
	struct brk *b;
	enum kd_status status = need(s, id, &b, err);

	if (status != KD_OK)
		return status;
	b->handler = let_go;
	b->handler_context = NULL;
	b->is_abandoned = true;
	return KD_OK;
}

KD_EXPORT enum kd_status kd_breakpoint_enable(struct kd_session *s, int id, bool enable,
					      struct kd_error *err)
{
	struct brk *b;
	bool before;
	enum kd_status status = need(s, id, &b, err);

	if (status == KD_OK)
		status = kd__need_stop(s, err);
	if (status != KD_OK)
		return status;
	before = b->pub.is_enabled;
	b->pub.is_enabled = enable;
	if (enable && !before) {
		status = check_room(s, b, err);
		if (status != KD_OK)
			b->pub.is_enabled = false;
	}
	return status;
}

KD_EXPORT enum kd_status kd_breakpoint_set_command(struct kd_session *s, int id,
						   const char *command, struct kd_error *err)
{
	struct brk *b;
	enum kd_status status = need(s, id, &b, err);

	if (status != KD_OK)
		return status;
	free(b->command);
	b->command = copy(command);
	b->pub.command = b->command;
	return KD_OK;
}

KD_EXPORT const struct kd_breakpoint *kd_breakpoint_nth(const struct kd_session *s, size_t n)
{
	return n < s->breaks->n ? &s->breaks->list[n]->pub : NULL;
}

KD_EXPORT const struct kd_breakpoint *kd_breakpoint_find(const struct kd_session *s, int id)
{
	const struct brk *b = find(s, id);

	return b ? &b->pub : NULL;
}

void kd__breaks_resolve(struct kd_session *s)
{
	for (size_t i = 0; i < s->breaks->n; i++) {
		struct brk *b = s->breaks->list[i];

		try_resolve(s, b);
		if (count_sites(s, NULL) <= KD__SITES && count_data(s, NULL) <= KD__SLOTS)
			continue;
		b->pub.is_enabled = false;
		kd__events_notice(s, "breakpoint %d was disabled: no room is left in the target",
				  b->pub.id);
	}
}

void kd__breaks_module_gone(struct kd_session *s, uint64_t base, uint64_t size)
{
	kd__sites_forget_range(s, base, size);
	for (size_t i = 0; i < s->breaks->n; i++) {
		struct brk *b = s->breaks->list[i];

		if (!b->expression || b->pub.is_deferred || b->pub.address - base >= size)
			continue;
		b->pub.is_deferred = true;
		b->pub.address = 0;
	}
}

/* Does this breakpoint care about the current process, thread and condition? */
static enum kd_status is_wanted(struct kd_session *s, const struct brk *b, bool *ret,
				struct kd_error *err)
{
	struct kd_process process;
	uint64_t value = 1;
	enum kd_status status = KD_OK;

	*ret = true;
	if (b->pub.thread && b->pub.thread != s->stop.thread)
		*ret = false;
	if (*ret && b->pub.process) {
		status = kd_process_current(s, &process, err);
		*ret = status == KD_OK && process.address == b->pub.process;
	}
	if (status == KD_OK && *ret && b->condition) {
		status = kd_expression_evaluate(s, b->condition, NULL, &value, err);
		*ret = status == KD_OK && value;
	}
	return status;
}

/* Whether this hit stops. A condition that fails to evaluate stops and says why. */
static bool count_hit(struct kd_session *s, struct brk *b)
{
	struct kd_error err;
	bool wanted;
	enum kd_status status = is_wanted(s, b, &wanted, &err);

	if (status != KD_OK && status != KD_E_CANCELLED) /* who cancels wants a stop */
		kd__events_notice(s, "breakpoint %d: its condition failed: %s", b->pub.id,
				  err.text);
	wanted |= status != KD_OK;
	if (!wanted)
		return false;
	b->pub.hits++;
	if (b->pub.passes_left > 1) {
		b->pub.passes_left--;
		return false;
	}
	return !b->handler || b->handler(b->handler_context, s);
}

static bool is_at(const struct kd_session *s, const struct brk *b, uint64_t pc, uint64_t dr6)
{
	int slot;

	if (!kd__brk_wants(b))
		return false;
	if (is_code(b))
		return pc && b->pub.address == pc;
	slot = kd__slot_of(s, b->pub.id);
	return slot >= 0 && dr6 >> slot & 1;
}

/* Those that were hit: their sites go at the next resume. */
static void drop_abandoned(struct kd_session *s, uint64_t pc, uint64_t dr6)
{
	for (size_t i = s->breaks->n; i-- > 0;) {
		struct brk *b = s->breaks->list[i];

		if (!b->is_abandoned || !is_at(s, b, pc, dr6))
			continue;
		take_out(s, b);
		brk_free(b);
	}
}

enum kd_status kd__breaks_hit(struct kd_session *s, uint64_t pc, uint64_t dr6, bool *ours_ret,
			      bool *stop_ret, int *id_ret, struct kd_error *err)
{
	(void)err;
	*ours_ret = *stop_ret = false;
	*id_ret = -1;
	for (size_t i = 0; i < s->breaks->n; i++) {
		struct brk *b = s->breaks->list[i];

		if (!is_at(s, b, pc, dr6))
			continue;
		*ours_ret = true;
		if (!count_hit(s, b) || *stop_ret)
			continue;
		*stop_ret = true;
		*id_ret = b->pub.id;
	}
	drop_abandoned(s, pc, dr6);
	return KD_OK;
}
