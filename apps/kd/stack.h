/* SPDX-License-Identifier: MIT */
/* For commands that show a stack among other things. */
#ifndef APPS_KD_STACK_H
#define APPS_KD_STACK_H

#include "apps/kd/command.h"

/* The stack of the register context in use; says so when there is none. */
void stack_show(struct call *call, uint64_t count);

#endif
