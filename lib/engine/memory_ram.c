/* SPDX-License-Identifier: MIT */
#include "lib/engine/memory_ram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/memory.h"
#include "lib/engine/register.h"
#include "lib/engine/translate.h"
#include "lib/engine/vm_road.h"
#include "lib/engine/wire.h"
#include "lib/vm/guest_ram.h"

enum { PAGE = 4096, TLB_SIZE = 1024, PROOF_SIZE = 64 };

enum trust { UNKNOWN, GOOD, REFUSED };

struct translation {
	uint64_t page, directory; /* page number + 1; 0: empty */
	uint64_t physical;
};

struct kd__ram {
	enum trust trust;
	char why_not[KD_ERROR_TEXT_SIZE];
	/* Of this stop. */
	bool is_ready;
	struct kd_guest_ram *ram;
	struct kd__walk walk;
	uint64_t own_directory; /* CR3 of the processor that stopped */
	struct translation tlb[TLB_SIZE];
};

enum kd_status kd__ram_create(struct kd_session *s)
{
	s->ram = calloc(1, sizeof *s->ram);
	return s->ram ? KD_OK : KD_E_NO_MEMORY;
}

void kd__ram_destroy(struct kd_session *s)
{
	free(s->ram);
	s->ram = NULL;
}

void kd__ram_forget_walks(struct kd_session *s)
{
	s->ram->is_ready = false;
	memset(s->ram->tlb, 0, sizeof s->ram->tlb);
}

void kd__ram_on_stop(struct kd_session *s)
{
	kd__ram_forget_walks(s);
}

void kd__ram_on_resume(struct kd_session *s)
{
	kd__ram_forget_walks(s);
}

/* Another boot: it has to prove itself again. */
void kd__ram_on_restart(struct kd_session *s)
{
	kd__ram_forget_walks(s);
	s->ram->trust = UNKNOWN;
	s->ram->why_not[0] = '\0';
}

/* --- walking --- */

static enum kd_status read_table(void *context, uint64_t address, void *bytes, size_t size,
				 struct kd_error *err)
{
	return kd_guest_ram_read(context, address, bytes, size, NULL, err);
}

static bool translate(struct kd__ram *r, uint64_t directory, uint64_t address,
		      uint64_t *physical_ret)
{
	uint64_t page = address / PAGE;
	struct translation *t = &r->tlb[page % TLB_SIZE];
	struct kd_translation found;

	if (t->page != page + 1 || t->directory != directory) {
		if (kd__walk_tables(&r->walk, directory, address & ~(uint64_t)(PAGE - 1),
				    read_table, r->ram, &found, NULL) != KD_OK ||
		    !found.is_valid)
			return false;
		*t = (struct translation){ page + 1, directory, found.physical };
	}
	*physical_ret = t->physical | (address & (PAGE - 1));
	return true;
}

static size_t read_pages(struct kd__ram *r, uint64_t directory, uint64_t address, uint8_t *buffer,
			 size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t n = KD_MIN(size - done, PAGE - (size_t)((address + done) & (PAGE - 1)));
		uint64_t physical;

		if (!translate(r, directory, address + done, &physical) ||
		    kd_guest_ram_read(r->ram, physical, buffer + done, n, NULL, NULL) != KD_OK)
			break;
		done += n;
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

/* The kernel's first bytes by both roads: a hypervisor in the guest would make them differ. */
static bool prove(struct kd_session *s)
{
	uint8_t by_kd[PROOF_SIZE], by_ram[PROOF_SIZE];
	uint64_t base = kd__kernel_base(s);
	struct kd__ram *r = s->ram;

	if (!base || kd__memory_read_by_kd(s, base, by_kd, sizeof by_kd, NULL) != sizeof by_kd)
		return false; /* too early to tell */
	if (read_pages(r, r->own_directory, base, by_ram, sizeof by_ram) != sizeof by_ram ||
	    memcmp(by_kd, by_ram, sizeof by_kd) != 0)
		return refuse(r, "what lies there is not what the target says");
	r->trust = GOOD;
	return true;
}

static bool prepare(struct kd_session *s)
{
	struct kd_error why = { 0 };
	struct kd__ram *r = s->ram;

	r->ram = kd__wire_ram(s, &why);
	if (!r->ram)
		return refuse(r, why.text);
	if (kd__walk_choose(s, &r->walk, &why) != KD_OK ||
	    kd__regs_get(s, s->owner, "cr3", &r->own_directory, &why) != KD_OK)
		return refuse(r, why.text);
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
