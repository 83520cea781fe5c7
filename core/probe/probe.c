/* SPDX-License-Identifier: MIT */
#include "core/probe/probe.h"

#define KD_LAYOUTS           "core/probe/probe.def"
#define KD_LAYOUT(name)      kd_probe_w_##name
#define KD_LAYOUT_SIZE(name) KD_PROBE_SIZE_##name
#include "core/layout_codecs.inc"

_Static_assert(KD_PROBE_AT_COUNTERS + KD_PROBE_N_COUNTERS * 8 <= KD_PROBE_PAGE, "counters");

struct kd_probe_w_policy kd_probe_default_policy(void)
{
	return (struct kd_probe_w_policy){
		.mode = KD_PROBE_OFF,
		.hold_ms = 300 * 1000,
		.silence_ms = 2000,
		.flow_held_max = 1024 * 1024,
		.held_max = 32 * 1024 * 1024,
		.defer_above = 256 * 1024,
		.continue_below = 64 * 1024,
	};
}

/* A ring: a power of two of bytes, behind the control page, inside the memory. */
static bool is_ring(uint32_t at, uint32_t size, uint32_t total)
{
	return size >= KD_PROBE_RING_MIN && size <= KD_PROBE_RING_MAX && (size & (size - 1)) == 0 &&
	       at >= KD_PROBE_PAGE && at % KD_PROBE_UNIT == 0 && at <= total && size <= total - at;
}

static bool is_apart(const struct kd_probe_shape *v)
{
	return v->up + v->up_size <= v->down || v->down + v->down_size <= v->up;
}

enum kd_status kd_probe_shape_decode(struct kd_probe_shape *ret,
				     const uint8_t page[KD_AT_LEAST(0x40)])
{
	struct kd_probe_shape v = {
		.size = kd_get32(page + KD_PROBE_AT_SIZE),
		.up = kd_get32(page + KD_PROBE_AT_UP),
		.up_size = kd_get32(page + KD_PROBE_AT_UP + 4),
		.down = kd_get32(page + KD_PROBE_AT_DOWN),
		.down_size = kd_get32(page + KD_PROBE_AT_DOWN + 4),
		.boot = kd_get64(page + KD_PROBE_AT_BOOT),
	};

	if (kd_get64(page + KD_PROBE_AT_MAGIC) != KD_PROBE_MAGIC ||
	    kd_get16(page + KD_PROBE_AT_VERSION) != KD_PROBE_VERSION)
		return KD_E_MALFORMED;
	if (!is_ring(v.up, v.up_size, v.size) || !is_ring(v.down, v.down_size, v.size) ||
	    !is_apart(&v))
		return KD_E_MALFORMED;
	*ret = v;
	return KD_OK;
}

void kd_probe_shape_encode(uint8_t page[KD_AT_LEAST(0x40)], const struct kd_probe_shape *v,
			   uint8_t pointer_size)
{
	kd_put16(page + KD_PROBE_AT_VERSION, KD_PROBE_VERSION);
	kd_put16(page + KD_PROBE_AT_VERSION + 2, pointer_size);
	kd_put32(page + KD_PROBE_AT_SIZE, v->size);
	kd_put64(page + KD_PROBE_AT_BOOT, v->boot);
	kd_put32(page + KD_PROBE_AT_UP, v->up);
	kd_put32(page + KD_PROBE_AT_UP + 4, v->up_size);
	kd_put32(page + KD_PROBE_AT_DOWN, v->down);
	kd_put32(page + KD_PROBE_AT_DOWN + 4, v->down_size);
	kd_put64(page + KD_PROBE_AT_MAGIC, KD_PROBE_MAGIC);
}
