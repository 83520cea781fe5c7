/* SPDX-License-Identifier: MIT */
#include "guest/transport/kdring/ring_place.h"

#include "guest/common/nt_base.h"
#include "guest/transport/kdring/ring_pci.h"

/* Only walks page tables: good from the first call of the transport on, in every release. */
extern DLLIMPORT LARGE_INTEGER NTAPI MmGetPhysicalAddress(PVOID BaseAddress);

static _Alignas(KD_RING_PAGE) uint8_t pages[KD_RING_BYTES];

static struct {
	bool is_pci;
	void *pages; /* of the device */
} place;

static uint64_t frame_of(unsigned page)
{
	return (uint64_t)MmGetPhysicalAddress(pages + page * KD_RING_PAGE).QuadPart / KD_RING_PAGE;
}

void ring_place_choose(bool is_pci)
{
	place.is_pci = is_pci;
}

void *ring_place_pages(void)
{
	return place.is_pci ? place.pages : pages;
}

static bool find_runs(struct kd_ring_announcement *where)
{
	for (unsigned i = 0; i < KD_RING_PAGES; i++) {
		const uint64_t frame = frame_of(i);
		struct kd_ring_run *last = &where->runs[where->n_runs ? where->n_runs - 1 : 0];

		if (!frame)
			return false;
		if (where->n_runs && last->frame + last->count == frame)
			last->count++;
		else
			where->runs[where->n_runs++] = (struct kd_ring_run){ frame, 1 };
	}
	return true;
}

bool ring_place_find(struct kd_ring_announcement *where)
{
	const uint64_t nonce = where->nonce;

	*where = (struct kd_ring_announcement){
		.version = KD_RING_VERSION,
		.pages = KD_RING_PAGES,
		.arch = sizeof(void *) == 8 ? KD_RING_ARCH_X64 : KD_RING_ARCH_X86,
		.nonce = nonce,
	};
	if (!place.is_pci)
		return find_runs(where);
	return ring_pci_map(&place.pages) == RING_PCI_MAPPED && ring_pci_describe(where);
}

bool ring_place_has_moved(const struct kd_ring_announcement *where)
{
	return place.is_pci ? ring_pci_has_moved() : frame_of(0) != where->runs[0].frame;
}
