/* SPDX-License-Identifier: MIT */
/*
 * At a terminal, editing is on only while the prompt is shown (the target is stopped and nothing
 * runs); at other times the terminal is in its ordinary mode, so that Ctrl-C is a signal and what
 * is typed while the target runs is echoed, kept, and run at the stop.
 *
 *	PLAIN --input_show()--> EDITING --a line, input_hide()--> PLAIN
 */
#include "apps/kd/input.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd/complete.h"
#include "apps/kd/console.h"
#include "apps/kd/split.h"

enum { HISTORY_LINES = 2000, LINE_LIMIT = 1 << 20, PIPE_LINES_AHEAD = 64 };

struct input {
	struct console *con;
	bool is_terminal, is_editing, has_ended, is_watched;
	bool wants_end;      /* Ctrl-D on an empty line */
	struct text pending; /* plain mode: a line that is not whole yet */
	char *draft;         /* EDITING was left in the middle of this line */
	EditLine *el;
	History *history;
	char history_path[512];
	char prompt[32];
};

/* --- lines --- */

static void add_history(struct input *in, const char *line)
{
	HistEvent ev;

	if (in->history && *split_skip_space(line))
		history(in->history, &ev, H_ENTER, line);
}

static void push_line(struct input *in, const char *line)
{
	struct console *c = in->con;
	struct job job = { .origin = in->is_terminal ? JOB_TERMINAL : JOB_PIPE,
			   .is_batch = !in->is_terminal };

	add_history(in, line);
	if (!*split_skip_space(line) && !c->is_prompt_open) {
		/* Enter on an empty line: the last command once more. */
		if (!in->is_terminal || !c->repeat_text)
			return;
		line = c->repeat_text;
	}
	job.text = app_strdup(line);
	if (!console_push_job(c, &job))
		console_note(c, "more than %d lines wait; the last one was dropped", JOBS_MAX);
}

static void stop_watching(struct input *in)
{
	if (in->is_watched)
		watch_remove(in->con->watch, STDIN_FILENO);
	in->is_watched = false;
}

static void push_end(struct input *in)
{
	struct job job = { .origin = JOB_END };

	if (in->has_ended)
		return;
	in->has_ended = true;
	stop_watching(in);
	if (in->pending.size)
		push_line(in, text_string(&in->pending));
	text_clear(&in->pending);
	if (!console_push_job(in->con, &job))
		console_leave(in->con, EXIT_OK);
}

/* --- plain mode --- */

static void take_lines(struct input *in)
{
	const char *line = text_string(&in->pending), *end;

	while ((end = strchr(line, '\n'))) {
		char *copy = app_strndup(line, (size_t)(end - line));

		copy[strcspn(copy, "\r")] = '\0';
		push_line(in, copy);
		free(copy);
		line = end + 1;
	}
	size_t left = in->pending.size - (size_t)(line - text_string(&in->pending));
	if (left != in->pending.size) {
		struct text rest = TEXT_INIT;

		text_append(&rest, line, left);
		text_free(&in->pending);
		in->pending = rest;
	}
}

static void read_plain(struct input *in)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		push_end(in);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] == '\0')
			bytes[i] = ' ';
	text_append(&in->pending, bytes, (size_t)n);
	if (in->pending.size > LINE_LIMIT && !strchr(in->pending.data, '\n')) {
		console_note(in->con, "a line above 1 MB was dropped");
		text_clear(&in->pending);
	}
	take_lines(in);
	if (in->con->n_jobs > PIPE_LINES_AHEAD)
		stop_watching(in); /* input_show() goes on when they are through */
}

/* --- editing --- */

static struct input *input_of(EditLine *el)
{
	void *in = NULL;

	el_get(el, EL_CLIENTDATA, &in);
	return in;
}

static char *prompt_of(EditLine *el)
{
	return input_of(el)->prompt;
}

static unsigned char on_complete(EditLine *el, int ch)
{
	const LineInfo *line = el_line(el);
	struct text insert = TEXT_INIT, list = TEXT_INIT;
	struct input *in = input_of(el);
	unsigned char action = CC_ERROR;

	(void)ch;
	complete_line(in->con, line->buffer, (size_t)(line->cursor - line->buffer), &insert, &list);
	if (insert.size && el_insertstr(el, text_string(&insert)) == 0)
		action = CC_REFRESH;
	if (list.size) {
		fputs("\n", in->con->out.stream);
		fputs(text_string(&list), in->con->out.stream);
		fflush(in->con->out.stream);
		action = CC_REDISPLAY;
	}
	text_free(&insert);
	text_free(&list);
	return action;
}

/* Ctrl-D: the end on an empty line, else the character under the cursor goes. */
static unsigned char on_end_key(EditLine *el, int ch)
{
	const LineInfo *line = el_line(el);

	(void)ch;
	if (line->lastchar == line->buffer) {
		input_of(el)->wants_end = true;
		return CC_NORM;
	}
	if (line->cursor == line->lastchar)
		return CC_ERROR;
	el_cursor(el, 1);
	el_deletestr(el, 1);
	return CC_REFRESH;
}

static void open_history(struct input *in)
{
	HistEvent ev;
	char folder[400];

	in->history = history_init();
	if (!in->history)
		return;
	history(in->history, &ev, H_SETSIZE, HISTORY_LINES);
	history(in->history, &ev, H_SETUNIQUE, 1);
	el_set(in->el, EL_HIST, history, in->history);
	if (!console_folder("XDG_STATE_HOME", ".local/state", folder, sizeof(folder)))
		return;
	snprintf(in->history_path, sizeof(in->history_path), "%s/history", folder);
	history(in->history, &ev, H_LOAD, in->history_path);
}

static void save_history(struct input *in)
{
	mode_t mask = umask(077);
	HistEvent ev;

	if (in->history && in->history_path[0]) {
		history(in->history, &ev, H_SAVE, in->history_path);
		chmod(in->history_path, 0600);
	}
	umask(mask);
}

static void open_editor(struct input *in)
{
	in->el = el_init("kd", stdin, stdout, stderr);
	if (!in->el)
		return; /* plain reading serves */
	el_set(in->el, EL_CLIENTDATA, in);
	el_set(in->el, EL_PROMPT, prompt_of);
	el_set(in->el, EL_EDITOR, "emacs");
	el_set(in->el, EL_SIGNAL, 0);
	el_set(in->el, EL_ADDFN, "kd-complete", "Complete a command or a name", on_complete);
	el_set(in->el, EL_BIND, "^I", "kd-complete", NULL);
	el_set(in->el, EL_ADDFN, "kd-end", "End of input, or delete", on_end_key);
	el_set(in->el, EL_BIND, "^D", "kd-end", NULL);
	el_set(in->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	open_history(in);
	el_source(in->el, NULL);
}

static void leave_editing(struct input *in)
{
	el_set(in->el, EL_UNBUFFERED, 0);
	in->is_editing = false;
}

/* One keystroke; a finished line becomes a job. Unfinished and empty lines look alike: NULL. */
static void read_key(struct input *in)
{
	int n = 0;
	const char *line = el_gets(in->el, &n);

	if (in->wants_end) {
		leave_editing(in);
		fputc('\n', in->con->out.stream);
		push_end(in);
		return;
	}
	if (!line || n <= 0 || line[n - 1] != '\n')
		return;
	char *copy = app_strndup(line, (size_t)n - 1);
	leave_editing(in);
	in->con->out.is_mid_line = false;
	push_line(in, copy);
	free(copy);
}

static void on_readable(void *context, int fd, short events)
{
	struct input *in = context;

	(void)fd;
	if (in->is_editing && events & (POLLHUP | POLLERR)) {
		leave_editing(in);
		push_end(in);
	} else if (in->is_editing)
		read_key(in);
	else
		read_plain(in);
}

static void watch_input(struct input *in)
{
	if (!in->is_watched && !in->has_ended)
		in->is_watched = watch_add(in->con->watch, STDIN_FILENO, POLLIN, on_readable, in);
}

/* --- the public side --- */

struct input *input_create(struct console *c)
{
	struct input *in = app_alloc(sizeof(*in));

	in->con = c;
	in->is_terminal = isatty(STDIN_FILENO) && c->out.is_terminal;
	if (in->is_terminal && !c->options->is_json)
		open_editor(in);
	watch_input(in);
	return in;
}

void input_destroy(struct input *in)
{
	if (!in)
		return;
	input_hide(in);
	if (in->el) {
		save_history(in);
		el_end(in->el);
	}
	if (in->history)
		history_end(in->history);
	stop_watching(in);
	text_free(&in->pending);
	free(in->draft);
	free(in);
}

bool input_is_terminal(const struct input *in)
{
	return in && in->is_terminal;
}

/* The prompt of DbgPrompt is the target's own text: its answer is read plainly. */
void input_show(struct input *in)
{
	struct console *c = in->con;

	if (c->n_jobs <= PIPE_LINES_AHEAD || c->is_prompt_open)
		watch_input(in);
	if (!in->el || in->is_editing || in->has_ended || !c->is_stopped || c->is_prompt_open)
		return;
	out_transient(&c->out, NULL);
	out_fresh_line(&c->out);
	out_flush(&c->out);
	console_prompt_text(c, in->prompt, sizeof(in->prompt));
	el_set(in->el, EL_UNBUFFERED, 1);
	in->is_editing = true;
	if (in->draft) {
		el_insertstr(in->el, in->draft);
		free(in->draft);
		in->draft = NULL;
		el_set(in->el, EL_REFRESH);
	}
}

void input_hide(struct input *in)
{
	const LineInfo *line;

	if (!in || !in->is_editing)
		return;
	line = el_line(in->el);
	free(in->draft);
	in->draft = line->lastchar > line->buffer
			    ? app_strndup(line->buffer, (size_t)(line->lastchar - line->buffer))
			    : NULL;
	leave_editing(in);
	fputs("\r\033[K", in->con->out.stream);
	fflush(in->con->out.stream);
	in->con->out.is_mid_line = false;
}

void input_drop_line(struct input *in)
{
	if (!in->is_editing)
		return;
	leave_editing(in);
	fputs("^C\n", in->con->out.stream);
	in->con->out.is_mid_line = false;
}
