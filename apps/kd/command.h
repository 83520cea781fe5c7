/* SPDX-License-Identifier: MIT */
/*
 * What a command is: one line of a family's table (cmd_*.c). The table is looked up, completed
 * from, and printed as .help and docs/commands.md.
 */
#ifndef APPS_KD_COMMAND_H
#define APPS_KD_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <openkd/session.h>

#include "apps/kd/data.h"
#include "apps/kd/args.h"
#include "apps/kd/out.h"

struct console;
struct command;

/* One execution of one command. */
struct call {
	struct console *con;
	struct kd_session *session;
	struct out *out;
	const struct command *command;
	const char *name; /* the one it was called by: "dqs" */
	struct args args; /* stands right after the name */
	bool wants_data;  /* someone will read `data` */
	json_t *data;     /* for --json and clients; made by call_object() or call_array() */
	struct kd_error *err;
};

enum command_flags {
	CMD_STOPPED = 1,   /* needs a stopped target */
	CMD_RESUMES = 2,   /* lets the target run */
	CMD_CHANGES = 4,   /* changes the target: refused by --read-only, not repeated by Enter */
	CMD_LIVE = 16,     /* does not wait for a target that runs */
	CMD_CONTINUES = 8, /* Enter on an empty line: the bare name, which goes on where it ended */
};

/* What the arguments name, for completion. */
enum command_words {
	WORDS_NONE,
	WORDS_SYMBOLS,
	WORDS_TYPES,
	WORDS_REGISTERS,
	WORDS_MODULES,
	WORDS_COMMANDS,
	WORDS_FILES
};

struct command {
	const char *names;  /* separated by blanks; the first is the one that is shown */
	const char *syntax; /* lines */
	const char *help;   /* one sentence, without a dot; more after a newline */
	const char *example;
	const char *schema; /* docs/schema/<it>.schema.json describes `data`; NULL: data is always
			       null */
	unsigned flags;
	enum command_words words;
	enum kd_status (*run)(struct call *call);
	const char *suffix; /* letters that may be glued to the name: kbn, lmvm, rF; NULL: none */
	/* End of the arguments; NULL: split_command_end(). */
	const char *(*extent)(const char *args);
};

struct command_family {
	const char *title;
	const struct command *commands;
	size_t n;
};

/* The families in the order of the help; ends with a NULL title. */
extern const struct command_family *const command_families[];

/* What stands at the start of a line. */
struct command_match {
	const struct command *command; /* NULL: unknown */
	char name[40];                 /* as typed, cut */
	const char *args;              /* after the name */
	int processor;                 /* `2k`: 2; -1: none was given */
};

/* `text` begins with the command (no blanks before). */
void command_lookup(const char *text, struct command_match *ret);
/* By whole name. */
const struct command *command_find(const char *name);
const char *command_args_end(const struct command *c, const char *args);
/* The name itself out of `names`: number `n`; false: there is none. */
bool command_name(const struct command *c, unsigned n, char *name, size_t size);

/* docs/commands.md */
void command_reference(FILE *to);

/* --- for the families --- */

/* call->data as a fresh object or array; NULL when nobody wants it (jansson's functions take that).
 */
json_t *call_object(struct call *call);
json_t *call_array(struct call *call);
enum kd_status call_fail(struct call *call, enum kd_status status, const char *fmt, ...)
	APP_PRINTF(3, 4);

#endif
