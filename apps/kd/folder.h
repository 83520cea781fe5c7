/* SPDX-License-Identifier: MIT */
#ifndef APPS_KD_FOLDER_H
#define APPS_KD_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * mkdir -p: what is there already is left as it is. `path` is changed and changed back meanwhile.
 * False: errno says why.
 */
bool folder_make(char *path, mode_t mode);

#endif
