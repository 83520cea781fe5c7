/* SPDX-License-Identifier: MIT */
/* `kd decode FILE.pcapng`: a recorded session as text or as JSON lines. */
#ifndef APPS_KD_DECODE_H
#define APPS_KD_DECODE_H

#include "apps/kd/option.h"

/* Returns the exit status. `path` is the recording. */
int decode_main(const struct options *o, const char *path);

#endif
