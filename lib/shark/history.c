/* SPDX-License-Identifier: MIT */
#include "lib/shark/history.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/bytes.h"
#include "lib/shark/traffic_private.h"

struct kd__history_entry {
	struct kd__history_entry *next;
	struct kd__entry entry; /* its bytes lie behind; its words point to these */
	char verdict[16], by[KD__BY_SIZE], process[64];
	uint8_t bytes[];
};

struct kd__history {
	uint8_t *memory; /* a ring of entries: each lies in one piece, the first at the front again
			  */
	size_t head;     /* behind the last entry */
	struct kd__history_entry *first, *last;
};

struct kd__history *kd__history_create(void)
{
	struct kd__history *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->memory = mmap(NULL, KD__HISTORY_MAX, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->memory == MAP_FAILED) {
		free(h);
		return NULL;
	}
	/* filled once from end to end: page by page that costs more than what is copied there */
	madvise(h->memory, KD__HISTORY_MAX, MADV_HUGEPAGE);
	return h;
}

static void forget_oldest(struct kd__history *h)
{
	struct kd__history_entry *first = h->first;

	h->first = first->next;
	if (!h->first)
		h->last = NULL;
	kd__conversation_unref(first->entry.conversation);
}

void kd__history_clear(struct kd__history *h)
{
	while (h->first)
		forget_oldest(h);
}

void kd__history_destroy(struct kd__history *h)
{
	if (!h)
		return;
	kd__history_clear(h);
	munmap(h->memory, KD__HISTORY_MAX);
	free(h);
}

/* A flow's last entry pays for its conversation, which lives as long as one of its entries. */
static size_t cost(const struct kd__entry *entry)
{
	size_t n = sizeof(struct kd__history_entry) + entry->size +
		   (entry->kind == KD__ENTRY_CLOSE ? sizeof *entry->conversation : 0);

	return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

/* Free bytes at `head`, which may be the front's now. None where it meets the first entry. */
static size_t free_at_head(struct kd__history *h, size_t wanted)
{
	size_t first = h->first ? (size_t)((uint8_t *)h->first - h->memory) : 0;

	if (!h->first)
		h->head = 0;
	else if (h->head <= first)
		return first - h->head;
	if (wanted <= KD__HISTORY_MAX - h->head)
		return KD__HISTORY_MAX - h->head;
	if (wanted > first)
		return 0;
	h->head = 0;
	return first;
}

void kd__history_add(struct kd__history *h, const struct kd__entry *entry)
{
	size_t size = cost(entry);
	struct kd__history_entry *e;

	if (size > KD__HISTORY_MAX)
		return;
	while (free_at_head(h, size) < size)
		forget_oldest(h);
	e = (struct kd__history_entry *)(void *)(h->memory + h->head);
	h->head += size;
	e->next = NULL;
	e->entry = *entry;
	kd__conversation_ref(entry->conversation);
	snprintf(e->verdict, sizeof e->verdict, "%s", entry->verdict);
	snprintf(e->by, sizeof e->by, "%s", entry->by ? entry->by : "");
	snprintf(e->process, sizeof e->process, "%s", entry->process);
	e->entry.process = e->process;
	e->entry.verdict = e->verdict;
	e->entry.by = entry->by ? e->by : NULL;
	kd_copy(e->bytes, entry->bytes, entry->size);
	e->entry.bytes = e->bytes;
	if (h->last)
		h->last->next = e;
	else
		h->first = e;
	h->last = e;
}

const struct kd__history_entry *kd__history_first(const struct kd__history *h)
{
	return h->first;
}

const struct kd__history_entry *kd__history_next(const struct kd__history_entry *at)
{
	return at->next;
}

const struct kd__entry *kd__history_entry(const struct kd__history_entry *at)
{
	return &at->entry;
}
