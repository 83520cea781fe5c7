/* SPDX-License-Identifier: MIT */
/*
 * The console: a session, where its output goes, and what waits to be run. One thread. Which file
 * does what:
 *
 *	main.c     options, configuration, life      loop.c     waiting, jobs, leaving
 *	run.c      a text to commands to calls       event.c    what the target did, told
 *	input.c    terminal and pipes                serve.c    the session's socket
 *	result.c   results as text and JSON          cmd_*.c    the commands
 */
#ifndef APPS_KD_CONSOLE_H
#define APPS_KD_CONSOLE_H

#include <openkd/code.h>
#include <openkd/event.h>
#include <openkd/session.h>

#include "apps/kd/alias.h"
#include "apps/kd/command.h"
#include "apps/kd/config.h"
#include "apps/kd/option.h"
#include "apps/kd/out.h"
#include "apps/kd/value.h"
#include "apps/kd/watch.h"

struct input;
struct kd_mutators;
struct kd_traffic;
struct server;

enum {
	JOBS_MAX = 4096,    /* lines waiting */
	RUN_DEPTH_MAX = 32, /* blocks in blocks, scripts in scripts, commands of breakpoints */
	FILTER_COMMANDS_MAX = 64,
	STEPS_MAX = 1 << 20,
};

/* Who wants something run. */
enum job_origin { JOB_STARTUP, JOB_PIPE, JOB_TERMINAL, JOB_CLIENT, JOB_END };

struct job {
	enum job_origin origin;
	char *text;
	bool is_batch;      /* failing ends the program */
	bool is_echoed;     /* show the line before it runs */
	uint64_t client;    /* JOB_CLIENT: who gets the result */
	json_t *request_id; /* as the client gave it */
	json_t *request;    /* not NULL: to begin traffic; there is no text */
};

/* What a command came to; see docs/schema/command.schema.json. */
struct result {
	char *command;
	enum kd_status status;
	struct kd_error err;
	struct text text;
	json_t *data, *stop;
	uint64_t started_ns, elapsed_ns, round_trips, wire_bytes;
};

typedef void (*result_fn)(struct console *con, void *context, struct result *r);

struct filter_command {
	char name[16];
	char *command;
};

/* apps/kd/traffic.h */
struct traffic {
	struct kd_traffic *t;         /* NULL: none is looked at */
	struct kd_mutators *mutators; /* NULL: none were added */
	char *filter, *intercept;     /* texts as given; NULL: none */
	bool is_closed;               /* what would pass by itself is dropped */
	bool stops;                   /* !strace: each held payload stops the target */
	bool was_capture;             /* before !strace */
	bool is_stopping;             /* for one of them, until the target goes on */
	uint64_t stopped_for;         /* the last of them */
	bool is_for_clients;          /* one of them started it: it ends with the last of them */
	uint64_t current;             /* the item that commands mean; 0: the oldest that is held */
	char *crash_pattern;          /* !crashflt; NULL: off */
	char *crash_folder;           /* NULL: ours */
};

struct console {
	struct kd_session *session;
	const struct options *options;
	struct out out;
	struct watch *watch;
	struct input *input;
	struct server *server;
	struct traffic traffic;
	struct alias_table aliases;

	/* --- the target --- */
	unsigned pointer_size; /* 4 or 8 */
	uint16_t machine;
	bool is_connected; /* heard */
	bool is_stopped;   /* its STOP event was told */
	bool was_announced;
	bool ram_was_told; /* that --memory ram cannot be had */
	struct kd_stop stop;
	uint64_t n_stops;
	bool is_stop_untold; /* its banner waits for the breakpoint's commands */
	uint64_t stopped_at_ns;
	enum kd_event_kind last_module_event;

	/* --- where commands go on --- */
	uint64_t next_data, next_code;
	char last_dump[8];
	unsigned register_mask;
	bool steps_show_registers;
	bool symbols_are_noisy;
	char *noted_search; /* what !sym noisy showed last */
	struct filter_command filter_commands[FILTER_COMMANDS_MAX];

	/* --- running commands --- */
	struct job *jobs; /* a ring of JOBS_MAX */
	size_t first_job, n_jobs;
	unsigned depth;         /* of nested texts */
	unsigned command_depth; /* of nested commands; 0: results are reported */
	bool breaks_loop, continues_loop;
	bool error_was_told;    /* by a nested command of the one that runs */
	bool was_stopped;       /* when the outermost command began */
	unsigned stop_commands; /* depth of commands that belong to stops */
	bool resumed_in_job;    /* a command of the job let the target run */
	result_fn report;       /* NULL: text only */
	void *report_context;
	struct result *held; /* --json: a command that resumed, until its stop */
	struct result last;  /* figures of the last command */
	struct call *live;   /* the .live that runs */
	const struct job *running_job;
	char *repeat_text;  /* what Enter runs */
	char *startup_text; /* -cfr */

	/* --- waiting and ending --- */
	bool is_batch;       /* commands come from options or a pipe only */
	bool is_prompt_open; /* DbgPrompt */
	uint32_t prompt_max;
	unsigned unanswered_interrupts;
	uint64_t first_interrupt_ns;
	uint64_t run_since_ns, lost_since_ns, started_ns;
	uint64_t described_ns; /* when the connection was diagnosed last */
	unsigned wait_errors;  /* in a row */
	bool was_interrupted;  /* Ctrl-C stopped the target: what is left of the job is dropped */
	bool is_leaving, is_lost, a_command_failed, had_batch_jobs;
	int exit_code;
};

/* --- life (loop.c) --- */

/* Run until the user, the input or the target ends it; detaches. Returns the exit status. */
int console_main(struct console *c);
/* End after the current command, with this exit status unless one was set before. */
void console_leave(struct console *c, int exit_code);
/* False: the queue is full. Takes ownership of job->text and request_id in any case. */
bool console_push_job(struct console *c, const struct job *job);
/* What it owns. */
void console_free_job(struct job *job);
/* Handle what comes, for at most `timeout_ms` (-1: until something came). */
void console_step(struct console *c, int timeout_ms);
/* Until the target is stopped. KD_E_CANCELLED: Ctrl-C or the end; KD_E_TIMEOUT, KD_E_CLOSED. */
enum kd_status console_wait_stop(struct console *c, struct kd_error *err);
uint64_t console_now_ns(void);

/* --- commands (run.c) --- */

/* A text of commands. KD_OK, or the status of the first that failed (told already). */
enum kd_status console_run(struct console *c, const char *text);
enum kd_status console_run_part(struct console *c, const char *text, size_t size);
/* Their output into *t instead of the terminal. */
enum kd_status console_run_captured(struct console *c, const char *text, struct text *t);
bool console_interrupted(struct console *c);
enum kd_status console_evaluate(void *console, const char *text, const char **end_ret,
				uint64_t *value_ret, struct kd_error *err);
/* Would all commands of a line run while the target does? */
bool console_runs_anytime(const char *text);
/* The first command is one for targets that run. */
bool console_runs_live(const char *text);

/* --- results (result.c) --- */

void result_print_json(struct console *c, void *context, struct result *r);
json_t *result_to_json(const struct result *r);
void result_free(struct result *r);
void console_print_json(struct console *c, json_t *value); /* one line; takes the reference */
/* "error: ..." where errors go. */
void console_error(struct console *c, const struct kd_error *err);
void console_note(struct console *c, const char *fmt, ...) APP_PRINTF(2, 3);
/* Only with -v. */
void console_verbose(struct console *c, const char *fmt, ...) APP_PRINTF(2, 3);

/* --- what the target did (event.c) --- */

void console_event(struct console *c, const struct kd_event *event);
/* The place in the code: `nt!Foo+0x10:` and the instruction. */
void console_show_place(struct console *c, uint64_t pc);
json_t *console_stop_json(struct console *c);
void console_prompt_text(const struct console *c, char *text, size_t size);
/* After a resume: books are kept here. */
void console_note_resumed(struct console *c);
/* Give the held result out. */
void console_release_held(struct console *c, bool with_stop);
void console_describe_target(struct console *c); /* vertarget */

/* --- text --- */

/* An address of the target, printed; use within one expression. */
struct short_text addr(const struct console *c, uint64_t value);
/* "nt!Foo+0x10", "" when in no module. */
struct symbol_text {
	char s[600];
};
struct symbol_text symbol_of(struct console *c, uint64_t address);
struct source_line {
	char file[512];
	uint32_t line;
};
/* False: no private symbols, or no line there. */
bool source_of(struct console *c, uint64_t address, struct source_line *ret);
/* `fffff802`12345678 90              nop` */
void text_instruction(struct text *t, const struct console *c, const struct kd_instruction *i);

/* Path under $XDG_STATE_HOME/openkd etc., the folder made (0700). */
bool console_folder(const char *variable, const char *fallback, char *path_ret, size_t size);

#endif
