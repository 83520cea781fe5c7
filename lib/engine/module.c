/* SPDX-License-Identifier: MIT */
/*
 * The list of modules. It is walked when it is first asked for, again when asked by hand; between
 * that, load and unload notices keep it up, and an address or name that is in no module makes us
 * look at the list's end, once a stop.
 */
#include "lib/engine/module.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/module_image.h"
#include "lib/engine/module_symbols.h"

enum { BUILD_WINDOWS_8 = 9200, ORDER_LAST = 0x10000 };

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

static void set_text(char *to, size_t size, const char *from)
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
		set_text(m->name, sizeof m->name, "nt");
	else if (!name[0])
		snprintf(m->name, sizeof m->name, "image%" PRIx64, m->pub.base);
	else if (loaded_named(s->modules, name) || !strcmp(name, "nt"))
		snprintf(m->name, sizeof m->name, "%s_%" PRIx64, name, m->pub.base);
	else
		set_text(m->name, sizeof m->name, name);
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

static struct kd__module *module_create(struct kd_session *s, uint64_t base, uint32_t size,
					const char *path, const char *image_name)
{
	struct kd__module *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	set_text(m->image_path, sizeof m->image_path, path);
	set_text(m->image_name, sizeof m->image_name, image_name);
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

static void show(struct kd__modules *ms)
{
	ms->last = NULL;
	for (size_t i = 0; i < ms->n; i++)
		ms->view[i] = &ms->items[i]->pub;
}

/* Behind the last loaded one; NULL is taken as out of memory. */
static bool add(struct kd__modules *ms, struct kd__module *m)
{
	if (!m || ms->n_loaded >= KD__MODULES_MAX) {
		module_destroy(m);
		return false;
	}
	memmove(&ms->items[ms->n_loaded + 1], &ms->items[ms->n_loaded],
		(ms->n - ms->n_loaded) * sizeof *ms->items);
	ms->items[ms->n_loaded++] = m;
	ms->n++;
	show(ms);
	return true;
}

/* Out of the list, but not out of memory: callers may hold the module. */
static void drop(struct kd__modules *ms, size_t i)
{
	struct kd__module *m = ms->items[i];

	m->next_dead = ms->dead;
	ms->dead = m;
	memmove(&ms->items[i], &ms->items[i + 1], (ms->n - i - 1) * sizeof *ms->items);
	ms->n_loaded -= i < ms->n_loaded;
	ms->n--;
	show(ms);
}

static void bury(struct kd__modules *ms)
{
	while (ms->dead) {
		struct kd__module *m = ms->dead;

		ms->dead = m->next_dead;
		module_destroy(m);
	}
}

/* What stays of an unloaded module: its place and name. */
static struct kd__module *memory_of(const struct kd__module *m)
{
	struct kd__module *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	set_text(u->name, sizeof u->name, m->name);
	set_text(u->image_name, sizeof u->image_name, m->image_name);
	set_text(u->image_path, sizeof u->image_path, m->image_path);
	init_public(u, m->pub.base, m->pub.size);
	u->pub.checksum = m->pub.checksum;
	u->pub.timestamp = m->pub.timestamp;
	u->pub.is_unloaded = true;
	return u;
}

/* To the end of the array: the unloaded ones, the oldest first. */
static void retire(struct kd__modules *ms, size_t i)
{
	struct kd__module *u = memory_of(ms->items[i]);

	drop(ms, i);
	if (!u)
		return;
	if (ms->n - ms->n_loaded == KD__UNLOADED_MAX)
		drop(ms, ms->n_loaded);
	ms->items[ms->n++] = u;
	show(ms);
}

static size_t index_of_base(const struct kd__modules *ms, uint64_t base)
{
	size_t i = 0;

	while (i < ms->n_loaded && ms->items[i]->pub.base != base)
		i++;
	return i;
}

/* What is said to be where the new module is has gone. */
static void evict(struct kd__modules *ms, uint64_t base, uint32_t size)
{
	for (size_t i = ms->n_loaded; i-- > 0;)
		if (overlaps(ms->items[i], base, size))
			retire(ms, i);
}

static bool is_same(const struct kd__module *m, uint64_t base, uint32_t size, const char *image)
{
	return m->pub.base == base && m->pub.size == size && !strcasecmp(m->image_name, image);
}

/* --- the target's list --- */

static enum kd_status read_list(void *context, uint64_t address, void *buffer, size_t size,
				size_t *done_ret, struct kd_error *err)
{
	enum kd_status status = kd_memory_read(context, address, buffer, size, done_ret, err);

	return status == KD_E_UNREADABLE ? KD_OK : status;
}

static enum kd_status read_text(void *context, uint64_t address, size_t size, char *out,
				size_t out_size, struct kd_error *err)
{
	return kd_memory_read_string(context, address, true, size, out, out_size, err);
}

struct merge {
	struct kd_session *session;
	bool is_walk; /* of the whole list */
	size_t n;
	bool no_memory;
};

static bool merge_entry(void *context, const struct kd__list_entry *e)
{
	struct merge *merge = context;
	struct kd__modules *ms = merge->session->modules;
	size_t i = index_of_base(ms, e->base);
	struct kd__module *m;

	if (i == ms->n_loaded || !is_same(ms->items[i], e->base, e->size, e->name)) {
		evict(ms, e->base, e->size);
		m = module_create(merge->session, e->base, e->size, e->path, e->name);
		if (!add(ms, m)) {
			merge->no_memory = true;
			return false;
		}
	} else {
		m = ms->items[i];
		set_text(m->image_path, sizeof m->image_path, e->path);
	}
	m->entry = e->address;
	m->pub.entry_point = e->entry_point;
	if (e->checksum)
		m->pub.checksum = e->checksum;
	if (e->timestamp && !m->image)
		m->pub.timestamp = e->timestamp;
	m->order = ++merge->n;
	return true;
}

static int by_order(const void *a, const void *b)
{
	const struct kd__module *x = *(struct kd__module *const *)a;
	const struct kd__module *y = *(struct kd__module *const *)b;

	if (x->is_kernel != y->is_kernel)
		return x->is_kernel ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Modules that the walk did not meet are gone, unless they are too new to be linked. */
static void drop_unseen(struct kd_session *s, bool is_damaged)
{
	struct kd__modules *ms = s->modules;

	for (size_t i = ms->n_loaded; i-- > 0;) {
		struct kd__module *m = ms->items[i];

		if (m->order < ORDER_LAST || m->is_by_hand || is_damaged ||
		    m->noted == s->generation + 1)
			continue;
		retire(ms, i);
	}
	if (ms->n_loaded)
		qsort(ms->items, ms->n_loaded, sizeof *ms->items, by_order);
	show(ms);
}

static struct kd__list_reader reader_of(struct kd_session *s)
{
	struct kd_target_info info;

	return (struct kd__list_reader){
		.context = s,
		.pointer_size = kd__pointer_size(s),
		.is_modern = kd_session_target(s, &info, NULL) != KD_OK ||
			     info.build >= BUILD_WINDOWS_8,
		.read = read_list,
		.text = read_text,
	};
}

static uint64_t list_head(struct kd_session *s)
{
	struct kd_target_info info;

	if (!s->modules->head && kd_session_target(s, &info, NULL) == KD_OK)
		s->modules->head = info.loaded_module_list;
	if (!s->modules->head)
		s->modules->head = kd__normalise(s, kd__kdbg(s, "PsLoadedModuleList"));
	return s->modules->head;
}

/* A kernel that no list has told of yet is where GetVersion says. */
static void add_kernel(struct kd_session *s)
{
	uint64_t base = kd__kernel_base(s);
	uint32_t size;

	if (!base || index_of_base(s->modules, base) < s->modules->n_loaded)
		return;
	size = kd__image_size(s, base);
	if (size)
		add(s->modules, module_create(s, base, size, "ntoskrnl.exe", "ntoskrnl.exe"));
}

static enum kd_status walk(struct kd_session *s, struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	struct kd__list_reader reader = reader_of(s);
	struct merge merge = { .session = s };
	uint64_t links[2] = { 0 }, head = list_head(s);
	size_t done = 0;
	enum kd_status status;

	if (!head)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "the target tells no address of its module list: neither "
				    "GetVersion nor the KDBG block has PsLoadedModuleList; "
				    "`.reload name=base,size` adds a module by hand");
	/* Before the memory manager is up the head is zero: not damaged, just not there yet. */
	status = kd_memory_read(s, head, links, 2 * reader.pointer_size, &done, err);
	if (status == KD_OK && done == 2 * reader.pointer_size && !links[0] && !links[1])
		return KD_OK;
	for (size_t i = 0; i < ms->n_loaded; i++)
		ms->items[i]->order = ORDER_LAST + i;
	status = kd__list_walk(&reader, head, merge_entry, &merge, err);
	if (merge.no_memory)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (status != KD_OK && status != KD_E_MALFORMED)
		return status;
	ms->is_known = true;
	drop_unseen(s, status != KD_OK);
	return status;
}

enum kd_status kd__modules_refresh(struct kd_session *s, struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	enum kd_status status;

	if (s->state != KD_SESSION_STOPPED)
		return ms->n ? KD_OK : kd__need_stop(s, err);
	if (!ms->is_known && ms->walked != s->generation + 1) {
		ms->walked = s->generation + 1;
		status = walk(s, &ms->err);
		if (status == KD_E_CANCELLED)
			ms->walked = 0; /* try again when asked again */
		ms->status = status;
		add_kernel(s);
	}
	if (ms->status != KD_OK && err)
		*err = ms->err;
	return ms->status;
}

static bool is_known_entry(void *context, uint64_t address)
{
	const struct merge *merge = context;
	const struct kd__modules *ms = merge->session->modules;

	for (size_t i = 0; i < ms->n_loaded; i++)
		if (ms->items[i]->entry == address)
			return true;
	return false;
}

/* Modules that were loaded without a notice: looked for once a stop. True: there may be some. */
static bool look_for_new(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;
	struct merge merge = { .session = s, .n = ORDER_LAST };
	struct kd__list_reader reader;
	enum kd_status status;

	if (!ms->is_known || s->state != KD_SESSION_STOPPED || ms->checked == s->generation + 1)
		return false;
	ms->checked = s->generation + 1;
	reader = reader_of(s);
	status = kd__list_new(&reader, ms->head, is_known_entry, merge_entry, &merge, NULL);
	if (status == KD_E_FULL) {
		ms->is_known = false;
		ms->walked = 0;
		kd__modules_refresh(s, NULL);
		return true;
	}
	return merge.n > ORDER_LAST;
}

/* --- looking up --- */

static struct kd__module *at(struct kd__modules *ms, uint64_t address)
{
	if (ms->last && address - ms->last->pub.base < ms->last->pub.size)
		return (struct kd__module *)(uintptr_t)ms->last;
	for (size_t i = 0; i < ms->n_loaded; i++) {
		if (address - ms->items[i]->pub.base < ms->items[i]->pub.size) {
			ms->last = ms->items[i];
			return ms->items[i];
		}
	}
	return NULL;
}

static bool is_kernel_address(const struct kd_session *s, uint64_t address)
{
	return address >= (kd__pointer_size(s) == 4 ? UINT64_C(0xFFFFFFFF80000000)
						    : UINT64_C(0xFFFF800000000000));
}

struct kd__module *kd__module_at(struct kd_session *s, uint64_t address)
{
	struct kd__module *m;

	address = kd__normalise(s, address);
	kd__modules_refresh(s, NULL);
	m = at(s->modules, address);
	if (!m && is_kernel_address(s, address) && look_for_new(s))
		m = at(s->modules, address);
	return m;
}

struct kd__module *kd__module_known_at(struct kd_session *s, uint64_t address)
{
	return at(s->modules, address);
}

static struct kd__module *named(struct kd__modules *ms, const char *name, size_t size)
{
	for (size_t i = 0; i < ms->n_loaded; i++) /* by its own name first: it is unique */
		if (strlen(ms->items[i]->name) == size &&
		    !strncasecmp(ms->items[i]->name, name, size))
			return ms->items[i];
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (kd__module_has_name(ms->items[i], name, size))
			return ms->items[i];
	return NULL;
}

struct kd__module *kd__module_find(struct kd_session *s, const char *name, size_t size)
{
	struct kd__module *m;

	kd__modules_refresh(s, NULL);
	m = named(s->modules, name, size);
	if (!m && look_for_new(s))
		m = named(s->modules, name, size);
	return m;
}

struct kd__module *kd__module_kernel(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;

	/* The kernel does not move: no walk for it once it is known. */
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (ms->items[i]->is_kernel)
			return ms->items[i];
	kd__modules_refresh(s, NULL);
	return named(ms, "nt", 2);
}

KD_EXPORT const struct kd_module *kd_module_at(struct kd_session *s, uint64_t address)
{
	struct kd__module *m = kd__module_at(s, address);

	return m ? &m->pub : NULL;
}

KD_EXPORT const struct kd_module *kd_module_find(struct kd_session *s, const char *name)
{
	struct kd__module *m = kd__module_find(s, name, strlen(name));

	return m ? &m->pub : NULL;
}

KD_EXPORT enum kd_status kd_module_list(struct kd_session *s,
					const struct kd_module *const **modules_ret, size_t *n_ret,
					struct kd_error *err)
{
	enum kd_status status = kd__modules_refresh(s, err);

	if (status == KD_OK)
		look_for_new(s);
	*modules_ret = s->modules->view;
	*n_ret = s->modules->n;
	return status;
}

/* --- notices, and the user's word --- */

/* What the target says is printed: no control characters. */
static void clean_path(char *out, size_t size, const char *path, size_t path_size)
{
	size_t n = 0;

	for (; n < path_size && n + 1 < size && path[n]; n++)
		out[n] = (unsigned char)path[n] < ' ' || path[n] == 0x7F ? '?' : path[n];
	out[n] = 0;
}

static bool is_possible(uint64_t base, uint32_t size)
{
	return base && base % 4096 == 0 && size && size <= KD__MODULE_SIZE_MAX &&
	       base + size - 1 >= base;
}

void kd__modules_note_load(struct kd_session *s, uint64_t base, uint32_t size, uint32_t checksum,
			   const char *path, size_t path_size)
{
	struct kd__modules *ms = s->modules;
	char text[KD__MODULE_PATH_MAX];
	struct kd__module *m;
	size_t i;

	if (!is_possible(base, size))
		return;
	clean_path(text, sizeof text, path ? path : "", path ? path_size : 0);
	i = index_of_base(ms, base);
	if (i < ms->n_loaded && is_same(ms->items[i], base, size, kd__module_base_name(text))) {
		ms->items[i]->noted = s->generation + 1;
		return;
	}
	evict(ms, base, size);
	m = module_create(s, base, size, text, kd__module_base_name(text));
	if (!m)
		return;
	m->pub.checksum = checksum;
	m->noted = s->generation + 1;
	m->order = ORDER_LAST + ms->n_loaded;
	add(ms, m);
}

void kd__modules_note_unload(struct kd_session *s, uint64_t base)
{
	size_t i = index_of_base(s->modules, base);

	if (i < s->modules->n_loaded)
		retire(s->modules, i);
}

KD_EXPORT enum kd_status kd_module_add(struct kd_session *s, const char *name, uint64_t base,
				       uint32_t size, struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	struct kd__module *m;

	base = kd__normalise(s, base);
	if (!size && s->state == KD_SESSION_STOPPED)
		size = kd__image_size(s, base);
	if (!is_possible(base, size))
		return kd_error_set(
			err, KD_E_INVALID, base,
			"a module lies at a page boundary and is 1 byte to 1 GiB large; "
			"`.reload name=base,size`");
	evict(ms, base, size);
	m = module_create(s, base, size, name, kd__module_base_name(name));
	if (m) {
		m->is_by_hand = true;
		m->order = ORDER_LAST + ms->n_loaded;
	}
	return add(ms, m) ? KD_OK : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
}

/* --- reload --- */

/* They are looked up again when somebody asks. */
static enum kd_status forget_symbols(struct kd__modules *ms, const char *pattern,
				     struct kd_error *err)
{
	bool any = false;

	for (size_t i = 0; i < ms->n_loaded; i++) {
		if (!kd__module_matches(ms->items[i], pattern))
			continue;
		any = true;
		kd__module_forget(ms->items[i]);
	}
	if (any)
		return KD_OK;
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no module matches '%s' (lm lists them)",
			    pattern);
}

KD_EXPORT enum kd_status kd_module_reload(struct kd_session *s, const char *pattern,
					  struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err), symbols;

	if (status != KD_OK)
		return status;
	bury(s->modules);
	s->modules->is_known = false;
	s->modules->walked = 0;
	s->modules->head = 0;
	status = kd__modules_refresh(s, err);
	if (!pattern || (status != KD_OK && status != KD_E_MALFORMED && status != KD_E_NOT_FOUND))
		return status;
	symbols = forget_symbols(s->modules, pattern, status == KD_OK ? err : NULL);
	return status != KD_OK ? status : symbols;
}

/* --- life --- */

enum kd_status kd__modules_create(struct kd_session *s)
{
	struct kd__modules *ms = s->modules = calloc(1, sizeof *ms);
	const char *path = s->options.symbol_path;

	if (!ms)
		return KD_E_NO_MEMORY;
	if (!path)
		path = getenv("_NT_SYMBOL_PATH");
	ms->symbol_path = strdup(path ? path : "");
	/* As large as they get: callers walk the view while modules are being found. */
	ms->items = calloc(KD__ITEMS_MAX, sizeof *ms->items);
	ms->view = calloc(KD__ITEMS_MAX, sizeof *ms->view);
	return ms->symbol_path && ms->items && ms->view ? KD_OK : KD_E_NO_MEMORY;
}

static void empty(struct kd__modules *ms)
{
	while (ms->n)
		drop(ms, ms->n - 1);
	bury(ms);
	ms->head = ms->walked = ms->checked = 0;
	ms->is_known = false;
	ms->status = KD_OK;
}

void kd__modules_destroy(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;

	if (!ms)
		return;
	empty(ms);
	free(ms->items);
	free(ms->view);
	free(ms->symbol_path);
	free(ms->log.text);
	free(ms);
	s->modules = NULL;
}

void kd__modules_on_stop(struct kd_session *s)
{
	(void)s;
}

void kd__modules_on_resume(struct kd_session *s)
{
	bury(s->modules);
}

void kd__modules_on_restart(struct kd_session *s)
{
	empty(s->modules);
}
