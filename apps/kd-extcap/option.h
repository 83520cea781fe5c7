/* SPDX-License-Identifier: MIT */
/* The command line: Wireshark's extcap words, and a few for people. */
#ifndef APPS_KD_EXTCAP_OPTION_H
#define APPS_KD_EXTCAP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum extcap_verb {
	EXTCAP_NOTHING,
	EXTCAP_INTERFACES,
	EXTCAP_DLTS,
	EXTCAP_CONFIG,
	EXTCAP_CAPTURE,
	EXTCAP_CHECK_FILTER, /* a capture filter without any other word */
	EXTCAP_INSTALL,
	EXTCAP_UNINSTALL,
	EXTCAP_HELP,
	EXTCAP_HELP_RST,
	EXTCAP_VERSION,
};

/* All texts are argv's. */
struct extcap_options {
	enum extcap_verb verb;
	const char *interface, *filter, *fifo, *control_in, *control_out;
	bool intercept;
	const char *hold, *editor, *symbols;
};

enum extcap_exit { EXTCAP_OK = 0, EXTCAP_FAILED = 1, EXTCAP_USAGE = 2 };

/* False: message says what is wrong. */
bool extcap_options_parse(struct extcap_options *o, int argc, char **argv, char *message,
			  size_t size);
void extcap_help(FILE *to);
/* docs/man/kd-extcap.1.rst */
void extcap_help_rst(FILE *to);

#endif
