/* SPDX-License-Identifier: MIT */
/* The part of string.h that lwIP calls: guest/common/memops.c, and strlen and others of
 * stack_memory.c. */
#ifndef KD_DEMO_PORT_STRING_H
#define KD_DEMO_PORT_STRING_H

#include <stddef.h>

#ifdef __i386__
#define PORT_CDECL __attribute__((cdecl))
#else
#define PORT_CDECL
#endif
void *PORT_CDECL memcpy(void *restrict to, const void *restrict from, size_t n);
void *PORT_CDECL memmove(void *to, const void *from, size_t n);
void *PORT_CDECL memset(void *to, int value, size_t n);
int PORT_CDECL memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);
int strncmp(const char *a, const char *b, size_t n);

#endif
