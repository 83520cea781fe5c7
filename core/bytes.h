/* SPDX-License-Identifier: MIT */
/*
 * Little-endian integers in byte buffers, any alignment. Wire bytes are never overlaid with C
 * structs: i386 Linux aligns u64 to 4, so a "natural" 56-byte header has 52 bytes there.
 */
#ifndef KD_CORE_BYTES_H
#define KD_CORE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* How many elements an array parameter has at least; C++ has no word for it. */
#ifdef __cplusplus
#define KD_AT_LEAST(n) n
#else
#define KD_AT_LEAST(n) static n
#endif

/* memcpy and memset without <string.h>, and with null pointers allowed when size is 0. */
static inline void kd_copy(void *to, const void *from, size_t size)
{
	if (size)
		__builtin_memcpy(to, from, size);
}

static inline void kd_zero(void *to, size_t size)
{
	if (size)
		__builtin_memset(to, 0, size);
}

static inline uint8_t kd_get8(const uint8_t *p)
{
	return p[0];
}

static inline uint16_t kd_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

static inline uint32_t kd_get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t kd_get64(const uint8_t *p)
{
	return kd_get32(p) | (uint64_t)kd_get32(p + 4) << 32;
}

static inline void kd_put8(uint8_t *p, uint8_t v)
{
	p[0] = v;
}

static inline void kd_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void kd_put32(uint8_t *p, uint32_t v)
{
	kd_put16(p, (uint16_t)v);
	kd_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void kd_put64(uint8_t *p, uint64_t v)
{
	kd_put32(p, (uint32_t)v);
	kd_put32(p + 4, (uint32_t)(v >> 32));
}

/* An unsigned integer of 1, 2, 4 or 8 bytes; 0 for any other size. */
static inline uint64_t kd_get_sized(const uint8_t *p, size_t size)
{
	return size == 8   ? kd_get64(p)
	       : size == 4 ? kd_get32(p)
	       : size == 2 ? kd_get16(p)
	       : size == 1 ? p[0]
			   : 0;
}

static inline void kd_put_sized(uint8_t *p, size_t size, uint64_t v)
{
	for (size_t i = 0; i < size && i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

#endif
