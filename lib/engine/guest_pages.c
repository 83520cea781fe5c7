/* SPDX-License-Identifier: MIT */
#include <openkd/sys/guest_pages.h>

#include <stdlib.h>

#include "lib/engine/engine.h"
#include "lib/engine/wire.h"
#include "lib/vm/guest_window.h"

struct kd_guest_pages {
	struct kd_guest_ram *ram;
	struct kd_guest_window *window;
};

KD_EXPORT enum kd_status kd_guest_pages_open(struct kd_session *session,
					     const struct kd_guest_page_run *runs, size_t n,
					     struct kd_guest_pages **ret, struct kd_error *err)
{
	struct kd_guest_run copy[KD_GUEST_RUNS_MAX];
	struct kd_guest_pages *p;
	enum kd_status status;

	if (n > KD_GUEST_RUNS_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "more than %d runs of pages",
				    KD_GUEST_RUNS_MAX);
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct kd_guest_run){ runs[i].address, runs[i].size };
	p = calloc(1, sizeof *p);
	if (!p)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = kd__wire_open_ram(session, &p->ram, err);
	if (status == KD_OK)
		status = kd_guest_window_open(p->ram, copy, n, &p->window, err);
	if (status == KD_OK)
		*ret = p;
	else
		kd_guest_pages_close(p);
	return status;
}

KD_EXPORT void kd_guest_pages_close(struct kd_guest_pages *p)
{
	if (!p)
		return;
	kd_guest_window_close(p->window);
	kd_guest_ram_close(p->ram);
	free(p);
}

KD_EXPORT size_t kd_guest_pages_size(const struct kd_guest_pages *p)
{
	return kd_guest_window_size(p->window);
}

KD_EXPORT enum kd_status kd_guest_pages_read(const struct kd_guest_pages *p, size_t offset,
					     void *buffer, size_t size, struct kd_error *err)
{
	enum kd_status status = kd_guest_window_read(p->window, offset, buffer, size, err);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return status;
}

KD_EXPORT enum kd_status kd_guest_pages_write(const struct kd_guest_pages *p, size_t offset,
					      const void *buffer, size_t size, struct kd_error *err)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return kd_guest_window_write(p->window, offset, buffer, size, err);
}

KD_EXPORT bool kd_guest_pages_is_alive(const struct kd_guest_pages *p)
{
	return kd_guest_ram_is_alive(p->ram);
}
