/* SPDX-License-Identifier: MIT */
/*
 * C structs and codecs of every wire structure, generated from structs.def:
 *
 *   struct kd_w_<name>                                  host order, natural C types
 *   void kd_w_<name>_decode(struct kd_w_<name> *, const uint8_t in[SIZE])
 *   void kd_w_<name>_encode(uint8_t out[SIZE], const struct kd_w_<name> *)
 *   KD_W_SIZE_<name>
 *
 * decode reads exactly SIZE bytes: the caller has checked that they are there. encode writes the
 * named fields only and leaves all other bytes of `out` as they are: a decoded message that keeps
 * its raw bytes encodes to the same bytes; a message of our own starts from zeros.
 */
#ifndef KD_CORE_WIRE_STRUCTS_H
#define KD_CORE_WIRE_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"

#define KD_LAYOUTS           "core/wire/structs.def"
#define KD_LAYOUT(name)      kd_w_##name
#define KD_LAYOUT_SIZE(name) KD_W_SIZE_##name
#include "core/layout_types.inc"

#endif
