/* SPDX-License-Identifier: MIT */
/* The codecs of structs.h, one pair for each KD_STRUCT of structs.def. */
#include "core/wire/structs.h"

#define KD_LAYOUTS           "core/wire/structs.def"
#define KD_LAYOUT(name)      kd_w_##name
#define KD_LAYOUT_SIZE(name) KD_W_SIZE_##name
#include "core/layout_codecs.inc"
