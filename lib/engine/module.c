/* SPDX-License-Identifier: MIT */
/*
 * The list of modules. It is walked when it is first asked for, again when asked by hand; between
 * that, load and unload notices keep it up, and an address or name that is in no module makes us
 * look at the list's end, once a stop.
 */
#include "lib/engine/module.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/module_image.h"
#include "lib/engine/module_set.h"
#include "lib/engine/module_symbols.h"

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

bool kd__is_kernel_address(const struct kd_session *s, uint64_t address)
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
	if (!m && kd__is_kernel_address(s, address) && kd__modules_look_again(s))
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
	if (!m && kd__modules_look_again(s))
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
		kd__modules_look_again(s);
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
	i = kd__modules_index(ms, base);
	if (i < ms->n_loaded &&
	    kd__module_is_same(ms->items[i], base, size, kd__module_base_name(text))) {
		ms->items[i]->noted = s->generation + 1;
		return;
	}
	kd__modules_evict(ms, base, size);
	m = kd__module_create(s, base, size, text, kd__module_base_name(text));
	if (!m)
		return;
	m->pub.checksum = checksum;
	m->noted = s->generation + 1;
	m->order = KD__ORDER_LAST + ms->n_loaded;
	kd__modules_add(ms, m);
}

void kd__modules_note_unload(struct kd_session *s, uint64_t base)
{
	size_t i = kd__modules_index(s->modules, base);

	if (i < s->modules->n_loaded)
		kd__modules_retire(s->modules, i);
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
	kd__modules_evict(ms, base, size);
	m = kd__module_create(s, base, size, name, kd__module_base_name(name));
	if (m) {
		m->is_by_hand = true;
		m->order = KD__ORDER_LAST + ms->n_loaded;
	}
	return kd__modules_add(ms, m) ? KD_OK
				      : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
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
	kd__modules_bury(s->modules);
	s->modules->is_known = false;
	s->modules->walked = 0;
	s->modules->head = 0;
	status = kd__modules_refresh(s, err);
	kd__modules_read_unloaded(s);
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

void kd__modules_destroy(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;

	if (!ms)
		return;
	kd__modules_empty(ms);
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
	kd__modules_bury(s->modules);
}

void kd__modules_on_restart(struct kd_session *s)
{
	kd__modules_empty(s->modules);
}
