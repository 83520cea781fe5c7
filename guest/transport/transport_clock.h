/* SPDX-License-Identifier: MIT */
/*
 * Time for code that runs with interrupts off and without a kernel: the processor's cycle counter,
 * measured once against the timer chip. Machines without that chip get an estimate.
 */
#ifndef KD_GUEST_TRANSPORT_CLOCK_H
#define KD_GUEST_TRANSPORT_CLOCK_H

#include <stdint.h>

struct transport_clock {
	uint64_t last_cycles;
	uint64_t now;          /* nanoseconds, monotonic */
	uint32_t ns_per_cycle; /* 12.20 fixed point */
};

/** Measure; takes about 20 ms once. Again after sleep: time goes on from where it was. */
void transport_clock_start(struct transport_clock *c);

/** The processor's cycle counter. */
uint64_t transport_clock_cycles(void);

/** Nanoseconds since the start. Never goes back, also on another processor. */
uint64_t transport_clock_now(struct transport_clock *c);

#endif
