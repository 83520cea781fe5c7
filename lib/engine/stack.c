/* SPDX-License-Identifier: MIT */
/* Stacks of the target: the session behind stack_walk.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/module_image.h"
#include "lib/engine/stack_walk.h"

enum {
	SECTION_EXECUTE = 0x20000000,
	AHEAD_MAX = 8192,    /* of the stack, read in one piece */
	AHEAD_UNKNOWN = 1024 /* when its end is not known */
};

/* Registers that a function must keep, by their numbers in unwind data; "" is not tracked. */
static const char *const names_x64[KD_X64_REGS] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						    "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						    "r12", "r13", "r14", "r15" };
static const char *const names_x86[KD_X64_REGS] = { [KD_X64_RSP] = "esp", [KD_X64_RBP] = "ebp" };

struct source {
	struct kd_session *session;
	const struct kd__module *unknown; /* whose function table could not be read */
	enum kd_status failure;           /* of the target, met where only a bool fits */
};

/* Constants of images stay when the target runs: unwind data cost their requests once. */
static enum kd_status read_memory(void *context, uint64_t address, void *buffer, size_t size,
				  size_t *done_ret)
{
	struct source *src = context;
	struct kd__module *m = kd__module_known_at(src->session, address);

	if (m && kd__image_read(src->session, m, (uint32_t)(address - m->pub.base), buffer, size,
				done_ret))
		return KD_OK;
	*done_ret = 0;
	return kd__sym_read(src->session, address, buffer, size, done_ret);
}

static enum kd_status read_stack(void *context, uint64_t address, void *buffer, size_t size,
				 size_t *done_ret)
{
	enum kd_status status = read_memory(context, address, buffer, size, done_ret);

	return status == KD_E_UNREADABLE ? KD_OK : status;
}

static bool find_function(void *context, uint64_t address, uint64_t *base_ret,
			  struct kd_x64_function *function_ret)
{
	struct source *src = context;
	struct kd__module *m = kd__module_at(src->session, address);
	enum kd_status status;

	if (!m)
		return false;
	status = kd__image_function(src->session, m, (uint32_t)(address - m->pub.base),
				    function_ret);
	if (status == KD_E_NOT_FOUND)
		memset(function_ret, 0, sizeof *function_ret);
	else if (status == KD_E_UNREADABLE)
		src->unknown = m;
	else if (status != KD_OK)
		src->failure = status;
	*base_ret = m->pub.base;
	return status == KD_OK || status == KD_E_NOT_FOUND;
}

static bool is_code(void *context, uint64_t address)
{
	struct source *src = context;
	struct kd__module *m = kd__module_known_at(src->session, address);
	const struct kd_pe_section *section;

	if (!m)
		return false;
	section = kd__image_section(src->session, m, (uint32_t)(address - m->pub.base));
	return section && section->characteristics & SECTION_EXECUTE;
}

/* --- registers --- */

static const char *const *register_names(const struct kd_session *s)
{
	return s->machine == KD_MACHINE_AMD64 ? names_x64 : names_x86;
}

static enum kd_status layout_of(const struct kd_session *s, const struct kd_reg_layout **ret,
				struct kd_error *err)
{
	*ret = kd_context_layout(s->machine);
	if (*ret && (s->machine == KD_MACHINE_AMD64 || s->machine == KD_MACHINE_X86))
		return KD_OK;
	return kd_error_set(err, KD_E_UNSUPPORTED, 0, "stacks of machine 0x%04x are not walked yet",
			    s->machine);
}

static uint64_t get(const struct kd_session *s, const struct kd_reg_layout *layout,
		    const uint8_t *bytes, const char *name)
{
	const struct kd_reg_field *field = kd_reg_find(layout, name);

	return field ? kd__normalise(s, kd_reg_get(bytes, field)) : 0;
}

static void set(const struct kd_reg_layout *layout, uint8_t *bytes, const char *name, uint64_t v)
{
	const struct kd_reg_field *field = kd_reg_find(layout, name);

	if (field)
		kd_reg_set(bytes, field, v);
}

static const char *pc_name(const struct kd_session *s)
{
	return s->machine == KD_MACHINE_AMD64 ? "rip" : "eip";
}

static enum kd_status registers(struct kd_session *s, uint8_t bytes[KD_CONTEXT_MAX],
				struct kd_x64_frame *ret, struct kd_error *err)
{
	const struct kd_reg_layout *layout;
	const char *const *names = register_names(s);
	size_t size = 0;
	enum kd_status status = layout_of(s, &layout, err);

	if (status == KD_OK)
		status = kd_context_get(s, bytes, KD_CONTEXT_MAX, &size, err);
	if (status != KD_OK)
		return status;
	if (size < layout->size)
		return kd_error_set(err, KD_E_MALFORMED, 0, "the CONTEXT has only %zu bytes", size);
	memset(ret, 0, sizeof *ret);
	ret->rip = get(s, layout, bytes, pc_name(s));
	for (size_t i = 0; i < KD_X64_REGS; i++)
		if (names[i])
			ret->regs[i] = get(s, layout, bytes, names[i]);
	return KD_OK;
}

/* --- walking --- */

/* Frames lie side by side: fetch them together. What cannot be read is met again later. */
static void read_ahead(struct kd_session *s, const struct kd__stack_host *h, uint64_t sp)
{
	uint8_t bytes[AHEAD_MAX];
	size_t size = AHEAD_UNKNOWN, done;

	if (h->high)
		size = (size_t)KD_MIN(h->high - sp, (uint64_t)AHEAD_MAX);
	kd_memory_read(s, sp, bytes, size, &done, NULL);
}

static enum kd_status walk(struct kd_session *s, struct kd_x64_frame *regs, struct kd_frame *frames,
			   size_t max, size_t *n_ret, char *note, size_t note_size,
			   struct kd_error *err)
{
	bool is_64 = s->machine == KD_MACHINE_AMD64;
	struct source src = { .session = s };
	struct kd__stack_host host = {
		.is_64 = is_64,
		.unwinder = { read_stack, find_function, &src },
		.is_code = is_code,
		.user_end = is_64 ? UINT64_C(1) << 47 : UINT64_C(0x80000000),
		.first_slot = kd__stack_return_slot(s, regs->regs[KD_X64_RSP]),
	};
	uint64_t sp = regs->regs[KD_X64_RSP];
	enum kd_status status;

	if (!kd__stack_bounds(s, &host.low, &host.high) || sp < host.low || sp >= host.high)
		host.low = host.high = 0;
	if (max > 1)
		read_ahead(s, &host, sp);
	status = kd__stack_walk(&host, regs, frames, max, n_ret, note, note_size, err);
	if (status == KD_OK && src.failure)
		return kd_error_set(err, src.failure, sp, "the stack could not be walked on: %s",
				    kd_status_text(src.failure));
	if (status == KD_OK && src.unknown && note_size && note[0])
		snprintf(note, note_size,
			 "the function table of %s is not readable and no image of it is in the "
			 "symbol path",
			 src.unknown->name);
	return status;
}

KD_EXPORT enum kd_status kd_stack_walk(struct kd_session *s, struct kd_frame *frames, size_t max,
				       size_t *n_ret, char *note, size_t note_size,
				       struct kd_error *err)
{
	uint8_t context[KD_CONTEXT_MAX];
	struct kd_x64_frame regs;
	enum kd_status status = kd__need_stop(s, err);

	*n_ret = 0;
	if (status == KD_OK)
		status = registers(s, context, &regs, err);
	return status != KD_OK ? status : walk(s, &regs, frames, max, n_ret, note, note_size, err);
}

/* x86 code is walked by frame pointers: there `sp` is that of the first frame. */
KD_EXPORT enum kd_status kd_stack_walk_from(struct kd_session *s, uint64_t sp, uint64_t pc,
					    struct kd_frame *frames, size_t max, size_t *n_ret,
					    char *note, size_t note_size, struct kd_error *err)
{
	uint8_t context[KD_CONTEXT_MAX];
	struct kd_x64_frame regs;
	enum kd_status status = kd__need_stop(s, err);

	*n_ret = 0;
	if (status == KD_OK)
		status = registers(s, context, &regs, err);
	if (status != KD_OK)
		return status;
	regs.rip = kd__normalise(s, pc);
	regs.regs[KD_X64_RSP] = kd__normalise(s, sp);
	if (s->machine == KD_MACHINE_X86)
		regs.regs[KD_X64_RBP] = regs.regs[KD_X64_RSP];
	return walk(s, &regs, frames, max, n_ret, note, note_size, err);
}

KD_EXPORT enum kd_status kd_stack_frame_context(struct kd_session *s, size_t n, void *context,
						size_t size, size_t *size_ret, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_frame *frames = NULL;
	const struct kd_reg_layout *layout;
	const char *const *names = register_names(s);
	uint8_t bytes[KD_CONTEXT_MAX];
	struct kd_x64_frame regs;
	char note[160];
	size_t n_frames = 0;
	enum kd_status status = kd__need_stop(s, err);

	if (status == KD_OK)
		status = layout_of(s, &layout, err);
	if (status == KD_OK && size < layout->size)
		status = kd_error_set(err, KD_E_TOO_BIG, 0, "a CONTEXT has %zu bytes",
				      layout->size);
	if (status == KD_OK && n >= KD__FRAMES_MAX)
		status = kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no frame %zu", n);
	if (status == KD_OK)
		status = registers(s, bytes, &regs, err);
	if (status != KD_OK)
		return status;
	frames = calloc(n + 1, sizeof *frames);
	if (!frames)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = walk(s, &regs, frames, n + 1, &n_frames, note, sizeof note, err);
	if (status != KD_OK)
		return status;
	if (n_frames <= n)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the stack has only %zu frames%s%s",
				    n_frames, note[0] ? ": " : "", note);
	set(layout, bytes, pc_name(s), regs.rip);
	for (size_t i = 0; i < KD_X64_REGS; i++)
		if (names[i])
			set(layout, bytes, names[i], regs.regs[i]);
	memcpy(context, bytes, layout->size);
	*size_ret = layout->size;
	return KD_OK;
}
