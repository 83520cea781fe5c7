/* SPDX-License-Identifier: MIT */
/*
 * KD packets through shared memory: what both ends of the ring have in common. The layout, how a
 * record is written and taken, and the memory it lies in. docs/protocol/ring.md is the description;
 * ring_guest.h and ring_host.h are the two ends.
 *
 * The ring is KD_RING_PAGES pages of the guest: a control page, in which every group of fields has
 * one writer and a cache line of its own, and a byte ring for each direction. Indices run freely
 * modulo 2^32; each is written by one side only and read once per use. Neither side believes the
 * other: what is read is copied first, then checked, then used.
 *
 * No function blocks, allocates or keeps a pointer. One end belongs to one thread at a time, except
 * where it is said.
 */
#ifndef KD_CORE_RING_RING_H
#define KD_CORE_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

enum {
	KD_RING_VERSION = 1,
	KD_RING_PAGE = 4096,
	KD_RING_SIZE = 8 * KD_RING_PAGE, /* of one direction */
	KD_RING_PAGES = 17,              /* control page, guest to host, host to guest */
	KD_RING_BYTES = KD_RING_PAGES * KD_RING_PAGE,
	KD_RING_UNIT = 16, /* records begin and end at multiples of it */
	KD_RING_RECORD_HDR = 16,
	KD_RING_PAYLOAD_MAX = 8192,
};

/* "OKDRING1", little-endian. */
#define KD_RING_MAGIC UINT64_C(0x31474E4952444B4F)

/* The control page. */
enum {
	/* written by the guest, the magic last */
	KD_RING_AT_MAGIC = 0x000,
	KD_RING_AT_VERSION = 0x008, /* u16 version, u16 pages, u8 pointer size, u8 arch, u16 0 */
	KD_RING_AT_BOOT_NONCE = 0x010,
	KD_RING_AT_G2H_HEAD = 0x040,
	KD_RING_AT_H2G_TAIL = 0x100,
	KD_RING_AT_BREAKS_SEEN = 0x200,
	KD_RING_AT_POLLS = 0x240,
	KD_RING_AT_SENDS = 0x244,
	KD_RING_AT_RECEIVES = 0x248,
	KD_RING_AT_GUEST_STATE = 0x24C,
	/* written by the host */
	KD_RING_AT_G2H_TAIL = 0x080,
	KD_RING_AT_H2G_HEAD = 0x0C0,
	KD_RING_AT_HOST_STATE = 0x140,
	KD_RING_AT_HOST_NONCE = 0x148,
	KD_RING_AT_HOST_SLEEPING = 0x180,
	KD_RING_AT_BREAKS = 0x1C0,
};

enum kd_ring_arch { KD_RING_ARCH_X86 = 1, KD_RING_ARCH_X64 = 2 };

enum kd_ring_host_state { KD_RING_HOST_ABSENT, KD_RING_HOST_ATTACHED, KD_RING_HOST_DETACHING };

enum kd_ring_guest_state { KD_RING_GUEST_SERIAL, KD_RING_GUEST_ANNOUNCED, KD_RING_GUEST_RING };

/* Record types beside KD's packet types, host to guest. */
enum {
	KD_RING_RESYNC = 0xF000, /* say again what you said last */
	KD_RING_DETACH = 0xF001,
};

/*
 * The memory of a ring. Offsets count from its control page; the pages follow each other whatever
 * they do in the guest. `load` acquires, `store` releases, `fence` is a full one.
 */
struct kd_ring_memory_ops {
	uint32_t (*load)(void *context, uint32_t offset);
	void (*store)(void *context, uint32_t offset, uint32_t value);
	void (*read)(void *context, uint32_t offset, void *to, size_t size);
	void (*write)(void *context, uint32_t offset, const void *from, size_t size);
	void (*fence)(void *context);
};

struct kd_ring_memory {
	const struct kd_ring_memory_ops *ops;
	void *context;
};

/* Memory that is simply there: mapped by the host, or the guest's own pages. */
struct kd_ring_memory kd_ring_memory_direct(void *pages);

enum kd_ring_direction { KD_RING_G2H, KD_RING_H2G };

struct kd_ring_record {
	uint16_t type;
	uint16_t header_size; /* the packet's fixed header, at most `size` */
	uint32_t size;        /* of the payload, header included */
};

/*
 * The producer's step: append a record whose payload is `header` and `data`. *head is the
 * producer's own index, moved on success.
 * KD_OK; KD_E_FULL: no room now; KD_E_TOO_BIG: it never fits; KD_E_MALFORMED: the consumer's index
 * makes no sense.
 */
enum kd_status kd_ring_put(const struct kd_ring_memory *m, enum kd_ring_direction direction,
			   uint32_t *head, uint16_t type, const void *header, size_t header_size,
			   const void *data, size_t data_size);

/*
 * The consumer's step: copy the oldest record out and free its place. *tail is the consumer's own
 * index, moved on success. `payload` has room for KD_RING_PAYLOAD_MAX bytes.
 * KD_OK; KD_E_AGAIN: nothing there; KD_E_MALFORMED: the producer's index or the record makes no
 * sense: nothing that follows can be trusted.
 */
enum kd_status kd_ring_take(const struct kd_ring_memory *m, enum kd_ring_direction direction,
			    uint32_t *tail, struct kd_ring_record *ret, uint8_t *payload);

/*
 * Bytes between the two indices as they stand in memory. False: they make no sense. Either may be
 * NULL.
 */
bool kd_ring_indices(const struct kd_ring_memory *m, enum kd_ring_direction direction,
		     uint32_t *head_ret, uint32_t *tail_ret);

/* A 64-bit field, in two halves: not atomic. */
uint64_t kd_ring_load64(const struct kd_ring_memory *m, uint32_t offset);
void kd_ring_store64(const struct kd_ring_memory *m, uint32_t offset, uint64_t value);

#endif
