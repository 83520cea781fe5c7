/* SPDX-License-Identifier: MIT */
/*
 * What carries a session's packets: the serial link over a transport, a ring of shared memory
 * beside it, datagrams. Whoever holds a session sees packets in and out, and the events of a link
 * (core/link/link.h), whichever road they take; a road may change under way.
 *
 * One thread at a time. Requests go to a halted target only, one at a time.
 */
#ifndef KD_LIB_IO_CARRIER_H
#define KD_LIB_IO_CARRIER_H

#include "core/link/link.h"
#include "lib/base.h"
#include "lib/io/transport.h"

struct kd_cancel;
struct kd_carrier;

struct kd_carrier_ops {
	enum kd_status (*run)(struct kd_carrier *c, uint64_t deadline,
			      struct kd_link_event *event_ret, struct kd_error *err);
	enum kd_status (*send)(struct kd_carrier *c, uint16_t type, const void *header,
			       size_t header_size, const void *data, size_t data_size);
	void (*cancel)(struct kd_carrier *c);
	void (*break_in)(struct kd_carrier *c);
	void (*reset)(struct kd_carrier *c);
	void (*ask_resend)(struct kd_carrier *c);
	bool (*is_busy)(const struct kd_carrier *c);
	bool (*is_synced)(const struct kd_carrier *c);
	void (*counters)(const struct kd_carrier *c, struct kd_link_counters *ret);
	bool (*notices_reverts)(const struct kd_carrier *c); /* NULL: no */
	void (*describe)(const struct kd_carrier *c, char *text, size_t size);
	void (*destroy)(struct kd_carrier *c);
};

/* First member of every implementation. */
struct kd_carrier {
	const struct kd_carrier_ops *ops;
	struct kd_transport *transport; /* the line; owned */
	uint32_t read_max;              /* bytes that a request for memory may ask for */
	bool went_back; /* with KD_E_RESET: still the same target, not where it was left; as notice
			 */
	bool is_abandoned; /* set before the end: the target may hold something of ours */
	char notice[KD_ERROR_TEXT_SIZE]; /* "", or what people should be told; the teller clears it
					  */
};

/* The serial link. Takes `transport` over, also when it fails; `cancel` is borrowed, may be NULL.
 */
enum kd_status kd_carrier_link_create(struct kd_transport *transport, struct kd_cancel *cancel,
				      struct kd_carrier **c_ret, struct kd_error *err);

/* KDNET: `transport` is of the net: kind. Otherwise as the link. */
enum kd_status kd_carrier_net_create(struct kd_transport *transport, struct kd_cancel *cancel,
				     struct kd_carrier **c_ret, struct kd_error *err);

/* A target that goes back to a snapshot is noticed at once. */
bool kd_carrier_notices_reverts(const struct kd_carrier *c);

/* Takes the line with it. NULL is fine. */
void kd_carrier_destroy(struct kd_carrier *c);

/*
 * Let packets flow until there is an event, or `deadline` (monotonic ns): as kd_pump_run(), whose
 * statuses these are.
 */
enum kd_status kd_carrier_run(struct kd_carrier *c, uint64_t deadline,
			      struct kd_link_event *event_ret, struct kd_error *err);

/*
 * As kd_link_send() of a debugger; KD_LINK_ACKED follows when the target has it. Also KD_E_FULL:
 * the target does not read.
 */
enum kd_status kd_carrier_send(struct kd_carrier *c, uint16_t type, const void *header,
			       size_t header_size, const void *data, size_t data_size);

/* As the functions of the link with these names. */
void kd_carrier_cancel(struct kd_carrier *c);
void kd_carrier_break_in(struct kd_carrier *c);
void kd_carrier_reset(struct kd_carrier *c);
void kd_carrier_ask_resend(struct kd_carrier *c);
bool kd_carrier_is_busy(const struct kd_carrier *c);
bool kd_carrier_is_synced(const struct kd_carrier *c);

/* Of all roads together. */
void kd_carrier_counters(const struct kd_carrier *c, struct kd_link_counters *ret);

/* For people: which road, and why not a faster one: "serial line", "ring in guest RAM". */
void kd_carrier_describe(const struct kd_carrier *c, char *text, size_t size);

#endif
