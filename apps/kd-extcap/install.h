/* SPDX-License-Identifier: MIT */
/* Links to this program in the user's own extcap folders. */
#ifndef APPS_KD_EXTCAP_INSTALL_H
#define APPS_KD_EXTCAP_INSTALL_H

#include <stdio.h>

/* Exit statuses; what was done is said on `to`, what went wrong on standard error. */
int extcap_install(FILE *to);
int extcap_uninstall(FILE *to);

#endif
