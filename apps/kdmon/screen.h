/* SPDX-License-Identifier: MIT */
/* kdmon screen: the table on the whole terminal, with keys. */
#ifndef APPS_KDMON_SCREEN_H
#define APPS_KDMON_SCREEN_H

#include "apps/kdmon/settings.h"

int screen_main(const struct settings *settings);

#endif
