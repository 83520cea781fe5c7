/* SPDX-License-Identifier: MIT */
#include "guest/transport/transport_clock.h"

#include "guest/transport/ports.h"

enum {
	PIT_CHANNEL_2 = 0x42,
	PIT_COMMAND = 0x43,
	PIT_ONE_SHOT_2 = 0xB0, /* channel 2, both bytes, mode 0: the output rises at zero */
	SPEAKER = 0x61,
	SPEAKER_GATE = 0x01,
	SPEAKER_DATA = 0x02,
	SPEAKER_OUTPUT = 0x20,
	PIT_COUNT = 11932, /* 10 ms at 1.193182 MHz */
	MEASURE_NS = 10000000,
	MAX_POLLS = 1000000, /* a port read takes about 1 us where the chip is real */
	FRACTION_BITS = 20,
	/* Without a chip: a guess that makes time-outs somewhat long rather than short. */
	GUESS_CYCLES_10MS = 20000000,
};

uint64_t transport_clock_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Without the compiler's helper for 64-bit division on x86. */
static uint32_t divide(uint64_t value, uint32_t by)
{
	uint64_t remainder = 0;
	uint32_t quotient = 0;

	for (int bit = 63; bit >= 0; bit--) {
		remainder = remainder << 1 | (value >> bit & 1);
		quotient <<= 1;
		if (remainder >= by) {
			remainder -= by;
			quotient |= 1;
		}
	}
	return quotient;
}

/* Cycles in 10 ms, 0: the chip does not count. */
static uint32_t measure(void)
{
	const uint8_t before = port_read8(SPEAKER);
	uint64_t start, cycles;
	uint32_t polls = 0;

	port_write8(SPEAKER, (uint8_t)((before & ~SPEAKER_DATA) | SPEAKER_GATE));
	port_write8(PIT_COMMAND, PIT_ONE_SHOT_2);
	port_write8(PIT_CHANNEL_2, PIT_COUNT & 0xFF);
	port_write8(PIT_CHANNEL_2, PIT_COUNT >> 8);
	start = transport_clock_cycles();
	while (!(port_read8(SPEAKER) & SPEAKER_OUTPUT) && polls < MAX_POLLS)
		polls++;
	cycles = transport_clock_cycles() - start;
	port_write8(SPEAKER, before);
	/* An output that is high at once is no answer. */
	if (polls == 0 || polls == MAX_POLLS || cycles > UINT32_MAX)
		return 0;
	return (uint32_t)cycles;
}

/* The smaller of two: whoever takes the machine away in between only makes it larger. */
static uint32_t measure_well(void)
{
	const uint32_t first = measure(), second = measure();

	if (!first || !second)
		return first ? first : second;
	return first < second ? first : second;
}

void transport_clock_start(struct transport_clock *c)
{
	uint32_t cycles = measure_well();

	if (!cycles)
		cycles = GUESS_CYCLES_10MS;
	c->ns_per_cycle = divide((uint64_t)MEASURE_NS << FRACTION_BITS, cycles);
	c->last_cycles = transport_clock_cycles();
}

uint64_t transport_clock_now(struct transport_clock *c)
{
	const uint64_t cycles = transport_clock_cycles();
	uint64_t passed = cycles - c->last_cycles;

	/* Counters of two processors may differ a little: no step back. */
	if ((int64_t)passed <= 0)
		return c->now;
	c->last_cycles = cycles;
	/* A machine that slept or was stopped by its host: more than a second is a second. */
	if (passed > UINT32_MAX)
		passed = UINT32_MAX;
	c->now += passed * c->ns_per_cycle >> FRACTION_BITS;
	return c->now;
}
