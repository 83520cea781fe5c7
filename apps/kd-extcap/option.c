/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/option.h"

#include <stddef.h>
#include <string.h>

#include "apps/kd/text.h"

enum kind { VERB, TEXT, MODE, IGNORED };
enum section { FOR_PEOPLE, FOR_CAPTURE, FOR_WIRESHARK };

/* clang-format off */
#define AT(member) offsetof(struct extcap_options, member)
static const struct row {
	const char *name, *value; /* value: what the text is; NULL: none follows */
	enum kind kind;
	size_t at; /* TEXT: of the member. VERB: which */
	enum section section;
	const char *help;
} rows[] = {
	{ "--install", NULL, VERB, EXTCAP_INSTALL, FOR_PEOPLE,
	  "Link this program into your own extcap folders, where Wireshark and tshark find it." },
	{ "--uninstall", NULL, VERB, EXTCAP_UNINSTALL, FOR_PEOPLE, "Take the links out." },
	{ "--help", NULL, VERB, EXTCAP_HELP, FOR_PEOPLE, "Print this." },
	{ "--version", NULL, VERB, EXTCAP_VERSION, FOR_PEOPLE, "Print the version." },
	{ "--help-rst", NULL, VERB, EXTCAP_HELP_RST, FOR_PEOPLE,
	  "Print the manual page's source (docs/man/kd-extcap.1.rst)." },
	{ "--mode", "capture|intercept", MODE, 0, FOR_CAPTURE,
	  "capture (default): copies are taken, nothing waits. intercept: payloads are held until somebody lets "
	  "them go on." },
	{ "--hold", "FILTER", TEXT, AT(hold), FOR_CAPTURE,
	  "Which of it is held, written as a capture filter. Default: all of it." },
	{ "--editor", "PROGRAM", TEXT, AT(editor), FOR_CAPTURE,
	  "What the toolbar's Edit starts on a payload. Default: $OPENKD_EDITOR, then a hexadecimal or text "
	  "editor with a window that is installed." },
	{ "--symbols", "FOLDERS", TEXT, AT(symbols), FOR_CAPTURE,
	  "A VM without a session: where the driver's PDB is. Default: the configuration file's sympath, then "
	  "$_NT_SYMBOL_PATH." },
	{ "--extcap-interfaces", NULL, VERB, EXTCAP_INTERFACES, FOR_WIRESHARK, "List sessions and VMs." },
	{ "--extcap-version", "VERSION", IGNORED, 0, FOR_WIRESHARK, "Wireshark's, with the former." },
	{ "--extcap-interface", "NAME", TEXT, AT(interface), FOR_WIRESHARK, "The one that is meant." },
	{ "--extcap-dlts", NULL, VERB, EXTCAP_DLTS, FOR_WIRESHARK, "Its kind of packets." },
	{ "--extcap-config", NULL, VERB, EXTCAP_CONFIG, FOR_WIRESHARK, "What can be set for it." },
	{ "--extcap-reload-option", "NAME", IGNORED, 0, FOR_WIRESHARK, "Nothing is reloaded." },
	{ "--capture", NULL, VERB, EXTCAP_CAPTURE, FOR_WIRESHARK, "Capture until told to stop." },
	{ "--extcap-capture-filter", "FILTER", TEXT, AT(filter), FOR_WIRESHARK,
	  "What is shown: Wireshark's -f. Without --capture: is it one?" },
	{ "--fifo", "PATH", TEXT, AT(fifo), FOR_WIRESHARK, "Where packets are written; - is standard output." },
	{ "--extcap-control-in", "PATH", TEXT, AT(control_in), FOR_WIRESHARK, "What the toolbar says." },
	{ "--extcap-control-out", "PATH", TEXT, AT(control_out), FOR_WIRESHARK, "What it is told." },
};
/* clang-format on */

/* `--name value` and `--name=value`. */
static const struct row *row_of(const char *argument, const char **value_ret)
{
	size_t n = strcspn(argument, "=");

	*value_ret = argument[n] ? argument + n + 1 : NULL;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++)
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, argument, n) == 0)
			return &rows[i];
	return NULL;
}

static bool take(struct extcap_options *o, const struct row *r, const char *value, char *message,
		 size_t size)
{
	switch (r->kind) {
	case VERB: o->verb = (enum extcap_verb)r->at; break;
	case TEXT: memcpy((char *)o + r->at, &value, sizeof(value)); break;
	case MODE:
		o->intercept = strcmp(value, "intercept") == 0;
		if (!o->intercept && strcmp(value, "capture") != 0) {
			snprintf(message, size, "%s is capture or intercept", r->name);
			return false;
		}
		break;
	case IGNORED: break;
	}
	return true;
}

static bool check(struct extcap_options *o, char *message, size_t size)
{
	bool wants_interface = o->verb == EXTCAP_DLTS || o->verb == EXTCAP_CONFIG ||
			       o->verb == EXTCAP_CAPTURE;

	if (o->verb == EXTCAP_NOTHING && o->filter)
		o->verb = EXTCAP_CHECK_FILTER;
	if (wants_interface && !o->interface)
		snprintf(message, size, "--extcap-interface is missing");
	else if (o->verb == EXTCAP_CAPTURE && !o->fifo)
		snprintf(message, size, "--fifo is missing");
	else
		return true;
	return false;
}

bool extcap_options_parse(struct extcap_options *o, int argc, char **argv, char *message,
			  size_t size)
{
	*o = (struct extcap_options){ 0 };
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct row *r = row_of(argv[i], &value);

		if (!r || (value && !r->value)) {
			snprintf(message, size, "%.100s: no such option (--help)", argv[i]);
			return false;
		}
		/* old ones ask without a version */
		if (r->value && !value && i + 1 < argc)
			value = argv[++i];
		if (r->value && !value && r->kind != IGNORED) {
			snprintf(message, size, "%s needs %s", r->name, r->value);
			return false;
		}
		if (!take(o, r, value, message, size))
			return false;
	}
	return check(o, message, size);
}

/* --- help --- */

static const struct {
	const char *title, *intro;
} sections[] = {
	[FOR_PEOPLE] = { "for people", "" },
	[FOR_CAPTURE] = { "of a capture",
			  "Wireshark shows them in the interface's options; with tshark: "
			  "-o extcap.NAME.hold:FILTER and so on." },
	[FOR_WIRESHARK] = { "of extcap", "The words by which Wireshark asks." },
};

void extcap_help(FILE *to)
{
	fprintf(to, "usage: kd-extcap OPTION...\n"
		    "Shows the application traffic of kernel debugging targets in Wireshark and "
		    "tshark.\n");
	for (size_t s = 0; s < APP_ARRAY_LEN(sections); s++) {
		fprintf(to, "\nOptions %s:\n", sections[s].title);
		for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++)
			if (rows[i].section == (enum section)s)
				fprintf(to, "  %s %s\n      %s\n", rows[i].name,
					rows[i].value ? rows[i].value : "", rows[i].help);
	}
}

static void put_rst(FILE *to, const char *text)
{
	for (; *text; text++)
		fprintf(to, strchr("_*|`\\", *text) ? "\\%c" : "%c", *text);
}

void extcap_help_rst(FILE *to)
{
	fprintf(to,
		".. Written by `kd-extcap --help-rst`; a test compares. Edit "
		"apps/kd-extcap/option.c.\n\n"
		"kd-extcap\n=========\n\n"
		"the traffic of kernel debugging targets in Wireshark\n"
		"----------------------------------------------------\n\n"
		":Manual section: 1\n\n"
		"SYNOPSIS\n~~~~~~~~\n\n::\n\n    kd-extcap --install\n"
		"    tshark -i openkd-NAME\n\n"
		"DESCRIPTION\n~~~~~~~~~~~\n\n"
		"Wireshark and tshark run ``kd-extcap`` by themselves once it lies in one of their "
		"extcap\nfolders. They list \"OpenKD: NAME\" for every session of kd and every "
		"virtual machine of this\nmachine, and capture what its programs send and receive: "
		"docs/traffic-wireshark.md.\n\n"
		"A session is asked through its socket. A machine without a session is attached to "
		"for as\nlong as the capture lasts, and runs on all the while.\n\n");
	for (size_t s = 0; s < APP_ARRAY_LEN(sections); s++) {
		fprintf(to, "OPTIONS ");
		for (const char *p = sections[s].title; *p; p++)
			fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, to);
		fprintf(to, "\n%.*s\n\n", (int)(8 + strlen(sections[s].title)),
			"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
		if (*sections[s].intro)
			fprintf(to, "%s\n\n", sections[s].intro);
		for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
			if (rows[i].section != (enum section)s)
				continue;
			fprintf(to, "``%s%s%s``\n    ", rows[i].name, rows[i].value ? " " : "",
				rows[i].value ? rows[i].value : "");
			put_rst(to, rows[i].help);
			fprintf(to, "\n\n");
		}
	}
	fprintf(to,
		"EXIT STATUS\n~~~~~~~~~~~\n\n``0``\n    The capture ended, or the question was "
		"answered.\n\n``1``\n    It failed; standard error says why, and Wireshark shows "
		"that.\n\n``2``\n    The command line is wrong.\n\n"
		"FILES\n~~~~~\n\n``$XDG_RUNTIME_DIR/openkd/NAME.sock``\n    Sessions' sockets.\n\n"
		"``~/.config/wireshark/extcap``, ``~/.local/lib/wireshark/extcap``\n    Where "
		"--install puts links: Wireshark up to 4.0, and from 4.2 on.\n");
}
