/* SPDX-License-Identifier: MIT */
/* Boot options, as the loader passes them to the kernel: "/DEBUG /DEBUGPORT=COM1 ...". */
#ifndef KD_GUEST_LOAD_OPTIONS_H
#define KD_GUEST_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct load_options {
	unsigned com_port; /* 1 to 4 */
	uint32_t baud_rate;
	bool has_stock_fifo; /* FIFO=STOCK: set the UART up like the kernel's own transport does */
	bool ring_is_pci;    /* RING=IVSHMEM: the ring is in the memory of an ivshmem device */
};

/**
 * What a transport needs to know. Options are recognised with or without a slash in front, in any
 * case; what is missing or senseless has its default: COM1, 115200, our own FIFO setting, RAM.
 * @param text  NUL-terminated; NULL: defaults.
 */
void load_options_parse(const char *text, struct load_options *ret);

/**
 * The option text of a loader block, NULL: not found. Knows where XP (no version in front), Vista
 * and 7, 8, 8.1 and 10 keep it. @param loader_block  NULL is fine.
 */
const char *load_options_find(const void *loader_block);

/** The kernel's image base, from the first entry of the block's module list; NULL: not found. */
void *load_options_kernel_base(const void *loader_block);

#endif
