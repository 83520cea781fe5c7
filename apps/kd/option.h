/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table (option.c) that is parsed, printed by --help, and written into
 * docs/man/kd.1.rst.
 */
#ifndef APPS_KD_OPTION_H
#define APPS_KD_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { OPTION_COMMANDS_MAX = 32 };

/* Values are borrowed from argv. */
struct options {
	const char *endpoint; /* -k */
	const char *target;   /* the word without a dash: a name of the config file */
	const char *commands[OPTION_COMMANDS_MAX]; /* -c, in their order */
	size_t n_commands;
	const char *script;       /* -cf */
	bool script_repeats;      /* -cfr */
	const char *symbol_path;  /* -y */
	const char *record;       /* --record */
	const char *color;        /* auto, always, never */
	const char *memory;       /* auto, kd */
	const char *config;       /* --config */
	const char *session_name; /* --session */
	const char *output;       /* decode: -w */
	const char *key;          /* decode: --key */
	bool initial_break, break_on_first_load, is_verbose, is_json, is_read_only, keep_going;
	bool no_fifo_fix, help, version, help_rst, help_commands;
	unsigned timeout_ms, connect_timeout_ms, wait_timeout_ms; /* 0: not given */
};

/* What exit() gets. The texts of the man page stand beside them in option.c. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_COMMAND_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_CONNECT = 3,
	EXIT_LOST = 4,
	EXIT_BUGCHECK = 6,
	EXIT_WAIT_TIMEOUT = 7,
	EXIT_HANGUP = 129,
	EXIT_INTERRUPTED = 130,
	EXIT_TERMINATED = 143,
};

/*
 * Parse argv[1..]. False: message_ret (size bytes) says in one line what is wrong.
 * --help and --version end the parsing: what follows is not looked at.
 */
bool options_parse(struct options *o, int argc, char **argv, char *message_ret, size_t size);

void options_help(FILE *to);
/* The man page in reStructuredText. */
void options_help_rst(FILE *to);

#endif
