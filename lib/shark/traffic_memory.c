/* SPDX-License-Identifier: MIT */
/* Where the driver's memory is, and the two ways to it. */
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>
#include <openkd/symbol.h>

#include "lib/shark/traffic_private.h"

/* --- the driver in the target --- */

static enum kd_status check_directory(const struct kd_probe_w_directory *d, struct kd_error *err)
{
	if (memcmp(d->signature, KD_PROBE_SIGNATURE, sizeof KD_PROBE_SIGNATURE) != 0)
		return kd_error_set(err, KD_E_MALFORMED, 0,
				    "netprobe!NetprobeDirectory is not what it should be: do the "
				    "symbols belong to the driver?");
	if (d->version != KD_PROBE_VERSION)
		return kd_error_set(err, KD_E_MISMATCH, 0,
				    "netprobe.sys in the target speaks version %u, this program "
				    "version %d: install the one that came with it",
				    d->version, KD_PROBE_VERSION);
	if (d->memory == 0 || d->memory_size < KD_PROBE_PAGE || d->n_runs > KD_PROBE_RUNS_MAX)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "netprobe.sys is loaded, but has not started or is going");
	return KD_OK;
}

static enum kd_status find_directory(struct kd_traffic *t, uint8_t *bytes, size_t size,
				     struct kd_probe_w_directory *ret, struct kd_error *err)
{
	struct kd_symbol symbol;
	enum kd_status s;

	if (!kd_module_find(t->session, "netprobe")) {
		kd_module_reload(t->session, NULL, NULL);
		if (!kd_module_find(t->session, "netprobe"))
			return kd_error_set(err, KD_E_NOT_FOUND, 0,
					    "netprobe.sys is not loaded in the target: see "
					    "docs/traffic.md, \"Install the driver\"");
	}
	s = kd_symbol_find(t->session, "netprobe!NetprobeDirectory", &symbol, err);
	if (s == KD_OK)
		s = kd_memory_read(t->session, symbol.address, bytes, size, NULL, err);
	if (s != KD_OK)
		return s;
	t->directory = symbol.address;
	kd_probe_w_directory_decode(ret, bytes);
	t->inspect = ret->inspect;
	t->inject = ret->inject;
	return check_directory(ret, err);
}

/* --- its memory: the VM's RAM --- */

static void fail(struct kd_traffic *t, const struct kd_error *err)
{
	if (!t->has_failed)
		t->failure = *err;
	t->has_failed = true;
}

bool kd__traffic_is_reachable(const struct kd_traffic *t)
{
	return t->channel == KD_TRAFFIC_RAM || kd_session_state(t->session) == KD_SESSION_STOPPED;
}

enum kd_status kd__traffic_failure(const struct kd_traffic *t, struct kd_error *err)
{
	if (err)
		*err = t->failure;
	return t->failure.status;
}

static void ram_read(void *context, uint32_t offset, void *to, size_t size)
{
	struct kd_traffic *t = context;
	struct kd_error err;

	if (kd_guest_pages_read(t->pages, offset, to, size, &err) == KD_OK)
		return;
	memset(to, 0, size);
	fail(t, &err);
}

static void ram_write(void *context, uint32_t offset, const void *from, size_t size)
{
	struct kd_traffic *t = context;
	struct kd_error err;

	if (kd_guest_pages_write(t->pages, offset, from, size, &err) != KD_OK)
		fail(t, &err);
}

static uint32_t ram_load(void *context, uint32_t offset)
{
	uint32_t value;

	ram_read(context, offset, &value, sizeof value);
	return value;
}

static void ram_store(void *context, uint32_t offset, uint32_t value)
{
	ram_write(context, offset, &value, sizeof value);
}

static void ram_fence(void *context)
{
	(void)context;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static const struct kd_ring_memory_ops ram_ops = { ram_load, ram_store, ram_read, ram_write,
						   ram_fence };

static enum kd_status open_ram(struct kd_traffic *t, const struct kd_probe_w_directory *d,
			       const uint8_t *runs, struct kd_error *err)
{
	struct kd_guest_page_run list[KD_PROBE_RUNS_MAX];
	enum kd_status s;

	if (d->n_runs == 0)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "the driver's memory is scattered over too many pages");
	for (uint32_t i = 0; i < d->n_runs; i++) {
		struct kd_probe_w_run run;

		kd_probe_w_run_decode(&run, runs + i * KD_PROBE_SIZE_run);
		list[i] = (struct kd_guest_page_run){ run.address, run.size };
	}
	s = kd_guest_pages_open(t->session, list, d->n_runs, &t->pages, err);
	if (s != KD_OK)
		return s;
	t->memory = (struct kd_ring_memory){ &ram_ops, t };
	t->channel = KD_TRAFFIC_RAM;
	return KD_OK;
}

/* --- its memory: KD requests, while the target is stopped --- */

static void kd_read(void *context, uint32_t offset, void *to, size_t size)
{
	struct kd_traffic *t = context;
	struct kd_error err;

	if (kd_memory_read(t->session, t->memory_address + offset, to, size, NULL, &err) == KD_OK)
		return;
	memset(to, 0, size);
	fail(t, &err);
}

static void kd_write(void *context, uint32_t offset, const void *from, size_t size)
{
	struct kd_traffic *t = context;
	struct kd_error err;

	if (kd_memory_write(t->session, t->memory_address + offset, from, size, NULL, &err) !=
	    KD_OK)
		fail(t, &err);
}

static uint32_t kd_load(void *context, uint32_t offset)
{
	uint32_t value;

	kd_read(context, offset, &value, sizeof value);
	return value;
}

static void kd_store(void *context, uint32_t offset, uint32_t value)
{
	kd_write(context, offset, &value, sizeof value);
}

static const struct kd_ring_memory_ops kd_ops = { kd_load, kd_store, kd_read, kd_write, ram_fence };

static enum kd_status open_stops(struct kd_traffic *t)
{
	t->memory = (struct kd_ring_memory){ &kd_ops, t };
	t->channel = KD_TRAFFIC_STOPS;
	return KD_OK;
}

/* --- both --- */

enum kd_status kd__traffic_open(struct kd_traffic *t, struct kd_error *err)
{
	uint8_t bytes[KD_PROBE_SIZE_directory + KD_PROBE_RUNS_MAX * KD_PROBE_SIZE_run];
	struct kd_probe_w_directory directory;
	struct kd_error why = { 0 };
	enum kd_status s = find_directory(t, bytes, sizeof bytes, &directory, err);

	if (s != KD_OK)
		return s;
	t->memory_address = directory.memory;
	t->memory_size = directory.memory_size;
	if (t->options.channel == KD_TRAFFIC_STOPS)
		return open_stops(t);
	s = open_ram(t, &directory, bytes + KD_PROBE_SIZE_directory, &why);
	if (s == KD_OK)
		return KD_OK;
	if (t->options.channel == KD_TRAFFIC_AUTO) {
		kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, 0, 0,
				  "the target stops for it, its RAM can't be used: %.150s",
				  why.text);
		return open_stops(t);
	}
	if (err)
		*err = why;
	return s;
}
