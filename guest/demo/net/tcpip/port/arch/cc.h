/* SPDX-License-Identifier: MIT */
/* What lwIP asks of compiler and platform. */
#ifndef KD_DEMO_LWIP_CC_H
#define KD_DEMO_LWIP_CC_H

#include <stddef.h>
#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_CTYPE_H    1
#define LWIP_NO_UNISTD_H   1
#define X8_F               "02x"
#define U16_F              "u"
#define S16_F              "d"
#define X16_F              "x"
#define U32_F              "u"
#define S32_F              "d"
#define X32_F              "x"
#define SZT_F              "u"

#ifndef BYTE_ORDER
#define LITTLE_ENDIAN 1234
#define BIG_ENDIAN    4321
#define BYTE_ORDER    LITTLE_ENDIAN
#endif

#define PACK_STRUCT_STRUCT __attribute__((packed))
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) NetAssertionFailed(x)
#define LWIP_RAND()             NetRandom()

_Noreturn void NetAssertionFailed(const char *text);
uint32_t NetRandom(void);

#endif
