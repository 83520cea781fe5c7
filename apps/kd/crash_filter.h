/* SPDX-License-Identifier: MIT */
/*
 * Crashes with the traffic that led to them: when a program that matches dies of an exception, or
 * the kernel bugchecks, everything about it goes into one folder.
 */
#ifndef APPS_KD_CRASH_FILTER_H
#define APPS_KD_CRASH_FILTER_H

#include "apps/kd/console.h"

/* Where they go: `path`, made if it is not there; NULL: the state folder. Copied to path_ret. */
enum kd_status crash_filter_folder(const char *path, char *path_ret, size_t size,
				   struct kd_error *err);
/* At each stop, once it was told. */
void crash_filter_look(struct console *c);

#endif
