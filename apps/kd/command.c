/* SPDX-License-Identifier: MIT */
#include "apps/kd/command.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/families.h"
#include "apps/kd/split.h"
#include "apps/kd/value.h"

#define KD_X(name) &name,
const struct command_family *const command_families[] = { COMMAND_FAMILIES(KD_X) NULL };
#undef KD_X

bool command_name(const struct command *c, unsigned n, char *name, size_t size)
{
	const char *p = c->names;

	for (;;) {
		size_t length = strcspn(p, " ");

		if (n-- == 0) {
			app_copy(name, size, p, length);
			return length > 0;
		}
		if (!p[length])
			return false;
		p += length + 1;
	}
}

static bool has_name(const struct command *c, const char *word, size_t size)
{
	for (const char *p = c->names; *p; p += strspn(p, " ")) {
		size_t length = strcspn(p, " ");

		if (length == size && memcmp(p, word, size) == 0)
			return true;
		p += length;
	}
	return false;
}

static const struct command *find_size(const char *word, size_t size)
{
	for (size_t f = 0; command_families[f]; f++)
		for (size_t i = 0; i < command_families[f]->n; i++)
			if (has_name(&command_families[f]->commands[i], word, size))
				return &command_families[f]->commands[i];
	return NULL;
}

const struct command *command_find(const char *name)
{
	return find_size(name, strlen(name));
}

static size_t run_of(const char *text, bool digits)
{
	size_t n = 0;

	while (isalpha((unsigned char)text[n]) || text[n] == '_' ||
	       (digits && isdigit((unsigned char)text[n])))
		n++;
	return n;
}

/* How long the name at `text` is, by how it begins. */
static size_t name_size(const char *text)
{
	if (*text == '.' || *text == '!')
		return 1 + run_of(text + 1, true);
	if (isalpha((unsigned char)*text))
		return run_of(text, false);
	if (strncmp(text, "??", 2) == 0)
		return 0; /* C++ expressions are not there; ? is not meant */
	/* Signs: the longest that is a command. */
	for (size_t n = strcspn(text, " \t\r\n;"); n > 0; n--)
		if (find_size(text, n))
			return n;
	return 0;
}

/* `kbn`: the command `k`, if all that is glued to it are letters it takes. */
static const struct command *find_glued(const char *text, size_t size, size_t *name_ret)
{
	for (size_t n = size - 1; n > 0; n--) {
		const struct command *c = find_size(text, n);

		if (c && c->suffix && strspn(text + n, c->suffix) >= size - n) {
			*name_ret = n;
			return c;
		}
	}
	return NULL;
}

void command_lookup(const char *text, struct command_match *ret)
{
	size_t size, digits = strspn(text, "0123456789");

	*ret = (struct command_match){ .processor = -1 };
	if (digits > 0 && digits < 5 && isalpha((unsigned char)text[digits])) {
		ret->processor = atoi(text);
		text += digits;
	}
	size = name_size(text);
	ret->command = size ? find_size(text, size) : NULL;
	if (!ret->command && size > 1 && isalpha((unsigned char)*text))
		ret->command = find_glued(text, size, &size);
	if (!ret->command)
		size = APP_MAX(strcspn(text, " \t\r\n;"), (size_t)1);
	app_copy(ret->name, sizeof(ret->name), text, size);
	ret->args = text + size;
}

const char *command_args_end(const struct command *c, const char *args)
{
	return c->extent ? c->extent(args) : split_command_end(args);
}

/* --- the document --- */

static void print_lines(FILE *to, const char *text, const char *indent)
{
	while (*text) {
		int n = (int)strcspn(text, "\n");

		fprintf(to, "%s%.*s\n", indent, n, text);
		text += n;
		text += *text == '\n';
	}
}

static void print_command(FILE *to, const struct command *c)
{
	const char *help_end = strchr(c->help, '\n');
	int n = help_end ? (int)(help_end - c->help) : (int)strlen(c->help);
	char name[40];

	fprintf(to, "### ");
	for (unsigned i = 0; command_name(c, i, name, sizeof(name)); i++)
		fprintf(to, "%s`%s`", i ? ", " : "", name);
	fprintf(to, "\n\n%.*s.\n\n", n, c->help);
	if (help_end)
		fprintf(to, "%s\n\n", help_end + 1);
	fprintf(to, "```\n");
	print_lines(to, c->syntax, "");
	fprintf(to, "```\n\nExample: `` %s ``.", c->example);
	fprintf(to, "%s", c->flags & CMD_STOPPED ? " Needs a stopped target." : "");
	fprintf(to, "%s", c->flags & CMD_CHANGES ? " Changes the target." : "");
	if (c->schema)
		fprintf(to, " JSON: [%s](schema/%s.schema.json).", c->schema, c->schema);
	fprintf(to, "\n\n");
}

void command_reference(FILE *to)
{
	fprintf(to, "<!-- Written by `kd --help-commands`; a test compares. "
		    "Edit the tables in apps/kd/cmd_*.c. -->\n"
		    "# Commands of kd\n\n"
		    "Names, syntax and output are WinDbg's. `[ ]` marks what may be left out, "
		    "`...` what "
		    "may be repeated.\nExpressions are MASM expressions; a range is `START END`, "
		    "`START LCOUNT` or `START L?COUNT` (above 256 MB).\n"
		    "Commands are separated by `;`, blocks stand in `{ }`.\n\n");
	for (size_t f = 0; command_families[f]; f++) {
		fprintf(to, "## %s\n\n", command_families[f]->title);
		for (size_t i = 0; i < command_families[f]->n; i++)
			print_command(to, &command_families[f]->commands[i]);
	}
}

/* --- for the families --- */

json_t *call_object(struct call *call)
{
	if (call->wants_data && !call->data)
		call->data = json_object();
	return call->data;
}

json_t *call_array(struct call *call)
{
	if (call->wants_data && !call->data)
		call->data = json_array();
	return call->data;
}

enum kd_status call_fail(struct call *call, enum kd_status status, const char *fmt, ...)
{
	va_list ap;

	*call->err = (struct kd_error){ .status = status };
	va_start(ap, fmt);
	vsnprintf(call->err->text, sizeof(call->err->text), fmt, ap);
	va_end(ap);
	return status;
}
