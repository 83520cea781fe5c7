/* SPDX-License-Identifier: MIT */
/* The programs that the user could call. */
#ifndef APPS_KD_PROGRAM_PATH_H
#define APPS_KD_PROGRAM_PATH_H

#include <stdbool.h>

/* A name without a folder, in PATH. */
bool program_is_in_path(const char *name);

#endif
