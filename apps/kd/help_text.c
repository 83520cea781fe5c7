/* SPDX-License-Identifier: MIT */
#include "apps/kd/help_text.h"

#include <string.h>

enum { INDENT = 28, WIDTH = 100 };

void help_heading(const char *short_name, const char *long_name, const char *value, char *text,
		  size_t size)
{
	snprintf(text, size, "%s%s%s%s%s", short_name ? short_name : "",
		 short_name && long_name ? ", " : "", long_name ? long_name : "", value ? " " : "",
		 value ? value : "");
}

void help_wrap(FILE *to, const char *text, int column)
{
	const int indent = column;

	while (*text) {
		int n = (int)strcspn(text, " ");

		if (column + 1 + n > WIDTH && column > indent) {
			fprintf(to, "\n%*s", indent, "");
			column = indent;
		}
		if (column > indent) {
			fputc(' ', to);
			column++;
		}
		fprintf(to, "%.*s", n, text);
		column += n;
		text += n + strspn(text + n, " ");
	}
	fputc('\n', to);
}

void help_entry(FILE *to, const char *heading, const char *text)
{
	int column = fprintf(to, "  %-*s", INDENT - 4, heading);

	if (column > INDENT - 2) {
		fputc('\n', to);
		column = 0;
	}
	fprintf(to, "%*s", INDENT - column, "");
	help_wrap(to, text, INDENT);
}

void help_rst_title(FILE *to, const char *title, char line)
{
	fprintf(to, "%s\n", title);
	for (size_t i = 0; i < strlen(title); i++)
		fputc(line, to);
	fputs("\n\n", to);
}

/* reStructuredText would read these as markup. */
static void rst_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (strchr("*_|\\", *text))
			fputc('\\', to);
		if (*text == '`')
			fputs("``", to);
		else
			fputc(*text, to);
	}
}

void help_rst_definition(FILE *to, const char *name, const char *text)
{
	fprintf(to, "``%s``\n    ", name);
	rst_text(to, text);
	fputs("\n\n", to);
}
