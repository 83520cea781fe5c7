/* SPDX-License-Identifier: MIT */
/* One module, and the array of them: names, adding, and what becomes of those that go. */
#include "lib/engine/module_set.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/module_symbols.h"

/* File names of kernels; the module is `nt` under all of them. */
static const char *const kernels[] = { "ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp", "ntkrla57" };

/* --- one module --- */

static void module_destroy(struct kd__module *m)
{
	if (!m)
		return;
	kd__module_forget(m);
	free(m);
}

void kd__module_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static bool is_kernel_name(const char *name)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(kernels); i++)
		if (!strcasecmp(name, kernels[i]))
			return true;
	return false;
}

static struct kd__module *loaded_named(const struct kd__modules *ms, const char *name)
{
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (!strcmp(ms->items[i]->name, name))
			return ms->items[i];
	return NULL;
}

/* nt for the kernel; a second module of one name gets its base behind it. */
static void name_module(struct kd_session *s, struct kd__module *m)
{
	uint64_t kernel = kd__kernel_base(s);
	char name[64];

	kd__module_name(m->image_name, name, sizeof name);
	m->is_kernel = m->pub.base == kernel || (!kernel && is_kernel_name(name));
	if (m->is_kernel)
		kd__module_text(m->name, sizeof m->name, "nt");
	else if (!name[0])
		snprintf(m->name, sizeof m->name, "image%" PRIx64, m->pub.base);
	else if (loaded_named(s->modules, name) || !strcmp(name, "nt"))
		snprintf(m->name, sizeof m->name, "%s_%" PRIx64, name, m->pub.base);
	else
		kd__module_text(m->name, sizeof m->name, name);
}

static void init_public(struct kd__module *m, uint64_t base, uint32_t size)
{
	m->pub = (struct kd_module){
		.name = m->name,
		.image_name = m->image_name,
		.image_path = m->image_path,
		.base = base,
		.size = size,
		.symbol_file = "",
		.symbol_note = m->symbol_note,
		.pdb_name = m->pdb_name,
	};
}

struct kd__module *kd__module_create(struct kd_session *s, uint64_t base, uint32_t size,
				     const char *path, const char *image_name)
{
	struct kd__module *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	kd__module_text(m->image_path, sizeof m->image_path, path);
	kd__module_text(m->image_name, sizeof m->image_name, image_name);
	init_public(m, base, size);
	name_module(s, m);
	return m;
}

bool kd__module_has_name(const struct kd__module *m, const char *name, size_t size)
{
	const char *dot = strrchr(m->image_name, '.');
	size_t stem = dot ? (size_t)(dot - m->image_name) : strlen(m->image_name);
	char text[16];

	if ((strlen(m->name) == size && !strncasecmp(m->name, name, size)) ||
	    (strlen(m->image_name) == size && !strncasecmp(m->image_name, name, size)) ||
	    (stem == size && !strncasecmp(m->image_name, name, size)))
		return true;
	if (!m->is_kernel || size >= sizeof text)
		return false;
	memcpy(text, name, size);
	text[size] = 0;
	return is_kernel_name(text);
}

static bool overlaps(const struct kd__module *m, uint64_t base, uint32_t size)
{
	return base < m->pub.base + m->pub.size && m->pub.base < base + size;
}

/* --- the array --- */

void kd__modules_show(struct kd__modules *ms)
{
	ms->last = NULL;
	for (size_t i = 0; i < ms->n; i++)
		ms->view[i] = &ms->items[i]->pub;
}

/* Behind the last loaded one; NULL is taken as out of memory. */
bool kd__modules_add(struct kd__modules *ms, struct kd__module *m)
{
	if (!m || ms->n_loaded >= KD__MODULES_MAX) {
		module_destroy(m);
		return false;
	}
	memmove(&ms->items[ms->n_loaded + 1], &ms->items[ms->n_loaded],
		(ms->n - ms->n_loaded) * sizeof *ms->items);
	ms->items[ms->n_loaded++] = m;
	ms->n++;
	kd__modules_show(ms);
	return true;
}

/* Out of the list, but not out of memory: callers may hold the module. */
void kd__modules_drop(struct kd__modules *ms, size_t i)
{
	struct kd__module *m = ms->items[i];

	m->next_dead = ms->dead;
	ms->dead = m;
	memmove(&ms->items[i], &ms->items[i + 1], (ms->n - i - 1) * sizeof *ms->items);
	ms->n_loaded -= i < ms->n_loaded;
	ms->n--;
	kd__modules_show(ms);
}

void kd__modules_bury(struct kd__modules *ms)
{
	while (ms->dead) {
		struct kd__module *m = ms->dead;

		ms->dead = m->next_dead;
		module_destroy(m);
	}
}

/* What stays of an unloaded module: its place and names. */
static struct kd__module *memory_of(uint64_t base, uint32_t size, const char *name,
				    const char *image, const char *path)
{
	struct kd__module *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	kd__module_text(u->name, sizeof u->name, name);
	kd__module_text(u->image_name, sizeof u->image_name, image);
	kd__module_text(u->image_path, sizeof u->image_path, path);
	init_public(u, base, size);
	u->pub.is_unloaded = true;
	return u;
}

/* To the end of the array: the unloaded ones, the oldest first. */
static void append_unloaded(struct kd__modules *ms, struct kd__module *u)
{
	if (!u)
		return;
	if (ms->n - ms->n_loaded == KD__UNLOADED_MAX)
		kd__modules_drop(ms, ms->n_loaded);
	ms->items[ms->n++] = u;
	kd__modules_show(ms);
}

void kd__modules_retire(struct kd__modules *ms, size_t i)
{
	const struct kd__module *m = ms->items[i];
	struct kd__module *u = memory_of(m->pub.base, m->pub.size, m->name, m->image_name,
					 m->image_path);

	if (u) {
		u->pub.checksum = m->pub.checksum;
		u->pub.timestamp = m->pub.timestamp;
	}
	kd__modules_drop(ms, i);
	append_unloaded(ms, u);
}

void kd__modules_remember(struct kd__modules *ms, uint64_t base, uint32_t size, const char *image)
{
	char name[KD__MODULE_NAME_MAX];

	kd__module_name(image, name, sizeof name);
	append_unloaded(ms, memory_of(base, size, name, image, image));
}

void kd__modules_forget_unloaded(struct kd__modules *ms)
{
	while (ms->n > ms->n_loaded)
		kd__modules_drop(ms, ms->n - 1);
}

size_t kd__modules_index(const struct kd__modules *ms, uint64_t base)
{
	size_t i = 0;

	while (i < ms->n_loaded && ms->items[i]->pub.base != base)
		i++;
	return i;
}

/* What is said to be where the new module is has gone. */
void kd__modules_evict(struct kd__modules *ms, uint64_t base, uint32_t size)
{
	for (size_t i = ms->n_loaded; i-- > 0;)
		if (overlaps(ms->items[i], base, size))
			kd__modules_retire(ms, i);
}

bool kd__module_is_same(const struct kd__module *m, uint64_t base, uint32_t size, const char *image)
{
	return m->pub.base == base && m->pub.size == size && !strcasecmp(m->image_name, image);
}

void kd__modules_empty(struct kd__modules *ms)
{
	while (ms->n)
		kd__modules_drop(ms, ms->n - 1);
	kd__modules_bury(ms);
	ms->head = ms->walked = ms->checked = 0;
	ms->is_known = false;
	ms->status = KD_OK;
}
