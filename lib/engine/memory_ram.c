/* SPDX-License-Identifier: MIT */
#include "lib/engine/memory_ram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/memory.h"
#include "lib/engine/register.h"
#include "lib/engine/vm_road.h"
#include "lib/engine/walk_cache.h"
#include "lib/engine/wire.h"
#include "lib/vm/guest_ram.h"

enum { PAGE = 4096, PROOF_SIZE = 64 };

enum trust { UNKNOWN, GOOD, REFUSED };

struct kd__ram {
	enum trust trust;
	char why_not[KD_ERROR_TEXT_SIZE];
	/* Of this stop. */
	bool is_ready;
	struct kd_guest_ram *ram;
	struct kd__walk walk;
	uint64_t own_directory; /* CR3 of the processor that stopped */
	struct kd__walk_cache *walks;
	/* Of this boot: what the kernel's image begins with. */
	uint64_t kernel_base;
	uint8_t kernel_start[PROOF_SIZE];
};

enum kd_status kd__ram_create(struct kd_session *s)
{
	s->ram = calloc(1, sizeof *s->ram);
	if (s->ram)
		s->ram->walks = kd__walk_cache_create();
	return s->ram && s->ram->walks ? KD_OK : KD_E_NO_MEMORY;
}

void kd__ram_destroy(struct kd_session *s)
{
	if (s->ram)
		kd__walk_cache_destroy(s->ram->walks);
	free(s->ram);
	s->ram = NULL;
}

void kd__ram_forget_walks(struct kd_session *s)
{
	kd__walk_cache_forget(s->ram->walks);
}

void kd__ram_on_stop(struct kd_session *s)
{
	kd__ram_forget_walks(s);
	s->ram->is_ready = false;
}

/* How tables are walked stays known: for looks at the running target. */
void kd__ram_on_resume(struct kd_session *s)
{
	kd__ram_forget_walks(s);
}

/* Another boot: it has to prove itself again. */
void kd__ram_on_restart(struct kd_session *s)
{
	kd__ram_forget_walks(s);
	s->ram->is_ready = false;
	s->ram->trust = UNKNOWN;
	s->ram->why_not[0] = '\0';
}

/* --- walking --- */

/*
 * From `address` as far as it goes in one piece of physical memory, at most `size` bytes:
 * neighbours of a virtual range are often neighbours in RAM. 0: not present.
 */
static size_t find_piece(struct kd__ram *r, uint64_t directory, uint64_t address, size_t size,
			 uint64_t *physical_ret)
{
	uint64_t page = address & ~(uint64_t)(PAGE - 1), first, next;
	size_t n = PAGE - (size_t)(address - page);

	if (!kd__walk_cache_page(r->walks, r->ram, &r->walk, directory, page, &first))
		return 0;
	*physical_ret = first + (address - page);
	while (n < size) {
		page += PAGE;
		if (!kd__walk_cache_page(r->walks, r->ram, &r->walk, directory, page, &next) ||
		    next != *physical_ret + n)
			break;
		n += PAGE;
	}
	return KD_MIN(n, size);
}

static size_t read_pages(struct kd__ram *r, uint64_t directory, uint64_t address, uint8_t *buffer,
			 size_t size)
{
	size_t done = 0;

	while (done < size) {
		uint64_t physical;
		size_t n = find_piece(r, directory, address + done, size - done, &physical), got;

		if (n == 0 ||
		    kd_guest_ram_read(r->ram, physical, buffer + done, n, &got, NULL) != KD_OK)
			break;
		done += got;
		if (got < n)
			break;
	}
	return done;
}

/* --- may it be used? --- */

static bool refuse(struct kd__ram *r, const char *why)
{
	r->trust = REFUSED;
	snprintf(r->why_not, sizeof r->why_not, "%s", why);
	return false;
}

static bool finds_kernel(struct kd__ram *r)
{
	uint8_t by_ram[PROOF_SIZE];

	return read_pages(r, r->own_directory, r->kernel_base, by_ram, PROOF_SIZE) == PROOF_SIZE &&
	       memcmp(by_ram, r->kernel_start, PROOF_SIZE) == 0;
}

/* The kernel's first bytes by both roads: a hypervisor in the guest would make them differ. */
static bool prove(struct kd_session *s)
{
	struct kd__ram *r = s->ram;

	r->kernel_base = kd__kernel_base(s);
	if (!r->kernel_base || kd__memory_read_by_kd(s, r->kernel_base, r->kernel_start, PROOF_SIZE,
						     NULL) != PROOF_SIZE)
		return false; /* too early to tell */
	if (!finds_kernel(r))
		return refuse(r, "what lies there is not what the target says");
	r->trust = GOOD;
	return true;
}

/* What may be otherwise at the next try is no reason to do without for good. */
static bool refuse_for(struct kd__ram *r, const struct kd_error *why)
{
	switch (why->status) {
	case KD_E_CANCELLED:
	case KD_E_TIMEOUT:
	case KD_E_RESET:
	case KD_E_CLOSED: return false;
	default: return refuse(r, why->text);
	}
}

static bool prepare(struct kd_session *s)
{
	struct kd_error why = { 0 };
	struct kd__ram *r = s->ram;

	r->ram = kd__wire_ram(s, &why);
	if (!r->ram)
		return refuse_for(r, &why);
	if (kd__walk_choose(s, &r->walk, &why) != KD_OK ||
	    kd__regs_get(s, s->owner, "cr3", &r->own_directory, &why) != KD_OK)
		return refuse_for(r, &why);
	r->is_ready = true;
	return true;
}

static bool is_usable(struct kd_session *s)
{
	struct kd__ram *r = s->ram;

	if (s->options.memory_road == KD_MEMORY_BY_KD || s->state != KD_SESSION_STOPPED ||
	    r->trust == REFUSED || !kd__wire_has_vm(s))
		return false;
	if (!r->is_ready && !prepare(s))
		return false;
	return r->trust == GOOD || prove(s);
}

/* --- reading --- */

size_t kd__ram_read(struct kd_session *s, uint64_t address, void *buffer, size_t size)
{
	uint64_t directory = kd__memory_directory_of(s, address);
	size_t done;

	if (!is_usable(s))
		return 0;
	done = read_pages(s->ram, directory ? directory : s->ram->own_directory, address, buffer,
			  size);
	s->counters.memory_direct += done;
	return done;
}

size_t kd__ram_read_physical(struct kd_session *s, uint64_t address, void *buffer, size_t size)
{
	size_t done = 0;

	if (!is_usable(s) ||
	    kd_guest_ram_read(s->ram->ram, address, buffer, size, &done, NULL) != KD_OK)
		return 0;
	s->counters.memory_direct += done;
	return done;
}

bool kd__ram_is_live(struct kd_session *s)
{
	struct kd__ram *r = s->ram;

	if (r->trust != GOOD || !r->is_ready)
		return false;
	r->is_ready = kd__wire_ram(s, NULL) == r->ram;
	if (!r->is_ready)
		r->ram = NULL; /* it is closed */
	return r->is_ready;
}

/*
 * Nothing is kept from one look to the next. The process whose tables they are may have ended: then
 * the kernel is not where it was.
 */
size_t kd__ram_read_live(struct kd_session *s, uint64_t address, void *buffer, size_t size)
{
	struct kd__ram *r = s->ram;
	size_t done;

	kd__ram_forget_walks(s);
	if (!finds_kernel(r))
		return 0;
	done = read_pages(r, r->own_directory, address, buffer, size);
	s->counters.memory_direct += done;
	return done;
}

/* NULL: nothing is known against it. */
static const char *what_is_against(const struct kd_session *s)
{
	if (s->options.memory_road == KD_MEMORY_BY_KD)
		return "this session reads all memory through the target (--memory kd, --record)";
	if (s->ram->why_not[0])
		return s->ram->why_not;
	return kd__wire_has_vm(s) ? NULL : "no QEMU of this machine is at the other end";
}

enum kd_status kd__ram_judge(struct kd_session *s, struct kd_error *err)
{
	const char *why;

	if (s->options.memory_road != KD_MEMORY_BY_RAM || is_usable(s))
		return KD_OK;
	why = what_is_against(s);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "guest RAM cannot be read (--memory ram): %s",
			    why ? why : "it is too early in the target's boot");
}

enum kd_status kd__ram_judge_live(struct kd_session *s, struct kd_error *err)
{
	const char *why;

	if (s->state == KD_SESSION_RUNNING && kd__ram_is_live(s))
		return KD_OK;
	why = what_is_against(s);
	return kd_error_set(err, KD_E_RUNNING, 0,
			    "the target cannot be looked at while it runs: %s",
			    why ? why
				: "one stop is needed first, which tells where the kernel is: "
				  ".breakin, then g");
}

void kd__ram_describe(const struct kd_session *s, char *text, size_t size)
{
	const struct kd__ram *r = s->ram;

	if (r->trust == GOOD && r->ram)
		snprintf(text, size, "guest RAM, %s",
			 kd_guest_ram_info(r->ram).road == KD_RAM_MAPPED
				 ? "mapped"
				 : "through QEMU's process");
	else if (r->why_not[0])
		snprintf(text, size, "KD; not guest RAM: %s", r->why_not);
	else
		snprintf(text, size, "KD");
}
