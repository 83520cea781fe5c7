/* SPDX-License-Identifier: MIT */
/*
 * What the probe driver and the debugger have in common: the shared memory's layout, the records in
 * it, the words. docs/protocol/probe.md is the description; probe_guest.h and probe_host.h are the
 * two ends.
 *
 * The memory is a control page and a ring for each direction. Records are contiguous, begin at
 * multiples of KD_PROBE_UNIT, and never cross the end of their ring. Indices run freely modulo
 * 2^32, each is written by one side only. Neither side believes the other: what is read is copied
 * first, then checked, then used.
 */
#ifndef KD_CORE_PROBE_PROBE_H
#define KD_CORE_PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "core/bytes.h"

#define KD_LAYOUTS           "core/probe/probe.def"
#define KD_LAYOUT(name)      kd_probe_w_##name
#define KD_LAYOUT_SIZE(name) KD_PROBE_SIZE_##name
#include "core/layout_types.inc"

enum {
	KD_PROBE_VERSION = 1,
	KD_PROBE_UNIT = 64,
	KD_PROBE_HDR = KD_PROBE_SIZE_record,
	/* A datagram of 65507 bytes is one record; streams are cut at this size. */
	KD_PROBE_BYTES_MAX = 64 * 1024,
	KD_PROBE_PAYLOAD_MAX = KD_PROBE_BYTES_MAX + 64, /* bytes and what stands before them */
	KD_PROBE_PATH_MAX = 512,
	KD_PROBE_LOG_MAX = 512,
	KD_PROBE_RULES_MAX = 32,
	KD_PROBE_INSTRUCTIONS_MAX = 512, /* of one program */
	KD_PROBE_RING_MIN = 256 * 1024,
	KD_PROBE_RING_MAX = 64 * 1024 * 1024,
};

/* Of the directory, with the zero behind it. */
#define KD_PROBE_SIGNATURE "OpenKD netprobe"
enum { KD_PROBE_RUNS_MAX = 64 };

#define KD_PROBE_SKIP UINT32_C(0xFFFFFFFF)

/* "OKDPROBE", little-endian. */
#define KD_PROBE_MAGIC UINT64_C(0x45424F5250444B4F)

/* The control page: every group of fields has one writer and a cache line of its own. */
enum {
	KD_PROBE_PAGE = 4096,
	/* written by the guest, the magic last */
	KD_PROBE_AT_MAGIC = 0x000,
	KD_PROBE_AT_VERSION = 0x008, /* u16 version, u8 pointer size, u8 0 */
	KD_PROBE_AT_SIZE = 0x00C,    /* bytes in all */
	KD_PROBE_AT_BOOT = 0x010,    /* u64, differs from start to start of the driver */
	KD_PROBE_AT_UP = 0x018,      /* u32 offset, u32 size: guest to host */
	KD_PROBE_AT_DOWN = 0x020,    /* the same, host to guest */
	KD_PROBE_AT_UP_HEAD = 0x040,
	KD_PROBE_AT_DOWN_TAIL = 0x080,
	KD_PROBE_AT_GUEST =
		0x0C0, /* u32 mode, u32 active filter, u32 beat, u32 nonce: whom it hears */
	KD_PROBE_AT_COUNTERS = 0x200, /* u64 each, in the order of probe_counters.def */
	/* written by the host */
	KD_PROBE_AT_UP_TAIL = 0x100,
	KD_PROBE_AT_DOWN_HEAD = 0x140,
	KD_PROBE_AT_HOST_STATE = 0x180,
	KD_PROBE_AT_HOST_NONCE = 0x184, /* of the attachment, never 0 */
	KD_PROBE_AT_HOST_BEAT = 0x188,
	KD_PROBE_AT_HOST_CALLS = 0x18C, /* KD_PROBE_CALL_*: stubs the guest shall call */
};

enum kd_probe_host_state {
	KD_PROBE_HOST_ABSENT,
	KD_PROBE_HOST_RING, /* reads and writes the memory while the guest runs */
	KD_PROBE_HOST_STOPS /* does so while the guest stands at a stub */
};

enum {
	KD_PROBE_CALL_INSPECT = 1, /* NetprobeInspect, when records wait for the host */
	KD_PROBE_CALL_INJECT = 2,  /* NetprobeInject, when everything from the host was taken */
};

/* Types of records. */
enum kd_probe_type {
	/* guest to host */
	KD_PROBE_FLOW_OPEN = 1,
	KD_PROBE_FLOW_CLOSE = 2,
	KD_PROBE_DATA = 3, /* the payload is the bytes */
	KD_PROBE_APPLIED = 4,
	KD_PROBE_LOSS = 5,
	KD_PROBE_SYNC =
		6,        /* flows are announced anew between a begin and an end: others are gone */
	KD_PROBE_LOG = 7, /* text */
	KD_PROBE_FILTER_STATE = 8,
	/* host to guest */
	KD_PROBE_VERDICT = 0x101,
	KD_PROBE_INJECT = 0x102,
	KD_PROBE_FLOW_MODE = 0x103,
	KD_PROBE_FILTER = 0x104,
	KD_PROBE_POLICY = 0x105,
};

/* Flags of data. */
enum {
	KD_PROBE_INBOUND = 0x0001, /* to the guest's program; else from it */
	KD_PROBE_HELD = 0x0002,    /* waits for a verdict */
	KD_PROBE_FIN = 0x0004,     /* the last of its direction; has no bytes */
	KD_PROBE_RST = 0x0008,     /* the connection was reset; has no bytes */
	KD_PROBE_PUSH = 0x0010,
	KD_PROBE_URGENT = 0x0020,
	KD_PROBE_NODELAY = 0x0040,
	KD_PROBE_DATAGRAM = 0x0080,
	KD_PROBE_AGAIN = 0x0100,  /* was told to an earlier host (or earlier) already */
	KD_PROBE_QUEUED = 0x0200, /* not held, but behind something that was */
};

/* Flags of a flow. */
enum {
	KD_PROBE_FLOW_LOOPBACK = 1,
	KD_PROBE_FLOW_EXISTING = 2, /* announced later than it began */
};

enum kd_probe_direction { KD_PROBE_OUT, KD_PROBE_IN };

enum kd_probe_mode { KD_PROBE_OFF, KD_PROBE_CAPTURE, KD_PROBE_INTERCEPT };

/* What a rule makes of a flow. */
enum kd_probe_action {
	KD_PROBE_BY_PROGRAM, /* the program of its list decides */
	KD_PROBE_IGNORE,     /* not shown; not held */
	KD_PROBE_SHOW,       /* shown, whatever the program says; not held */
	KD_PROBE_HOLD,       /* shown; held */
};

/* The two questions; each is answered by the first rule of its list that fits. */
enum { KD_PROBE_LIST_SHOW = 1, KD_PROBE_LIST_HOLD = 2 };

/* What a person made of a flow. */
enum kd_probe_flow_mode {
	KD_PROBE_FLOW_FILTERED, /* the filter decides */
	KD_PROBE_FLOW_IGNORED,
	KD_PROBE_FLOW_SHOWN,
	KD_PROBE_FLOW_HELD,
	KD_PROBE_FLOW_RELEASED, /* what is held passes, and so does all that comes; shown */
};

enum kd_probe_verdict {
	KD_PROBE_PASS = 1,
	KD_PROBE_DROP = 2,
	KD_PROBE_REPLACE = 3,
	KD_PROBE_RESET = 4,    /* the connection; a datagram is dropped */
	KD_PROBE_INJECTED = 5, /* in APPLIED only */
};

/* Who decided. */
enum kd_probe_by {
	KD_PROBE_BY_HOST = 1,
	KD_PROBE_BY_FILTER = 2, /* was only queued, to keep the order */
	KD_PROBE_BY_TIMEOUT = 3,
	KD_PROBE_BY_MEMORY = 4,    /* too much was held */
	KD_PROBE_BY_SILENCE = 5,   /* the host left or died */
	KD_PROBE_BY_FULL_RING = 6, /* there was no room to tell the host */
	KD_PROBE_BY_END = 7,       /* the flow ended: nothing was sent on */
};

enum kd_probe_close {
	KD_PROBE_CLOSE_ENDED = 1,
	KD_PROBE_CLOSE_ABORTED = 2,
	KD_PROBE_CLOSE_UNLOAD = 3,
};

/* Conditions of a rule. */
enum {
	KD_PROBE_MATCH_PID = 0x001,
	KD_PROBE_MATCH_PATH = 0x002,
	KD_PROBE_MATCH_DIRECTION = 0x004,
	KD_PROBE_MATCH_LOOPBACK = 0x008,
	KD_PROBE_MATCH_PROTOCOL = 0x010,
	KD_PROBE_MATCH_FAMILY = 0x020,
	KD_PROBE_MATCH_LOCAL_PORT = 0x040,
	KD_PROBE_MATCH_REMOTE_PORT = 0x080,
	KD_PROBE_MATCH_LOCAL = 0x100,
	KD_PROBE_MATCH_REMOTE = 0x200,
	KD_PROBE_MATCH_ALL = 0x3FF,
};

enum kd_probe_counter {
#define KD_PROBE_COUNTER(name, text) KD_PROBE_N_##name,
#include "core/probe/probe_counters.def"
#undef KD_PROBE_COUNTER
	KD_PROBE_N_COUNTERS,
};

/* In APPLIED, of what was to go behind a stream's end: the system's STATUS_PIPE_DISCONNECTED. */
#define KD_PROBE_STATUS_ENDED UINT32_C(0xC00000B0)

/* Before a host says otherwise, and what a host says who has no other wishes: mode off. */
struct kd_probe_w_policy kd_probe_default_policy(void);

/* What a flow is: known when it begins, the same for its whole life. */
struct kd_probe_facts {
	uint8_t family;    /* 4 or 6 */
	uint8_t protocol;  /* 6 or 17 */
	uint8_t direction; /* who began: enum kd_probe_direction */
	bool is_loopback;
	uint16_t local_port, remote_port;
	uint8_t local[16], remote[16]; /* network order; IPv4: the first four */
	uint32_t pid;
	uint64_t endpoint;
	uint16_t path_size;
	const uint8_t *path; /* UTF-8, of the program's image; not terminated */
};

/* One bound of each ring, checked. KD_E_MALFORMED: not a probe's control page, or another version.
 */
struct kd_probe_shape {
	uint32_t size;
	uint32_t up, up_size, down, down_size; /* offsets and sizes of the rings */
	uint64_t boot;
};
enum kd_status kd_probe_shape_decode(struct kd_probe_shape *ret,
				     const uint8_t page[KD_AT_LEAST(0x40)]);
void kd_probe_shape_encode(uint8_t page[KD_AT_LEAST(0x40)], const struct kd_probe_shape *v,
			   uint8_t pointer_size);

/* Bytes a record of this payload takes in a ring. */
static inline uint32_t kd_probe_record_room(uint32_t payload)
{
	return (KD_PROBE_HDR + payload + KD_PROBE_UNIT - 1) & ~(KD_PROBE_UNIT - 1u);
}

#endif
