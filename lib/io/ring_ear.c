/* SPDX-License-Identifier: MIT */
#include "lib/io/ring_ear.h"

#include <string.h>

#include "lib/base.h"

static void forget(struct kd_ring_ear *e, size_t n)
{
	memmove(e->heard, e->heard + n, e->n_heard - n);
	e->n_heard -= n;
}

/* Room for at least one more byte: no announcement is as long as all of it. */
static void fill(struct kd_ring_ear *e, const uint8_t **text, size_t *size)
{
	size_t n;

	if (e->n_heard == sizeof e->heard)
		forget(e, 1);
	n = KD_MIN(*size, sizeof e->heard - e->n_heard);
	memcpy(e->heard + e->n_heard, *text, n);
	e->n_heard += n;
	*text += n;
	*size -= n;
}

enum kd_status kd_ring_ear_take(struct kd_ring_ear *e, const uint8_t **text, size_t *size,
				struct kd_ring_announcement *ret)
{
	for (;;) {
		size_t end;
		enum kd_status status = kd_ring_announcement_find(e->heard, e->n_heard, ret, &end);

		forget(e, end);
		if (status == KD_OK || status == KD_E_UNSUPPORTED)
			return status;
		if (status == KD_E_NOT_FOUND) {
			if (*size == 0)
				return KD_E_NOT_FOUND;
			fill(e, text, size);
		}
	}
}
