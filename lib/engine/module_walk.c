/* SPDX-License-Identifier: MIT */
/* The kernel's list of modules, read into ours. */
#include "lib/engine/module_set.h"

#include <stdlib.h>
#include <string.h>

#include "lib/engine/module_image.h"

enum { BUILD_WINDOWS_8 = 9200 };

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

bool kd__modules_merge(void *context, const struct kd__list_entry *e)
{
	struct kd__merge *merge = context;
	struct kd__modules *ms = merge->session->modules;
	size_t i = kd__modules_index(ms, e->base);
	struct kd__module *m;

	if (kd__is_kernel_address(merge->session, e->base) == merge->is_user)
		return true;
	if (i == ms->n_loaded || !kd__module_is_same(ms->items[i], e->base, e->size, e->name)) {
		kd__modules_evict(ms, e->base, e->size);
		m = kd__module_create(merge->session, e->base, e->size, e->path, e->name);
		if (!kd__modules_add(ms, m)) {
			merge->no_memory = true;
			return false;
		}
	} else {
		m = ms->items[i];
		kd__module_text(m->image_path, sizeof m->image_path, e->path);
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

		if (m->order < KD__ORDER_LAST || m->is_by_hand || is_damaged ||
		    m->noted == s->generation + 1 || !kd__is_kernel_address(s, m->pub.base))
			continue;
		kd__modules_retire(ms, i);
	}
	if (ms->n_loaded)
		qsort(ms->items, ms->n_loaded, sizeof *ms->items, by_order);
	kd__modules_show(ms);
}

struct kd__list_reader kd__modules_reader(struct kd_session *s)
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

	if (!base || kd__modules_index(s->modules, base) < s->modules->n_loaded)
		return;
	size = kd__image_size(s, base);
	if (size)
		kd__modules_add(s->modules,
				kd__module_create(s, base, size, "ntoskrnl.exe", "ntoskrnl.exe"));
}

static enum kd_status walk(struct kd_session *s, struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	struct kd__list_reader reader = kd__modules_reader(s);
	struct kd__merge merge = { .session = s };
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
		ms->items[i]->order = KD__ORDER_LAST + i;
	status = kd__list_walk(&reader, head, kd__modules_merge, &merge, err);
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
	const struct kd__merge *merge = context;
	const struct kd__modules *ms = merge->session->modules;

	for (size_t i = 0; i < ms->n_loaded; i++)
		if (ms->items[i]->entry == address)
			return true;
	return false;
}

bool kd__modules_look_again(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;
	struct kd__merge merge = { .session = s, .n = KD__ORDER_LAST };
	struct kd__list_reader reader;
	enum kd_status status;

	if (!ms->is_known || s->state != KD_SESSION_STOPPED || ms->checked == s->generation + 1)
		return false;
	ms->checked = s->generation + 1;
	reader = kd__modules_reader(s);
	status = kd__list_new(&reader, ms->head, is_known_entry, kd__modules_merge, &merge, NULL);
	if (status == KD_E_FULL) {
		ms->is_known = false;
		ms->walked = 0;
		kd__modules_refresh(s, NULL);
		return true;
	}
	return merge.n > KD__ORDER_LAST;
}
