/* SPDX-License-Identifier: MIT */
/* The register block as WinDbg lays it out. */
#ifndef APPS_KD_REGISTERS_H
#define APPS_KD_REGISTERS_H

#include "apps/kd/console.h"

/* Bits of `rm` and of `r M`. */
enum register_mask {
	REGISTERS_GENERAL = 1 | 2,
	REGISTERS_X87 = 4,
	REGISTERS_SEGMENT = 8,
	REGISTERS_MMX = 0x10,
	REGISTERS_DEBUG = 0x20,
	REGISTERS_VECTOR = 0x40,
	REGISTERS_CONTROL = 0x80,
	REGISTERS_DESCRIPTOR = 0x100,
	REGISTERS_ALL = 0x1ff,
	REGISTERS_DEFAULT = REGISTERS_GENERAL | REGISTERS_SEGMENT,
};

/* The groups of `mask`, then the place in the code if general ones are among them. */
void registers_show(struct console *c, unsigned mask);
/* "iopl=0         nv up ei pl zr na po nc" */
void registers_flags(struct text *t, uint64_t flags);

#endif
