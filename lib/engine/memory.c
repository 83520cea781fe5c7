/* SPDX-License-Identifier: MIT */
/*
 * Target memory. Two caches of this stop, virtual and physical, in pages with a bit for each block
 * of 64 bytes; what is missing is fetched in few, large requests, with some bytes around it, so
 * that the fields next to the one asked for cost no request of their own. A page that cannot be
 * read is remembered for the stop.
 */
#include "lib/engine/memory.h"

#include <stdlib.h>
#include <string.h>

#include "lib/engine/breaks.h"
#include "lib/engine/event.h"
#include "lib/engine/memory_ram.h"
#include "lib/engine/wire.h"

enum {
	PAGE = 4096,
	BLOCK = 64,
	WINDOW = 512,     /* what is fetched around a small read */
	MAX_PAGES = 8192, /* per cache: 32 MiB, then it is emptied */
	N_BUCKETS = 4096,
	CHUNK_MIN = 128,   /* never ask for less, however bad the line is */
	CLEAN_TO_GROW = 64 /* requests without a loss before the chunk grows again */
};

struct page {
	struct page *next;  /* in its bucket */
	struct page *older; /* in the cache */
	uint64_t address;
	uint64_t valid; /* bit n: block n is there */
	bool is_bad;    /* the first missing block cannot be read */
	uint8_t bytes[PAGE];
};

struct cache {
	bool is_physical;
	size_t n_pages;
	struct page *newest;
	struct page *buckets[N_BUCKETS];
};

struct kd__memory {
	struct cache virtual, physical;
	uint32_t chunk;      /* most bytes per request, by the losses seen */
	uint32_t clean;      /* requests since the last loss */
	bool lost;           /* during the current request */
	uint32_t since_loss; /* requests since the last one; large: there was none */
	uint64_t directory;  /* 0: the stopped processor's */
};

enum kd_status kd__memory_create(struct kd_session *s)
{
	s->memory = calloc(1, sizeof *s->memory);
	if (!s->memory)
		return KD_E_NO_MEMORY;
	s->memory->physical.is_physical = true;
	s->memory->chunk = KD_READ_MAX;
	s->memory->since_loss = CLEAN_TO_GROW;
	return KD_OK;
}

static struct page **bucket_of(struct cache *c, uint64_t address)
{
	return &c->buckets[address / PAGE % N_BUCKETS];
}

/* Costs what is in it: most stops look at a page or two. */
static void cache_empty(struct cache *c)
{
	while (c->newest) {
		struct page *p = c->newest;

		c->newest = p->older;
		*bucket_of(c, p->address) = NULL;
		free(p);
	}
	c->n_pages = 0;
}

KD_EXPORT void kd_memory_flush(struct kd_session *s)
{
	cache_empty(&s->memory->virtual);
	cache_empty(&s->memory->physical);
	kd__ram_forget_walks(s);
}

void kd__memory_destroy(struct kd_session *s)
{
	if (!s->memory)
		return;
	cache_empty(&s->memory->virtual);
	cache_empty(&s->memory->physical);
	free(s->memory);
	s->memory = NULL;
}

void kd__memory_on_stop(struct kd_session *s)
{
	kd_memory_flush(s);
}

void kd__memory_on_resume(struct kd_session *s)
{
	kd_memory_flush(s);
	s->memory->directory = 0;
}

void kd__memory_on_restart(struct kd_session *s)
{
	kd_memory_flush(s);
	s->memory->directory = 0;
}

void kd__memory_set_directory(struct kd_session *s, uint64_t directory_base)
{
	if (s->memory->directory != directory_base)
		cache_empty(&s->memory->virtual);
	s->memory->directory = directory_base;
}

/* One may be a busy machine's pause inside a packet; two within some requests are a bad line. */
void kd__memory_note_loss(struct kd_session *s)
{
	s->memory->lost = s->memory->since_loss < CLEAN_TO_GROW;
	s->memory->since_loss = 0;
}

/* Most bytes per request at the moment: losses and the road set limits. */
static uint32_t chunk_now(const struct kd_session *s)
{
	return KD_MIN(s->memory->chunk, kd__wire_read_max(s));
}

/* Fewer bytes per request while packets are being lost: a short packet has better odds. */
static void adapt_chunk(struct kd_session *s)
{
	struct kd__memory *m = s->memory;

	m->since_loss++;
	if (m->lost) {
		if (m->chunk == KD_READ_MAX)
			kd__events_notice(s, "packets are being lost: requests are shortened");
		m->chunk = KD_MAX(m->chunk / 2, (uint32_t)CHUNK_MIN);
		m->clean = 0;
	} else if (m->chunk < KD_READ_MAX && ++m->clean >= CLEAN_TO_GROW) {
		m->chunk = KD_MIN(m->chunk * 2, (uint32_t)KD_READ_MAX);
		m->clean = 0;
	}
	m->lost = false;
}

static struct page *page_find(const struct cache *c, uint64_t address)
{
	struct page *p = c->buckets[address / PAGE % N_BUCKETS];

	while (p && p->address != address)
		p = p->next;
	return p;
}

static struct page *page_get(struct cache *c, uint64_t address)
{
	struct page **bucket = bucket_of(c, address);
	struct page *p = page_find(c, address);

	if (p)
		return p;
	if (c->n_pages >= MAX_PAGES)
		cache_empty(c);
	p = malloc(sizeof *p);
	if (!p)
		return NULL;
	p->next = *bucket;
	p->older = c->newest;
	p->address = address;
	p->valid = 0;
	p->is_bad = false;
	*bucket = c->newest = p;
	c->n_pages++;
	return p;
}

/* One request. *done_ret bytes from the start were readable, 0 is not an error here. */
static enum kd_status fetch(struct kd_session *s, bool physical, uint64_t address, uint8_t *out,
			    uint32_t count, uint32_t *done_ret, struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	kd_manipulate_init(&m, physical ? KD_API_READ_PHYSICAL : KD_API_READ_VIRTUAL, s->machine,
			   (uint16_t)s->owner);
	m.u.read_memory.address = address;
	m.u.read_memory.count = count;
	*done_ret = 0;
	status = kd__request(s, &m, err);
	if (status != KD_OK)
		return status;
	adapt_chunk(s);
	*done_ret = (uint32_t)KD_MIN(KD_MIN((uint64_t)m.u.read_memory.actual, m.data_size),
				     (uint64_t)count);
	memcpy(out, m.data, *done_ret);
	s->counters.memory_misses += *done_ret;
	if (*done_ret < count && m.hdr.return_status == KD_NT_SUCCESS && *done_ret > 0)
		return KD_E_AGAIN; /* a limit of the transport, not a hole: ask for the rest */
	return KD_OK;
}

/* Put fetched bytes into the cache. Only whole blocks count. */
static void cache_fill(struct cache *c, uint64_t address, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i + BLOCK <= size; i += BLOCK) {
		struct page *p = page_get(c, (address + i) & ~(uint64_t)(PAGE - 1));
		uint32_t in = (uint32_t)(address + i) & (PAGE - 1);

		if (!p)
			return;
		memcpy(p->bytes + in, bytes + i, BLOCK);
		p->valid |= UINT64_C(1) << (in / BLOCK);
		p->is_bad = false;
	}
}

static bool block_valid(const struct cache *c, uint64_t address)
{
	const struct page *p = page_find(c, address & ~(uint64_t)(PAGE - 1));

	return p && (p->valid >> ((address & (PAGE - 1)) / BLOCK) & 1);
}

/* How much to ask for: the missing blocks from `at` on, at least a window inside the page. */
static uint32_t plan_fetch(const struct kd_session *s, const struct cache *c, uint64_t *at,
			   uint64_t end)
{
	uint64_t start = *at & ~(uint64_t)(BLOCK - 1);
	uint64_t page_end = (start & ~(uint64_t)(PAGE - 1)) + PAGE;
	uint64_t want = (end + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
	uint32_t chunk = chunk_now(s) & ~(uint32_t)(BLOCK - 1);
	uint32_t size = 0;

	if (want < start)
		want = ~(uint64_t)(BLOCK - 1); /* the very top of the address space */
	if (want - start < WINDOW && s->memory->chunk == KD_READ_MAX) {
		uint64_t window = start & ~(uint64_t)(WINDOW / 2 - 1);

		want = KD_MAX(want, KD_MIN(window + WINDOW, page_end));
		if (!block_valid(c, window))
			start = window;
	}
	while (size < chunk && start + size < want && !block_valid(c, start + size))
		size += BLOCK;
	*at = start;
	return size;
}

/* A fault ended a fetch: keep the odd bytes before it, remember the page. */
static void note_fault(struct kd_session *s, struct cache *c, uint64_t fault)
{
	struct page *p = page_get(c, fault & ~(uint64_t)(PAGE - 1));

	(void)s;
	if (p)
		p->is_bad = true;
}

/* One block, however little the target gives at a time; what it does not give whole is a fault. */
static enum kd_status load_block(struct kd_session *s, struct cache *c, uint64_t at,
				 struct kd_error *err)
{
	uint8_t bytes[BLOCK];
	uint64_t start = at & ~(uint64_t)(BLOCK - 1);
	uint32_t got = 0, done = 1;

	while (got < BLOCK && done > 0) {
		enum kd_status status = fetch(s, c->is_physical, start + got, bytes + got,
					      BLOCK - got, &done, err);

		if (status != KD_OK && status != KD_E_AGAIN)
			return status;
		got += done;
	}
	cache_fill(c, start, bytes, got);
	if (!block_valid(c, at))
		note_fault(s, c, at);
	return KD_OK;
}

static enum kd_status cache_load(struct kd_session *s, struct cache *c, uint64_t at, uint64_t end,
				 struct kd_error *err)
{
	uint8_t bytes[KD_READ_MAX];
	uint64_t start = at;
	uint32_t size = plan_fetch(s, c, &start, end);
	uint32_t done;
	enum kd_status status = fetch(s, c->is_physical, start, bytes, size, &done, err);

	if (status != KD_OK && status != KD_E_AGAIN)
		return status;
	cache_fill(c, start, bytes, done);
	/* A window that ended before the wanted byte, or in its block: ask for that block itself.
	 */
	return block_valid(c, at) ? KD_OK : load_block(s, c, at, err);
}

/*
 * Read through a cache. *done_ret is short when memory ends; that is KD_OK. A fault inside a block
 * of 64 bytes (it can only be a device page) hides the bytes before it in that block.
 */
static enum kd_status cache_read(struct kd_session *s, struct cache *c, uint64_t address,
				 uint8_t *out, size_t size, size_t *done_ret, struct kd_error *err)
{
	size_t done = 0;
	bool asked = false;

	*done_ret = 0;
	while (done < size) {
		uint64_t at = address + done;
		struct page *p = page_find(c, at & ~(uint64_t)(PAGE - 1));
		uint32_t in = (uint32_t)at & (PAGE - 1);
		size_t n = KD_MIN((size_t)(BLOCK - in % BLOCK), size - done);
		enum kd_status status;

		if (p && p->valid >> (in / BLOCK) & 1) {
			memcpy(out + done, p->bytes + in, n);
			if (!asked)
				s->counters.memory_hits += n;
			done += n;
			continue;
		}
		if (p && p->is_bad)
			break;
		if (kd__cancelled(s))
			return kd_error_set(err, KD_E_CANCELLED, at, "cancelled");
		asked = true;
		status = cache_load(s, c, at, address + size, err);
		if (status != KD_OK)
			return status;
	}
	*done_ret = done;
	return KD_OK;
}

/* --- another process' user addresses: page by page through its tables --- */

static bool is_kernel(const struct kd_session *s, uint64_t address)
{
	return address >> (kd__pointer_size(s) == 4 ? 31 : 47) != 0;
}

static bool is_foreign(const struct kd_session *s, uint64_t address)
{
	return s->memory->directory && !is_kernel(s, address);
}

static enum kd_status foreign_page(struct kd_session *s, uint64_t address, uint64_t *physical_ret,
				   struct kd_error *err)
{
	struct kd_translation t;
	enum kd_status status = kd_memory_translate(s, s->memory->directory, address, &t, err);

	if (status == KD_OK && !t.is_valid)
		return KD_E_UNREADABLE;
	if (status == KD_OK)
		*physical_ret = t.physical;
	return status;
}

typedef enum kd_status (*page_fn)(struct kd_session *s, uint64_t physical, void *bytes, size_t size,
				  size_t *done_ret, struct kd_error *err);

static enum kd_status foreign_each(struct kd_session *s, uint64_t address, uint8_t *bytes,
				   size_t size, size_t *done_ret, page_fn fn, struct kd_error *err)
{
	*done_ret = 0;
	while (*done_ret < size) {
		uint64_t at = address + *done_ret;
		size_t n = KD_MIN(size - *done_ret, PAGE - (size_t)(at & (PAGE - 1)));
		size_t did = 0;
		uint64_t physical = 0;
		enum kd_status status = foreign_page(s, at, &physical, err);

		if (status == KD_OK)
			status = fn(s, physical, bytes + *done_ret, n, &did, err);
		if (status == KD_E_UNREADABLE)
			return KD_OK;
		if (status != KD_OK)
			return status;
		*done_ret += did;
		if (did < n)
			return KD_OK;
	}
	return KD_OK;
}

static enum kd_status ask_physical(struct kd_session *s, uint64_t physical, void *bytes,
				   size_t size, size_t *done_ret, struct kd_error *err)
{
	return cache_read(s, &s->memory->physical, physical, bytes, size, done_ret, err);
}

/* --- the roads, one behind the other: guest RAM as far as it goes, then the cache and KD --- */

static bool may_ask(const struct kd_session *s)
{
	return s->options.memory_road != KD_MEMORY_BY_RAM;
}

typedef size_t (*ram_fn)(struct kd_session *s, uint64_t address, void *bytes, size_t size);

static enum kd_status read_by_roads(struct kd_session *s, uint64_t address, uint8_t *bytes,
				    size_t size, size_t *done_ret, ram_fn ram, page_fn ask,
				    struct kd_error *err)
{
	size_t direct = ram(s, address, bytes, size), rest = 0;
	enum kd_status status = KD_OK;

	if (direct < size && may_ask(s))
		status = ask(s, address + direct, bytes + direct, size - direct, &rest, err);
	*done_ret = direct + rest;
	return status;
}

static enum kd_status ask_own(struct kd_session *s, uint64_t address, void *bytes, size_t size,
			      size_t *done_ret, struct kd_error *err)
{
	return cache_read(s, &s->memory->virtual, address, bytes, size, done_ret, err);
}

static enum kd_status ask_foreign(struct kd_session *s, uint64_t address, void *bytes, size_t size,
				  size_t *done_ret, struct kd_error *err)
{
	return foreign_each(s, address, bytes, size, done_ret, ask_physical, err);
}

/* --- the public face --- */

/* What a caller gets who read `done` of `size` bytes. */
static enum kd_status judge(uint64_t address, size_t size, size_t done, size_t *done_ret,
			    const char *verb, struct kd_error *err)
{
	if (done_ret)
		*done_ret = done;
	if (size == 0 || done == size || (done_ret && done > 0))
		return KD_OK;
	return kd_error_set(err, KD_E_UNREADABLE, address + done,
			    "memory at 0x%llx is not %s (paged out, or nothing is there)",
			    (unsigned long long)(address + done), verb);
}

enum kd_status kd__memory_read_here(struct kd_session *s, uint64_t address, void *buffer,
				    size_t size, size_t *done_ret, struct kd_error *err)
{
	uint64_t directory = s->memory->directory;
	enum kd_status status;

	kd__memory_set_directory(s, 0);
	status = kd_memory_read(s, address, buffer, size, done_ret, err);
	kd__memory_set_directory(s, directory);
	return status;
}

uint64_t kd__memory_directory(const struct kd_session *s)
{
	return s->memory->directory;
}

uint64_t kd__memory_directory_of(const struct kd_session *s, uint64_t address)
{
	return is_foreign(s, address) ? s->memory->directory : 0;
}

size_t kd__memory_read_by_kd(struct kd_session *s, uint64_t address, void *buffer, uint32_t size,
			     struct kd_error *err)
{
	uint32_t done = 0;
	enum kd_status status = fetch(s, false, address, buffer, size, &done, err);

	return status == KD_OK || status == KD_E_AGAIN ? done : 0;
}

/* User addresses mean nothing without a stop: whose? */
static enum kd_status read_live(struct kd_session *s, uint64_t address, uint8_t *bytes, size_t size,
				size_t *done_ret, struct kd_error *err)
{
	if (!is_kernel(s, address))
		return kd_error_set(err, KD_E_RUNNING, address,
				    "the target is running: only the kernel's addresses can be "
				    "looked at");
	*done_ret = kd__ram_read_live(s, address, bytes, size);
	kd__breaks_hide(s, address, bytes, *done_ret);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_memory_is_reachable(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__need_memory(s, err);

	return status == KD_OK && s->state == KD_SESSION_STOPPED ? kd__ram_judge(s, err) : status;
}

KD_EXPORT enum kd_status kd_memory_read(struct kd_session *s, uint64_t address, void *buffer,
					size_t size, size_t *done_ret, struct kd_error *err)
{
	enum kd_status status = kd__need_memory(s, err);
	size_t done = 0;

	if (status == KD_OK && s->state == KD_SESSION_STOPPED)
		status = kd__ram_judge(s, err);
	if (status != KD_OK)
		return status;
	address = kd__normalise(s, address);
	if (s->state == KD_SESSION_RUNNING) {
		status = read_live(s, address, buffer, size, &done, err);
	} else if (is_foreign(s, address)) {
		status = kd__breaks_unplant_all(s, err);
		if (status == KD_OK)
			status = read_by_roads(s, address, buffer, size, &done, kd__ram_read,
					       ask_foreign, err);
	} else {
		status = read_by_roads(s, address, buffer, size, &done, kd__ram_read, ask_own, err);
		kd__breaks_hide(s, address, buffer, done);
	}
	return status != KD_OK ? status : judge(address, size, done, done_ret, "readable", err);
}

/* Breakpoints are not seen in physical memory either: it is read without any. */
KD_EXPORT enum kd_status kd_memory_read_physical(struct kd_session *s, uint64_t address,
						 void *buffer, size_t size, size_t *done_ret,
						 struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);
	size_t done = 0;

	if (status == KD_OK)
		status = kd__ram_judge(s, err);
	if (status == KD_OK)
		status = kd__breaks_unplant_all(s, err);
	if (status == KD_OK)
		status = read_by_roads(s, address, buffer, size, &done, kd__ram_read_physical,
				       ask_physical, err);
	return status != KD_OK ? status : judge(address, size, done, done_ret, "readable", err);
}

static enum kd_status store(struct kd_session *s, bool physical, uint64_t address,
			    const uint8_t *bytes, size_t size, size_t *done_ret,
			    struct kd_error *err)
{
	*done_ret = 0;
	while (*done_ret < size) {
		struct kd_manipulate m;
		uint64_t at = address + *done_ret;
		size_t n = KD_MIN(size - *done_ret, PAGE - (size_t)(at & (PAGE - 1)));
		enum kd_status status;

		n = KD_MIN(n, (size_t)chunk_now(s));
		kd_manipulate_init(&m, physical ? KD_API_WRITE_PHYSICAL : KD_API_WRITE_VIRTUAL,
				   s->machine, (uint16_t)s->owner);
		m.u.write_memory.address = at;
		m.u.write_memory.count = (uint32_t)n;
		m.data = bytes + *done_ret;
		m.data_size = n;
		status = kd__request(s, &m, err);
		if (status != KD_OK)
			return status;
		adapt_chunk(s);
		*done_ret += KD_MIN((size_t)m.u.write_memory.actual, n);
		if (m.hdr.return_status != KD_NT_SUCCESS || m.u.write_memory.actual < n)
			return KD_OK;
	}
	return KD_OK;
}

static enum kd_status write_physical_page(struct kd_session *s, uint64_t physical, void *bytes,
					  size_t size, size_t *done_ret, struct kd_error *err)
{
	return store(s, true, physical, bytes, size, done_ret, err);
}

KD_EXPORT enum kd_status kd_memory_write(struct kd_session *s, uint64_t address, const void *buffer,
					 size_t size, size_t *done_ret, struct kd_error *err)
{
	enum kd_status status = kd__need_write(s, err);
	size_t done = 0;

	if (status != KD_OK)
		return status;
	address = kd__normalise(s, address);
	status = kd__breaks_unplant_range(s, address, size, err);
	if (status != KD_OK)
		return status;
	if (is_foreign(s, address))
		status = foreign_each(s, address, (uint8_t *)(uintptr_t)buffer, size, &done,
				      write_physical_page, err);
	else
		status = store(s, false, address, buffer, size, &done, err);
	kd_memory_flush(s);
	s->generation++;
	return status != KD_OK ? status : judge(address, size, done, done_ret, "writable", err);
}

KD_EXPORT enum kd_status kd_memory_write_physical(struct kd_session *s, uint64_t address,
						  const void *buffer, size_t size, size_t *done_ret,
						  struct kd_error *err)
{
	enum kd_status status = kd__need_write(s, err);
	size_t done = 0;

	if (status == KD_OK)
		status = kd__breaks_unplant_all(s, err);
	if (status == KD_OK)
		status = store(s, true, address, buffer, size, &done, err);
	kd_memory_flush(s);
	s->generation++;
	return status != KD_OK ? status : judge(address, size, done, done_ret, "writable", err);
}

KD_EXPORT enum kd_status kd_memory_read_uint(struct kd_session *s, uint64_t address, size_t size,
					     uint64_t *value_ret, struct kd_error *err)
{
	uint8_t bytes[8];
	enum kd_status status;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return kd_error_set(err, KD_E_INVALID, address, "no integer has %zu bytes", size);
	status = kd_memory_read(s, address, bytes, size, NULL, err);
	if (status == KD_OK)
		*value_ret = kd_get_sized(bytes, size);
	return status;
}

KD_EXPORT enum kd_status kd_memory_read_pointer(struct kd_session *s, uint64_t address,
						uint64_t *value_ret, struct kd_error *err)
{
	enum kd_status status = kd_memory_read_uint(s, address, kd__pointer_size(s), value_ret,
						    err);

	if (status == KD_OK)
		*value_ret = kd__normalise(s, *value_ret);
	return status;
}

enum kd_status kd__sym_read(void *session, uint64_t address, void *buffer, size_t size,
			    size_t *done_ret)
{
	enum kd_status status = kd_memory_read(session, address, buffer, size, done_ret, NULL);

	if (status == KD_E_UNREADABLE)
		*done_ret = 0;
	return status;
}
