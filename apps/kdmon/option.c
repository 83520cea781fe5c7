/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/option.h"

#include <string.h>

#include "apps/kd/help_text.h"
#include "apps/kd/text.h"
#include "apps/kdmon/verbs.h"

#define AT(field) offsetof(struct monitor_options, field)

/* clang-format off */
static const struct spec {
	const char *short_name, *long_name, *value;
	size_t offset;
	const char *help;
} specs[] = {
	{ NULL, "--json", NULL, AT(is_json),
	  "Answers and events as JSON, one object a line: docs/schema/." },
	{ NULL, "--command", "TEMPLATE", AT(command),
	  "attach: the debugger's command line. {vm} and {endpoint} are put in; no shell reads it. "
	  "Default: `attach` of the configuration file, else `kd -k {endpoint}`." },
	{ NULL, "--when-stopped", NULL, AT(when_stopped),
	  "attach: not now, but when the machine stops and nobody is there to see it." },
	{ NULL, "--fast", NULL, AT(is_fast),
	  "proxy: speak with the machine by packets: over the ring in its RAM where the guest has one, "
	  "over KDNET. Debuggers see a serial port all the same." },
	{ NULL, "--keep-stopped", NULL, AT(keeps_stopped),
	  "proxy: leave a machine standing whose debugger went without letting it go on. By default it "
	  "is let go on after a tenth of a second. When the proxy ends, it is let go on in any case." },
	{ NULL, "--format", "FORMAT", AT(format), "log: text (default), json or pcapng." },
	{ "-o", "--output", "FILE", AT(output),
	  "log: where to. Text and JSON are appended; a pcapng file that is there is not replaced. Default: a "
	  "new file in $XDG_STATE_HOME/openkd." },
	{ NULL, "--config", "FILE", AT(config),
	  "The configuration file. Default: $XDG_CONFIG_HOME/openkd/config." },
	{ "-h", "--help", NULL, AT(help), "Print this." },
	{ NULL, "--version", NULL, AT(version), "Print the version." },
	{ NULL, "--help-rst", NULL, AT(help_rst),
	  "Print the manual page's source (docs/man/kdmon.1.rst)." },
};

static const struct {
	const char *words, *text;
} others[] = {
	{ "watch", "Events as they happen, until Ctrl-C: machines appear and go, stop, print..." },
	{ "serve", "Be the monitor that stays: proxies, logs and traces live in it. Ends with Ctrl-C or "
		   "SIGTERM, when all it did is undone and no machine is left standing." },
	{ "screen", "The table on the whole terminal, with keys for all of the above. What `kdmon` alone "
		    "does at a terminal." },
}, exit_codes[] = {
	{ "0", "It was done." },
	{ "1", "It failed: the message says why, and what to do about it." },
	{ "2", "The command line or the configuration file is wrong." },
}, files[] = {
	{ "$XDG_CONFIG_HOME/openkd/config", "Named targets; `connect`: libvirt connections; `attach`: "
	  "the debugger's command line (docs/kdmon.md)." },
	{ "$XDG_RUNTIME_DIR/openkd/kdmon.sock", "The monitor's socket; mode 0600." },
	{ "$XDG_RUNTIME_DIR/openkd/proxy-VM.kd", "Sockets of proxies; mode 0600." },
	{ "$XDG_STATE_HOME/openkd/", "Logs that were given no other place." },
};
/* clang-format on */

/* --- parsing --- */

static const struct spec *find(const char *word, const char **value_ret)
{
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);

	*value_ret = equals ? equals + 1 : NULL;
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		const struct spec *s = &specs[i];

		if ((s->short_name && strcmp(s->short_name, word) == 0) ||
		    (strlen(s->long_name) == n && strncmp(s->long_name, word, n) == 0))
			return s;
	}
	return NULL;
}

static bool take_option(struct monitor_options *o, int *i, int argc, char **argv, char *message,
			size_t size)
{
	const char *word = argv[*i], *value;
	const struct spec *s = find(word, &value);
	void *field;

	if (!s) {
		snprintf(message, size, "no option '%s'; see kdmon --help", word);
		return false;
	}
	field = (char *)o + s->offset;
	if (!s->value) {
		*(bool *)field = true;
		if (value)
			snprintf(message, size, "%s takes no value", s->long_name);
		return !value;
	}
	if (!value && *i + 1 >= argc) {
		snprintf(message, size, "%s wants %s after it", word, s->value);
		return false;
	}
	*(const char **)field = value ? value : argv[++*i];
	return true;
}

bool monitor_options_parse(struct monitor_options *o, int argc, char **argv, char *message_ret,
			   size_t size)
{
	bool only_words = false;

	*o = (struct monitor_options){ 0 };
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			if (!take_option(o, &i, argc, argv, message_ret, size))
				return false;
		} else if (o->n_words == MONITOR_WORDS_MAX) {
			snprintf(message_ret, size, "'%s' is one word too many", argv[i]);
			return false;
		} else {
			o->word[o->n_words++] = argv[i];
		}
	}
	return true;
}

/* --- help --- */

void monitor_help(FILE *to)
{
	char head[80];

	fprintf(to, "Find virtual machines, and see to their kernel debugging.\n\n"
		    "kdmon [OPTIONS] [VERB ...]\n\n");
	for (const struct verb *v = verbs; v->name; v++) {
		snprintf(head, sizeof(head), "%s %s", v->name, v->arguments);
		help_entry(to, head, v->help);
	}
	for (size_t i = 0; i < APP_ARRAY_LEN(others); i++)
		help_entry(to, others[i].words, others[i].text);
	fputc('\n', to);
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		help_heading(specs[i].short_name, specs[i].long_name, specs[i].value, head,
			     sizeof(head));
		help_entry(to, head, specs[i].help);
	}
	fprintf(to, "\nVM is a name or an id of `kdmon list`.\n");
}

static void rst_verbs(FILE *to)
{
	char head[80];

	help_rst_title(to, "VERBS", '~');
	for (const struct verb *v = verbs; v->name; v++) {
		snprintf(head, sizeof(head), "%s%s%s", v->name, *v->arguments ? " " : "",
			 v->arguments);
		help_rst_definition(to, head, v->help);
	}
	for (size_t i = 0; i < APP_ARRAY_LEN(others); i++)
		help_rst_definition(to, others[i].words, others[i].text);
}

void monitor_help_rst(FILE *to)
{
	char head[80];

	fprintf(to,
		".. Written by `kdmon --help-rst`; a test compares. Edit apps/kdmon/option.c and "
		"apps/kdmon/verbs.c.\n\n");
	help_rst_title(to, "kdmon", '=');
	help_rst_title(to, "find virtual machines, and see to their kernel debugging", '-');
	fprintf(to, ":Manual section: 1\n\n");
	help_rst_title(to, "SYNOPSIS", '~');
	fprintf(to, "::\n\n    kdmon [OPTIONS] [VERB ...]\n\n");
	help_rst_title(to, "DESCRIPTION", '~');
	fprintf(to,
		"``kdmon`` finds the virtual machines of this machine and of the libvirt "
		"connections "
		"that\n"
		"it is given, and shows what their kernel debugging does. It starts debuggers, "
		"stops "
		"machines,\n"
		"takes and restores snapshots, and stands between a machine and its debugger: to "
		"count, to log,\n"
		"to keep what is printed. VM is a name or an id of ``kdmon list``.\n\n");
	rst_verbs(to);
	help_rst_title(to, "OPTIONS", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		help_heading(specs[i].short_name, specs[i].long_name, specs[i].value, head,
			     sizeof(head));
		help_rst_definition(to, head, specs[i].help);
	}
	help_rst_title(to, "EXIT STATUS", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(exit_codes); i++)
		help_rst_definition(to, exit_codes[i].words, exit_codes[i].text);
	help_rst_title(to, "FILES", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(files); i++)
		help_rst_definition(to, files[i].words, files[i].text);
	help_rst_title(to, "EXAMPLES", '~');
	fprintf(to, "::\n\n"
		    "    kdmon list\n"
		    "    kdmon attach win10\n"
		    "    kdmon proxy win10 tcp-listen:localhost:50001 --fast\n"
		    "    kdmon log win10 on --format pcapng -o win10.pcapng\n"
		    "    kdmon trace win10 MYDRV: /tmp/mydrv.log\n"
		    "    kdmon snapshot win10 clean; kdmon revert win10 clean\n"
		    "    kdmon list --json | jq '.vms[].name'\n");
}
