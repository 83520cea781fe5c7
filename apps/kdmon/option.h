/* SPDX-License-Identifier: MIT */
#ifndef APPS_KDMON_OPTION_H
#define APPS_KDMON_OPTION_H

#include <stdbool.h>
#include <stdio.h>

enum { MONITOR_WORDS_MAX = 5 };

struct monitor_options {
	const char *word[MONITOR_WORDS_MAX]; /* the verb and what follows it */
	size_t n_words;
	const char *config, *command, *format, *output;
	bool is_json, when_stopped, is_fast, keeps_stopped, help, help_rst, version;
};

/* False: message_ret says in one line what is wrong. */
bool monitor_options_parse(struct monitor_options *o, int argc, char **argv, char *message_ret,
			   size_t size);

void monitor_help(FILE *to);
/* The man page in reStructuredText. */
void monitor_help_rst(FILE *to);

#endif
