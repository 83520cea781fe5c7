/* SPDX-License-Identifier: MIT */
/* How --help and --help-rst of our programs look. */
#ifndef APPS_KD_HELP_TEXT_H
#define APPS_KD_HELP_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* "-x, --long VALUE"; either name and `value` may be NULL. */
void help_heading(const char *short_name, const char *long_name, const char *value, char *text,
		  size_t size);

/* Two columns: what is explained, and the explanation in as many lines as it needs. */
void help_entry(FILE *to, const char *heading, const char *text);
/* The second column alone, from `column` on, where the cursor is. */
void help_wrap(FILE *to, const char *text, int column);

void help_rst_title(FILE *to, const char *title, char line);
void help_rst_definition(FILE *to, const char *name, const char *text);

#endif
