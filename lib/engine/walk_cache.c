/* SPDX-License-Identifier: MIT */
#include "lib/engine/walk_cache.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, N_PAGES = 1024, N_TABLES = 128 };

struct translation {
	uint64_t key, directory; /* page number + 1; 0: empty */
	uint64_t physical;
};

struct table {
	uint64_t key; /* page number + 1; 0: empty */
	uint8_t bytes[PAGE];
};

struct kd__walk_cache {
	bool is_empty;
	struct kd_guest_ram *ram; /* of the walk that is made */
	struct translation pages[N_PAGES];
	struct table tables[N_TABLES];
};

struct kd__walk_cache *kd__walk_cache_create(void)
{
	return calloc(1, sizeof(struct kd__walk_cache));
}

void kd__walk_cache_destroy(struct kd__walk_cache *c)
{
	free(c);
}

void kd__walk_cache_forget(struct kd__walk_cache *c)
{
	if (c->is_empty)
		return;
	memset(c->pages, 0, sizeof c->pages);
	for (size_t i = 0; i < N_TABLES; i++)
		c->tables[i].key = 0;
	c->is_empty = true;
}

/* An entry of a table; it never crosses a page. */
static enum kd_status read_entry(void *context, uint64_t address, void *bytes, size_t size,
				 struct kd_error *err)
{
	struct kd__walk_cache *c = context;
	uint64_t page = address / PAGE;
	struct table *t = &c->tables[page % N_TABLES];

	if (t->key != page + 1) {
		enum kd_status status = kd_guest_ram_read(c->ram, page * PAGE, t->bytes, PAGE, NULL,
							  err);

		t->key = status == KD_OK ? page + 1 : 0;
		if (status != KD_OK)
			return status;
	}
	memcpy(bytes, t->bytes + address % PAGE, size);
	return KD_OK;
}

bool kd__walk_cache_page(struct kd__walk_cache *c, struct kd_guest_ram *ram,
			 const struct kd__walk *walk, uint64_t directory, uint64_t page,
			 uint64_t *physical_ret)
{
	uint64_t number = page / PAGE;
	struct translation *t = &c->pages[number % N_PAGES];
	struct kd_translation found;

	if (t->key != number + 1 || t->directory != directory) {
		c->ram = ram;
		c->is_empty = false;
		if (kd__walk_tables(walk, directory, page, read_entry, c, &found, NULL) != KD_OK ||
		    !found.is_valid)
			return false;
		*t = (struct translation){ number + 1, directory, found.physical };
	}
	*physical_ret = t->physical;
	return true;
}
