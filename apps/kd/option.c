/* SPDX-License-Identifier: MIT */
#include "apps/kd/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/help_text.h"
#include "apps/kd/text.h"

enum option_kind { FLAG, TEXT, SECONDS, CHOICE, COMMANDS, SCRIPT_REPEAT };

struct option_spec {
	const char *short_name; /* "-k", NULL: none */
	const char *long_name;  /* "--timeout", NULL: none */
	const char *value;      /* how it is called in the help; NULL: takes none */
	enum option_kind kind;
	size_t offset;
	const char *choices; /* CHOICE: "a|b|c" */
	const char *help;
};

#define AT(field) offsetof(struct options, field)

/* clang-format off */
static const struct option_spec specs[] = {
	{ "-k", NULL, "ENDPOINT", TEXT, AT(endpoint), NULL,
	  "Where the target's debug port is: unix:/path, tcp:host:port, serial:/dev/ttyS0,baud=115200, "
	  "pty:/dev/pts/3, replay:file.pcapng, or what WinDbg takes: com:port=/dev/ttyS0,baud=115200, "
	  "com:pipe,port=/path, com:ipport=1234,port=host, net:port=50000,key=w.x.y.z. Default: "
	  "$_NT_DEBUG_PORT." },
	{ "-c", NULL, "COMMANDS", COMMANDS, AT(commands), NULL,
	  "Commands to run at the first stop, separated by `;`. Several -c run one after another." },
	{ "-cf", NULL, "FILE", TEXT, AT(script), NULL,
	  "A file of commands to run at the first stop, before those of -c." },
	{ "-cfr", NULL, "FILE", SCRIPT_REPEAT, AT(script), NULL,
	  "As -cf, and again each time the target restarted." },
	{ "-y", NULL, "PATH", TEXT, AT(symbol_path), NULL,
	  "Folders with PDB files, separated by `;`. Default: $_NT_SYMBOL_PATH." },
	{ "-b", NULL, NULL, FLAG, AT(initial_break), NULL,
	  "Break in as soon as the target is heard. Implied by commands that come from -c, -cf or a "
	  "pipe, which need a stopped target to run at all." },
	{ "-d", NULL, NULL, FLAG, AT(break_on_first_load), NULL,
	  "Stop at the first module load after a (re)boot." },
	{ "-v", NULL, NULL, FLAG, AT(is_verbose), NULL,
	  "Tell more: how connecting goes, what each command cost in round trips and bytes." },
	{ NULL, "--json", NULL, FLAG, AT(is_json), NULL,
	  "One JSON object a command on standard output, one an event: docs/schema/." },
	{ NULL, "--timeout", "SECONDS", SECONDS, AT(timeout_ms), NULL,
	  "How long one request may go unanswered. Default: 10." },
	{ NULL, "--connect-timeout", "SECONDS", SECONDS, AT(connect_timeout_ms), NULL,
	  "Give up (status 3) when no target was heard in this time. Default: 60 when commands come "
	  "from -c, -cf or a pipe; at a terminal none." },
	{ NULL, "--wait-timeout", "SECONDS", SECONDS, AT(wait_timeout_ms), NULL,
	  "Give up (status 7) when a command waits longer than this for the target to stop. "
	  "Default: none." },
	{ NULL, "--read-only", NULL, FLAG, AT(is_read_only), NULL,
	  "Refuse everything that changes the target but letting it run." },
	{ NULL, "--record", "FILE", TEXT, AT(record), NULL,
	  "Record all bytes both ways as pcapng; `kd decode FILE` reads it, `-k replay:FILE` plays it. "
	  "Memory is read through the target then, unless --memory is given: what comes out of a VM's "
	  "RAM is in no recording. A FILE that is there is replaced when the session ends, unless "
	  "nothing was heard." },
	{ NULL, "--color", "WHEN", CHOICE, AT(color), "auto|always|never",
	  "Colour: auto (on terminals, unless $NO_COLOR is set), always, never." },
	{ NULL, "--keep-going", NULL, FLAG, AT(keep_going), NULL,
	  "Go on after a command of -c, -cf or a pipe failed. The status is 1 all the same." },
	{ NULL, "--no-fifo-fix", NULL, FLAG, AT(no_fifo_fix), NULL,
	  "Leave the receive trigger of the target's UART as it is. By default it is raised for "
	  "speed." },
	{ NULL, "--memory", "ROAD", CHOICE, AT(memory), "auto|kd|ram",
	  "How memory is read: auto (out of the VM's RAM where it runs on this machine, through the "
	  "target for the rest; with --record: as kd), kd (always through the target), ram (only out of the VM's RAM: what "
	  "is not there fails)." },
	{ NULL, "--session", "NAME", TEXT, AT(session_name), NULL,
	  "Name of the session's socket in $XDG_RUNTIME_DIR/openkd (docs/session-socket.md); `none`: "
	  "no socket. Default: the target's name, else made from the endpoint." },
	{ NULL, "--config", "FILE", TEXT, AT(config), NULL,
	  "The configuration file. Default: $XDG_CONFIG_HOME/openkd/config." },
	{ "-w", NULL, "FILE", TEXT, AT(output), NULL,
	  "kd decode: write the decoded stream there instead of to standard output. With --key and a "
	  "name that ends in .pcapng: write the decrypted packets there as a recording, and no text. "
	  "What was there is replaced when it is complete; the input itself is refused." },
	{ NULL, "--key", "KEY", TEXT, AT(key), NULL,
	  "kd decode: the file is a capture of KDNET, and this is the target's key (w.x.y.z). What "
	  "could not be decoded is said, and why." },
	{ "-h", "--help", NULL, FLAG, AT(help), NULL, "Print this." },
	{ "-version", "--version", NULL, FLAG, AT(version), NULL, "Print the version." },
	{ NULL, "--help-rst", NULL, FLAG, AT(help_rst), NULL,
	  "Print the manual page's source (docs/man/kd.1.rst)." },
	{ NULL, "--help-commands", NULL, FLAG, AT(help_commands), NULL,
	  "Print the reference of the commands (docs/commands.md)." },
};

static const struct {
	enum exit_code code;
	const char *text;
} exit_codes[] = {
	{ EXIT_OK, "All went well; end of input and q included." },
	{ EXIT_COMMAND_FAILED, "A command of -c, -cf or a pipe failed, or the end of the session: breakpoints could not "
	  "be removed, the recording could not be completed." },
	{ EXIT_USAGE, "The command line or the configuration file is wrong." },
	{ EXIT_CONNECT, "The target could not be reached: the endpoint cannot be opened, or nothing "
			"was heard within --connect-timeout. The message says what to do." },
	{ EXIT_LOST, "The connection was lost and did not come back." },
	{ EXIT_BUGCHECK, "The target had crashed (bugcheck) when the commands were through." },
	{ EXIT_WAIT_TIMEOUT, "The target did not stop within --wait-timeout." },
	{ EXIT_HANGUP, "SIGHUP: breakpoints were removed, the target runs on." },
	{ EXIT_INTERRUPTED, "Ctrl-C while connecting or while commands of -c, -cf or a pipe ran: "
			    "breakpoints were removed, the target runs on." },
	{ EXIT_TERMINATED, "SIGTERM: breakpoints were removed, the target runs on." },
};

static const struct {
	const char *name, *text;
} environment[] = {
	{ "_NT_SYMBOL_PATH", "Where PDB files are looked for when -y is not given." },
	{ "_NT_DEBUG_PORT", "The endpoint when neither -k nor a target is named." },
	{ "_NT_DEBUG_BAUD_RATE", "Baud rate for a serial $_NT_DEBUG_PORT that names none." },
	{ "NO_COLOR", "Set: no colour unless --color=always." },
}, files[] = {
	{ "$XDG_CONFIG_HOME/openkd/config", "Named targets and defaults (docs/connecting.md)." },
	{ "$XDG_STATE_HOME/openkd/history", "What was typed at the prompt; mode 0600." },
	{ "$XDG_STATE_HOME/openkd/journal-NAME", "Breakpoints that are in a target just now, so that the next kd "
	  "takes them out when this one was killed; mode 0600. Gone when none is left." },
	{ "$XDG_RUNTIME_DIR/openkd/NAME.sock", "The session's socket; mode 0600." },
};
/* clang-format on */

/* --- parsing --- */

static bool is_name(const char *name, const char *word)
{
	return name && strcmp(name, word) == 0;
}

/* `--name=value` and `--name value`; short names take the next word only. */
static const struct option_spec *find_spec(const char *word, const char **value_ret)
{
	const char *equals = strchr(word, '=');

	*value_ret = NULL;
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		const struct option_spec *s = &specs[i];

		if (is_name(s->short_name, word) || is_name(s->long_name, word))
			return s;
		if (equals && s->long_name && strlen(s->long_name) == (size_t)(equals - word) &&
		    !strncmp(s->long_name, word, (size_t)(equals - word))) {
			*value_ret = equals + 1;
			return s;
		}
	}
	return NULL;
}

static bool parse_seconds(const char *value, unsigned *ms_ret)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(value, &end);
	if (errno || end == value || *end || !(seconds > 0) || seconds > 1e6)
		return false;
	*ms_ret = (unsigned)(seconds * 1000 + 0.5);
	if (*ms_ret == 0)
		*ms_ret = 1;
	return true;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t size = strlen(value);

	for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
		if (strcspn(c, "|") == size && !strncmp(c, value, size))
			return true;
	return false;
}

static bool store_commands(struct options *o, const char *value, char *message, size_t size)
{
	if (o->n_commands == OPTION_COMMANDS_MAX) {
		snprintf(message, size, "more than %d times -c; write a file and name it with -cf",
			 OPTION_COMMANDS_MAX);
		return false;
	}
	o->commands[o->n_commands++] = value;
	return true;
}

static bool store(struct options *o, const struct option_spec *s, const char *word,
		  const char *value, char *message, size_t size)
{
	void *field = (char *)o + s->offset;

	switch (s->kind) {
	case FLAG: *(bool *)field = true; return true;
	case SCRIPT_REPEAT:
	case TEXT:
		o->script_repeats |= s->kind == SCRIPT_REPEAT;
		*(const char **)field = value;
		return true;
	case COMMANDS: return store_commands(o, value, message, size);
	case SECONDS:
		if (parse_seconds(value, field))
			return true;
		snprintf(message, size, "%s wants seconds above 0, not '%s'", word, value);
		return false;
	case CHOICE:
		*(const char **)field = value;
		if (is_choice(s->choices, value))
			return true;
		snprintf(message, size, "%s wants one of %s, not '%s'", word, s->choices, value);
		return false;
	}
	return false;
}

static bool parse_option(struct options *o, int *i, int argc, char **argv, char *message,
			 size_t size)
{
	const char *word = argv[*i], *value;
	const struct option_spec *s = find_spec(word, &value);

	if (!s) {
		snprintf(message, size, "no option '%s'; see kd --help", word);
		return false;
	}
	if (value && !s->value) {
		snprintf(message, size, "%s takes no value", s->long_name);
		return false;
	}
	if (!value && s->value) {
		if (*i + 1 >= argc) {
			snprintf(message, size, "%s wants %s after it", word, s->value);
			return false;
		}
		value = argv[++*i];
	}
	return store(o, s, word, value, message, size);
}

bool options_parse(struct options *o, int argc, char **argv, char *message_ret, size_t size)
{
	bool decodes = argc > 0 && strcmp(argv[0], "decode") == 0;

	*o = (struct options){ .color = "auto" };
	for (int i = 1; i < argc && !o->help && !o->version; i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			if (!parse_option(o, &i, argc, argv, message_ret, size))
				return false;
		} else if (o->target) {
			snprintf(message_ret, size, "one %s at a time: '%s' or '%s'?",
				 decodes ? "file" : "target", o->target, argv[i]);
			return false;
		} else {
			o->target = argv[i];
		}
	}
	return true;
}

/* --- help --- */

static const char usage[] = "kd [OPTIONS] (-k ENDPOINT | TARGET)\n"
			    "kd decode FILE.pcapng [--key KEY] [--json] [-w FILE]\n";

void options_help(FILE *to)
{
	char head[80];

	fprintf(to, "Debug a Windows (NT) kernel over the KD protocol.\n\n%s\n", usage);
	fprintf(to, "TARGET is a name of the configuration file, or of a VM (kdmon list).\n\n");
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		help_heading(specs[i].short_name, specs[i].long_name, specs[i].value, head,
			     sizeof(head));
		help_entry(to, head, specs[i].help);
	}
	fprintf(to, "\nExit status:\n");
	for (size_t i = 0; i < APP_ARRAY_LEN(exit_codes); i++) {
		fprintf(to, "  %3d  ", (int)exit_codes[i].code);
		help_wrap(to, exit_codes[i].text, 7);
	}
	fprintf(to, "\nAt the prompt .help lists the commands; Ctrl-C breaks in.\n");
}

void options_help_rst(FILE *to)
{
	const char *end;

	fprintf(to, ".. Written by `kd --help-rst`; a test compares. Edit apps/kd/option.c.\n\n");
	help_rst_title(to, "kd", '=');
	help_rst_title(to, "debug a Windows (NT) kernel over the KD protocol", '-');
	fprintf(to, ":Manual section: 1\n\n");
	help_rst_title(to, "SYNOPSIS", '~');
	fprintf(to, "::\n\n");
	for (const char *line = usage; *line; line = end + 1) {
		end = strchr(line, '\n');
		fprintf(to, "    %.*s\n", (int)(end - line), line);
	}
	fputs("\n", to);
	help_rst_title(to, "DESCRIPTION", '~');
	fprintf(to,
		"``kd`` attaches to the kernel debug port of a Windows (NT) machine, real or "
		"virtual,\n"
		"and takes WinDbg's commands: from a terminal with editing, history and "
		"completion,\n"
		"from ``-c``, from a file, or from a pipe. ``.help`` lists them; "
		"``docs/commands.md`` is\n"
		"the same as a document. TARGET is a name of the configuration file, or a VM's "
		"name or id\n"
		"(``kdmon list``).\n\n"
		"Ctrl-C breaks in when the target runs and cancels the current command when it is\n"
		"stopped. On every way out (``q``, end of input, SIGTERM, SIGHUP, Ctrl-C in batch "
		"use)\n"
		"breakpoints are removed and the target runs on.\n\n"
		"``kd decode`` prints a session recorded with ``--record``, message by "
		"message; with ``--key`` a capture of KDNET.\n\n");
	help_rst_title(to, "OPTIONS", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(specs); i++) {
		char head[80];

		help_heading(specs[i].short_name, specs[i].long_name, specs[i].value, head,
			     sizeof(head));
		help_rst_definition(to, head, specs[i].help);
	}
	help_rst_title(to, "EXIT STATUS", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(exit_codes); i++) {
		char number[8];

		snprintf(number, sizeof(number), "%d", (int)exit_codes[i].code);
		help_rst_definition(to, number, exit_codes[i].text);
	}
	help_rst_title(to, "ENVIRONMENT", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(environment); i++)
		help_rst_definition(to, environment[i].name, environment[i].text);
	help_rst_title(to, "FILES", '~');
	for (size_t i = 0; i < APP_ARRAY_LEN(files); i++)
		help_rst_definition(to, files[i].name, files[i].text);
	help_rst_title(to, "EXAMPLES", '~');
	fprintf(to, "::\n\n"
		    "    kd -k com:pipe,port=/tmp/win10.sock -y ~/symbols\n"
		    "    kd -k unix:/tmp/win10.sock -c \"bp nt!NtCreateFile; g; k; q\"\n"
		    "    kd win10 --json -c \"lm; !process 0 0; q\" | jq .data\n"
		    "    kd decode session.pcapng\n"
		    "    kd decode --key 1.2.3.4 capture.pcapng -w plain.pcapng\n");
}
