/* SPDX-License-Identifier: MIT */
#include "lib/engine/dump_facts.h"

#include <string.h>

#include "lib/engine/register.h"

enum {
	PAGE = KD_DUMP_PAGE,
	LIVE_DUMP = 0x161, /* LIVE_SYSTEM_DUMP: nothing crashed */
	CR4_PAE = 1 << 5,
};

/* What cannot be had stays zero. */
static void fill_system(struct kd_session *s, struct kd_dump_header *h)
{
	uint64_t cr4 = 0, bugcheck[5];
	struct kd_shared_data shared;

	h->pfn_database = kd__kdbg(s, "MmPfnDatabase");
	h->loaded_modules = kd__kdbg(s, "PsLoadedModuleList");
	h->processes = kd__kdbg(s, "PsActiveProcessHead");
	kd_session_shared_data(s, &shared, NULL);
	h->system_time = shared.system_time;
	h->up_time = shared.interrupt_time;
	h->product_type = shared.product_type;
	h->suite_mask = shared.suite_mask;
	if (kd__regs_get(s, s->owner, "cr4", &cr4, NULL) == KD_OK)
		h->pae_enabled = (cr4 & CR4_PAE) != 0;
	h->bugcheck_code = LIVE_DUMP;
	if (kd_session_bugcheck(s, bugcheck, NULL) == KD_OK) {
		h->bugcheck_code = bugcheck[0];
		memcpy(h->bugcheck_parameters, bugcheck + 1, sizeof h->bugcheck_parameters);
	}
}

static void fill_stop(const struct kd_session *s, struct kd_dump_header *h)
{
	const struct kd_stop *stop = &s->stop;

	h->exception_code = stop->code;
	h->exception_flags = stop->exception_flags;
	h->exception_address = stop->exception_address;
	h->n_exception_parameters = KD_MIN(stop->n_parameters, (uint32_t)KD_DUMP_PARAMETERS);
	memcpy(h->exception_parameters, stop->parameters, sizeof h->exception_parameters);
}

/* --- where RAM lies --- */

static enum kd_status fill_run(struct kd_session *s, uint64_t address, uint32_t word,
			       struct kd_dump_run *run, uint64_t *next, struct kd_error *err)
{
	uint8_t bytes[16];
	enum kd_status status = kd_memory_read(s, address, bytes, 2 * (size_t)word, NULL, err);

	if (status != KD_OK)
		return status;
	run->base_page = kd_get_sized(bytes, word);
	run->n_pages = kd_get_sized(bytes + word, word);
	if (run->base_page < *next || run->n_pages == 0 ||
	    run->base_page + run->n_pages <= run->base_page ||
	    (run->base_page + run->n_pages) >> 40)
		return kd_error_set(err, KD_E_MALFORMED, address,
				    "the target's list of memory is no list of memory: a run of "
				    "0x%llx pages at page 0x%llx",
				    (unsigned long long)run->n_pages,
				    (unsigned long long)run->base_page);
	*next = run->base_page + run->n_pages;
	return KD_OK;
}

/* PHYSICAL_MEMORY_DESCRIPTOR: count (padded to a pointer), pages, runs. */
static enum kd_status fill_runs(struct kd_session *s, struct kd_dump_header *h,
				struct kd_error *err)
{
	uint32_t word = kd__pointer_size(s), max = h->is_64bit ? KD_DUMP_RUNS_64 : KD_DUMP_RUNS_32;
	uint64_t place = kd__kdbg(s, "MmPhysicalMemoryBlock"), block = 0, n = 0, next = 0;
	enum kd_status status = KD_OK;

	if (!place || kd_memory_read_pointer(s, place, &block, NULL) != KD_OK || !block)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "the target does not tell where its RAM lies "
				    "(MmPhysicalMemoryBlock): is it too early in its boot?");
	kd_memory_read_uint(s, block, 4, &n, NULL);
	if (n == 0 || n > max)
		return kd_error_set(err, KD_E_UNSUPPORTED, block,
				    "the target's RAM is in %llu runs; a full dump tells of 1 "
				    "to %u",
				    (unsigned long long)n, max);
	for (h->n_runs = 0; h->n_runs < n && status == KD_OK; h->n_runs++)
		status = fill_run(s, block + 2 * word * (1 + (uint64_t)h->n_runs), word,
				  &h->runs[h->n_runs], &next, err);
	return status;
}

/* --- contexts --- */

/* In pages: what is not present cannot be found by a reader either. */
static void add_patch(struct kd_session *s, struct kd__dump_facts *f, uint64_t address,
		      const uint8_t *bytes, size_t size)
{
	while (size > 0 && f->n_patches < KD__DUMP_PATCHES) {
		struct kd__dump_patch *p = &f->patches[f->n_patches];
		size_t n = KD_MIN(size, PAGE - (size_t)(address & (PAGE - 1)));
		struct kd_translation t;

		if (kd_memory_translate(s, 0, address, &t, NULL) == KD_OK && t.is_valid) {
			p->physical = t.physical;
			p->size = (uint16_t)n;
			memcpy(p->bytes, bytes, n);
			f->n_patches++;
		}
		address += n;
		bytes += n;
		size -= n;
	}
}

/* Where a reader looks for a processor's context: what PRCB.Context points to, or in the PRCB. */
static uint64_t context_place(struct kd_session *s, uint32_t processor)
{
	uint64_t blocks = kd__kdbg(s, "KiProcessorBlock"), prcb = 0, context = 0, offset;

	if (!blocks ||
	    kd_memory_read_pointer(s, blocks + (uint64_t)processor * kd__pointer_size(s), &prcb,
				   NULL) != KD_OK ||
	    !prcb)
		return 0;
	offset = kd__kdbg(s, "OffsetPrcbContext");
	if (offset && kd_memory_read_pointer(s, prcb + offset, &context, NULL) == KD_OK && context)
		return context;
	offset = kd__kdbg(s, "OffsetPrcbProcStateContext");
	return offset ? prcb + offset : 0;
}

static enum kd_status fill_contexts(struct kd_session *s, struct kd__dump_facts *f,
				    struct kd_error *err)
{
	enum kd_status status = KD_OK;

	for (uint32_t i = 0; i < s->n_processors && status == KD_OK; i++) {
		uint8_t bytes[KD_CONTEXT_MAX];
		size_t size = 0;
		uint64_t place = context_place(s, i);

		status = kd__regs_context(s, i, bytes, &size, err);
		if (status == KD_OK && i == s->owner) {
			memcpy(f->header.context, bytes, size);
			f->header.context_size = size;
		}
		if (status == KD_OK && place)
			add_patch(s, f, place, bytes, size);
	}
	return status;
}

/* --- all --- */

static enum kd_status fill_target(struct kd_session *s, struct kd_dump_header *h,
				  struct kd_error *err)
{
	struct kd_target_info info;
	enum kd_status status = kd_session_target(s, &info, err);

	if (status != KD_OK)
		return status;
	if (info.machine != KD_MACHINE_AMD64 && info.machine != KD_MACHINE_X86)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "dumps of machine type 0x%04x are not written", info.machine);
	h->is_64bit = info.machine == KD_MACHINE_AMD64;
	h->major_version = info.major & 0xFF;
	h->minor_version = info.build;
	h->machine = info.machine;
	h->n_processors = s->n_processors;
	h->debugger_data = info.debugger_data;
	h->type = KD_DUMP_FULL;
	return kd__regs_get(s, s->owner, "cr3", &h->directory_base, err);
}

enum kd_status kd__dump_facts_gather(struct kd_session *s, struct kd__dump_facts *ret,
				     struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status == KD_OK)
		status = fill_target(s, &ret->header, err);
	if (status == KD_OK)
		status = fill_runs(s, &ret->header, err);
	if (status == KD_OK)
		status = fill_contexts(s, ret, err);
	if (status != KD_OK)
		return status;
	fill_system(s, &ret->header);
	fill_stop(s, &ret->header);
	return KD_OK;
}
