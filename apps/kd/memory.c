/* SPDX-License-Identifier: MIT */
#include "apps/kd/memory.h"

#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

enum { PAGE = 4096 };

enum kd_status memory_read(struct call *call, bool is_physical, uint64_t address, void *buffer,
			   size_t size, size_t *done_ret)
{
	return (is_physical ? kd_memory_read_physical : kd_memory_read)(
		call->session, address, buffer, size, done_ret, call->err);
}

enum kd_status memory_write(struct call *call, bool is_physical, uint64_t address,
			    const void *buffer, size_t size)
{
	return (is_physical ? kd_memory_write_physical : kd_memory_write)(
		call->session, address, buffer, size, NULL, call->err);
}

static bool is_about_memory(enum kd_status s)
{
	return s == KD_E_UNREADABLE || s == KD_E_TARGET;
}

enum kd_status memory_block_read(struct call *call, uint64_t address, size_t size, bool is_physical,
				 struct memory_block *ret)
{
	size_t at = 0;

	*ret = (struct memory_block){ 0 };
	if (size > MEMORY_BLOCK_MAX)
		return call_fail(call, KD_E_TOO_BIG, "more than %d MB at once",
				 MEMORY_BLOCK_MAX >> 20);
	ret->bytes = app_alloc(size);
	ret->valid = app_alloc(size);
	ret->view = (struct dump_block){ address, ret->bytes, ret->valid, size };
	while (at < size) {
		size_t done = 0;
		enum kd_status s = memory_read(call, is_physical, address + at, ret->bytes + at,
					       size - at, &done);

		if (s != KD_OK && !is_about_memory(s))
			return s;
		if (s != KD_OK)
			done = 0;
		memset(ret->valid + at, 1, done);
		ret->n_valid += done;
		at += done;
		/* What could not be read ends with its page. */
		if (at < size)
			at += APP_MIN((size_t)(PAGE - ((address + at) & (PAGE - 1))), size - at);
	}
	*call->err = (struct kd_error){ 0 };
	return KD_OK;
}

void memory_block_free(struct memory_block *b)
{
	free(b->bytes);
	free(b->valid);
	*b = (struct memory_block){ 0 };
}

void show_progress(struct console *c, const char *what, uint64_t done, uint64_t total,
		   uint64_t started_ns)
{
	double seconds = (double)(console_now_ns() - started_ns) / 1e9;
	double rate = seconds > 0 ? (double)done / seconds : 0;

	if (seconds < 0.5 || total == 0)
		return;
	out_transient(&c->out,
		      "%s %llu%%  %.1f of %.1f MB  %.2f MB/s  %.0f s left (Ctrl-C cancels)", what,
		      (unsigned long long)(done * 100 / total), (double)done / 1048576,
		      (double)total / 1048576, rate / 1048576,
		      rate > 0 ? (double)(total - done) / rate : 0.0);
}
