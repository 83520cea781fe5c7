/* SPDX-License-Identifier: MIT */
/* The part of stdlib.h that lwIP calls: stack_memory.c. */
#ifndef KD_DEMO_PORT_STDLIB_H
#define KD_DEMO_PORT_STDLIB_H

int atoi(const char *text);

#endif
