/* SPDX-License-Identifier: MIT */
/* The families of commands, in the order of the help. A new family is one line here. */
#ifndef APPS_KD_FAMILIES_H
#define APPS_KD_FAMILIES_H

#include "apps/kd/command.h"

#define COMMAND_FAMILIES(X)  \
	X(family_execute)    \
	X(family_breakpoint) \
	X(family_filter)     \
	X(family_dump)       \
	X(family_edit)       \
	X(family_search)     \
	X(family_register)   \
	X(family_code)       \
	X(family_stack)      \
	X(family_symbol)     \
	X(family_module)     \
	X(family_type)       \
	X(family_evaluate)   \
	X(family_process)    \
	X(family_machine)    \
	X(family_port)       \
	X(family_target)     \
	X(family_crash_dump) \
	X(family_traffic)    \
	X(family_mutator)    \
	X(family_session)    \
	X(family_script)     \
	X(family_alias)      \
	X(family_help)

#define KD_X(name) extern const struct command_family name;
COMMAND_FAMILIES(KD_X)
#undef KD_X

#define FAMILY(name, heading)                                   \
	const struct command_family name = { heading, commands, \
					     sizeof(commands) / sizeof(commands[0]) }

#endif
