/* SPDX-License-Identifier: MIT */
/*
 * A table of machines, a pane of what happened, keys for the verbs. Looking around happens in a
 * thread, so that keys are answered at once; everything that ncurses does happens in the first one.
 */
#include "apps/kdmon/screen.h"

#include <curses.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/kd/text.h"
#include "apps/kdmon/changes.h"
#include "apps/kdmon/client.h"
#include "apps/kdmon/show.h"
#include "apps/kdmon/verbs.h"

enum {
	TICK_MS = 200,
	LOOK_MS = 1000,
	LINES_KEPT = 200,
	LINE_SIZE = 200,
	PANE = 8,
	ANSWER_MAX = 200
};

struct screen {
	const struct settings *settings;
	json_t *list;            /* what is shown; NULL: not looked yet */
	char selected[512];      /* id */
	size_t index, first;     /* of the selected row; of the first one that is shown */
	char (*line)[LINE_SIZE]; /* LINES_KEPT of the pane, a ring */
	size_t n_lines;
	struct monitor_client *monitor; /* NULL: none runs */
	bool is_over, shows_details;

	pthread_t looker;
	pthread_mutex_t lock;
	bool is_looking;
	json_t *found; /* by the thread, for us */
	long long next_look;
};

static volatile sig_atomic_t is_signalled;

static void on_signal(int number)
{
	(void)number;
	is_signalled = 1;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- the pane --- */

static void say(struct screen *s, const char *text)
{
	char stamp[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(s->line[s->n_lines++ % LINES_KEPT], LINE_SIZE, "%s  %.*s", stamp,
		 LINE_SIZE - (int)sizeof(stamp) - 2, text);
}

static void say_event(void *context, json_t *event)
{
	char text[LINE_SIZE];

	snprintf(text, sizeof(text), "%s: %s %s", show_text(event, "vm"), show_text(event, "event"),
		 show_text(event, "text"));
	say(context, text);
}

/* --- looking --- */

static void *look(void *context)
{
	struct screen *s = context;
	json_t *found = verb_list(s->settings);

	pthread_mutex_lock(&s->lock);
	s->found = found;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void start_look(struct screen *s)
{
	if (s->is_looking || now_ms() < s->next_look)
		return;
	s->next_look = now_ms() + LOOK_MS;
	s->is_looking = pthread_create(&s->looker, NULL, look, s) == 0;
}

static size_t n_rows(const struct screen *s)
{
	return json_array_size(json_object_get(s->list, "vms"));
}

static json_t *row_at(const struct screen *s, size_t i)
{
	return json_array_get(json_object_get(s->list, "vms"), i);
}

/* The same machine stays selected, wherever it is now. */
static void find_selected(struct screen *s)
{
	for (size_t i = 0; i < n_rows(s); i++)
		if (strcmp(show_text(row_at(s, i), "id"), s->selected) == 0)
			s->index = i;
	if (s->index >= n_rows(s))
		s->index = n_rows(s) ? n_rows(s) - 1 : 0;
	if (n_rows(s))
		snprintf(s->selected, sizeof(s->selected), "%s",
			 show_text(row_at(s, s->index), "id"));
}

static bool take_look(struct screen *s)
{
	json_t *found;

	pthread_mutex_lock(&s->lock);
	found = s->found;
	s->found = NULL;
	pthread_mutex_unlock(&s->lock);
	if (!found)
		return false;
	pthread_join(s->looker, NULL);
	s->is_looking = false;
	if (!json_is_true(json_object_get(found, "ok"))) {
		say(s, show_text(found, "error"));
		json_decref(found);
		return true;
	}
	/* The monitor tells changes itself. */
	if (s->list && !s->monitor)
		changes_between(s->list, found, say_event, s);
	json_decref(s->list);
	s->list = found;
	find_selected(s);
	return true;
}

static void leave_monitor(struct screen *s)
{
	monitor_close(s->monitor);
	s->monitor = NULL;
}

static void join_monitor(struct screen *s)
{
	json_t *answer;

	if (s->monitor)
		return;
	s->monitor = monitor_connect();
	if (!s->monitor)
		return;
	answer = monitor_ask(s->monitor, "subscribe", json_object(), 1000);
	if (!json_is_true(json_object_get(answer, "ok")))
		leave_monitor(s);
	json_decref(answer);
}

static bool take_events(struct screen *s)
{
	bool is_gone = false, any = false;
	json_t *event;

	while (s->monitor && (event = monitor_next(s->monitor, 0, &is_gone))) {
		say_event(s, event);
		json_decref(event);
		any = true;
	}
	if (is_gone) {
		leave_monitor(s);
		say(s, "the monitor has ended");
	}
	return any || is_gone;
}

/* --- drawing --- */

/* The whole width: what stood there goes. */
static void put_line(int y, int attributes, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attron(attributes);
	move(y, 0);
	clrtoeol();
	addnstr(text, COLS - 1);
	if (attributes)
		for (int x = getcurx(stdscr); x < COLS - 1; x++)
			addch(' ');
	attroff(attributes);
}

/* show_table()'s and show_details()'s text, line by line. */
static char *text_of(void (*show)(FILE *to, json_t *value), json_t *value)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return app_strdup("");
	show(f, value);
	fclose(f);
	return text;
}

static int table_height(void)
{
	return APP_MAX(LINES - PANE - 4, 1);
}

static void draw_table(struct screen *s)
{
	char *text = text_of(show_table, s->list), *rest = text, *line;
	size_t height = (size_t)table_height(), number = 0;

	if (s->index < s->first)
		s->first = s->index;
	if (s->index >= s->first + height)
		s->first = s->index - height + 1;
	line = strsep(&rest, "\n");
	put_line(1, A_BOLD, line ? line : "");
	for (; (line = strsep(&rest, "\n")); number++)
		if (number >= s->first && number < s->first + height)
			put_line(2 + (int)(number - s->first),
				 number == s->index && n_rows(s) ? A_REVERSE : 0, line);
	for (; number < s->first + height; number++)
		put_line(2 + (int)(number - s->first), 0, "");
	free(text);
}

static void draw_details(struct screen *s)
{
	char *text = text_of(show_details, row_at(s, s->index)), *rest = text, *line;
	int y = 1;

	while (y < 2 + table_height() && (line = strsep(&rest, "\n")))
		put_line(y++, 0, line);
	while (y < 2 + table_height())
		put_line(y++, 0, "");
	free(text);
}

static void draw_pane(struct screen *s)
{
	int top = 2 + table_height();
	size_t n = APP_MIN(s->n_lines, (size_t)PANE);

	put_line(top, A_DIM, "----------------------------------------");
	for (int i = 0; i < PANE; i++)
		put_line(top + 1 + i, 0,
			 (size_t)i < n ? s->line[(s->n_lines - n + (size_t)i) % LINES_KEPT] : "");
}

static void draw(struct screen *s)
{
	char title[120];

	snprintf(title, sizeof(title), " kdmon: %zu machines%s", n_rows(s),
		 s->monitor ? "" : "   (no monitor runs: no proxies, logs, traces)");
	put_line(0, A_REVERSE, title);
	if (!s->list)
		put_line(2, 0, "Looking around ...");
	else if (s->shows_details && n_rows(s))
		draw_details(s);
	else
		draw_table(s);
	draw_pane(s);
	put_line(LINES - 1, A_REVERSE,
		 " Enter details  a attach  b break  x proxy  l log  t trace  p pause  r resume  "
		 "R reset  s snapshot  v revert  q quit");
	refresh();
}

/* --- asking --- */

/* A line of text at the bottom; false: given up (Esc, empty). */
static bool ask(const char *question, char *answer, size_t size)
{
	size_t n = 0;
	int key;

	answer[0] = '\0';
	for (;;) {
		put_line(LINES - 1, A_REVERSE, question);
		mvaddnstr(LINES - 1, (int)strlen(question) + 1, answer, COLS - 2);
		refresh();
		key = getch();
		if (key == ERR && !is_signalled)
			continue;
		if (key == 27 || key == ERR)
			return false;
		if (key == '\n' || key == KEY_ENTER)
			return n > 0;
		if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n)
			answer[--n] = '\0';
		else if (key >= ' ' && key < 127 && n + 1 < size) {
			answer[n++] = (char)key;
			answer[n] = '\0';
		}
	}
}

/* One key: y. */
static bool confirm(const char *question)
{
	int key = ERR;

	put_line(LINES - 1, A_REVERSE, question);
	refresh();
	while (key == ERR && !is_signalled)
		key = getch();
	return key == 'y' || key == 'Y';
}

/* --- keys --- */

static struct verb_call call_on(const struct screen *s, json_t *vm)
{
	struct verb_call call = { .settings = s->settings, .n_words = 1 };

	call.word[0] = show_text(vm, "id");
	return call;
}

static void report(struct screen *s, const char *verb, json_t *vm, json_t *answer)
{
	const char *path = json_string_value(json_object_get(answer, "path"));
	const char *what = path ? path : "";
	char text[LINE_SIZE];

	if (path && !*path)
		what = "(nothing was logged, and no file is left)";
	else if (json_is_true(json_object_get(json_object_get(answer, "proxy"), "is_held")))
		what = "(a attaches, r lets it go on)";
	if (json_is_true(json_object_get(answer, "ok")))
		snprintf(text, sizeof(text), "%s %s: done %s", verb, show_text(vm, "name"), what);
	else
		snprintf(text, sizeof(text), "%s %s: %s", verb, show_text(vm, "name"),
			 show_text(answer, "error"));
	say(s, text);
	json_decref(answer);
	s->next_look = 0;
}

static void run_call(struct screen *s, json_t *vm, const char *verb, struct verb_call *call)
{
	report(s, verb, vm, verb_find(verb)->run(call));
}

/* The debugger has the terminal until it ends. */
static void key_attach(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	json_t *answer;

	def_prog_mode();
	endwin();
	answer = verb_find("attach")->run(&call);
	reset_prog_mode();
	clearok(stdscr, TRUE);
	report(s, "attach", vm, answer);
}

static void key_with_name(struct screen *s, json_t *vm, const char *verb, const char *question)
{
	struct verb_call call = call_on(s, vm);
	char name[ANSWER_MAX];

	if (!ask(question, name, sizeof(name)))
		return;
	call.word[call.n_words++] = name;
	run_call(s, vm, verb, &call);
}

static void key_snapshot(struct screen *s, json_t *vm)
{
	key_with_name(s, vm, "snapshot", "Name of the new snapshot:");
}

/* In the pane, the last ones. False: there is none, or it was said why they are not known. */
static bool say_snapshots(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	json_t *answer = verb_find("snapshots")->run(&call), *names, *name;
	char text[LINE_SIZE];
	size_t i, n;

	if (!json_is_true(json_object_get(answer, "ok"))) {
		report(s, "snapshots", vm, answer);
		return false;
	}
	names = json_object_get(answer, "snapshots");
	n = json_array_size(names);
	snprintf(text, sizeof(text), "%s: %zu snapshots%s", show_text(vm, "name"), n,
		 n > PANE - 1 ? "; the last ones:" : "");
	say(s, text);
	json_array_foreach(names, i, name) if (i + PANE > n) say(s, json_string_value(name));
	json_decref(answer);
	return n > 0;
}

static void key_revert(struct screen *s, json_t *vm)
{
	if (!say_snapshots(s, vm))
		return;
	draw(s);
	key_with_name(s, vm, "revert", "Snapshot to go back to:");
}

/* Its key is beside that of `resume`. */
static void key_reset(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	char question[LINE_SIZE];

	snprintf(question, sizeof(question), "Reset %.100s? What it has not saved is lost. (y/n)",
		 show_text(vm, "name"));
	if (confirm(question))
		run_call(s, vm, "reset", &call);
}

/* As it is now: what is on the screen may be from before the last key. NULL: there is none. */
static json_t *proxy_now(struct screen *s, json_t *vm)
{
	json_t *seen = verb_look(s->settings, show_text(vm, "id"));
	json_t *proxy = json_incref(json_object_get(json_object_get(seen, "vm"), "proxy"));

	json_decref(seen);
	if (json_is_object(proxy))
		return proxy;
	json_decref(proxy);
	return NULL;
}

/* Off when it is on. */
static void key_proxy(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	json_t *proxy = proxy_now(s, vm);

	if (proxy)
		call.word[call.n_words++] = "off";
	run_call(s, vm, "proxy", &call);
	json_decref(proxy);
}

static void key_log(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	json_t *proxy = proxy_now(s, vm);

	call.word[call.n_words++] = *show_text(proxy, "log") ? "off" : "on";
	run_call(s, vm, "log", &call);
	json_decref(proxy);
}

static void key_trace(struct screen *s, json_t *vm)
{
	struct verb_call call = call_on(s, vm);
	char prefix[ANSWER_MAX], path[ANSWER_MAX];

	if (!ask("Lines that begin with:", prefix, sizeof(prefix)) ||
	    !ask("File (or off):", path, sizeof(path)))
		return;
	call.word[call.n_words++] = prefix;
	call.word[call.n_words++] = path;
	run_call(s, vm, "trace", &call);
}

static const struct {
	int key;
	const char *verb; /* NULL: `run` */
	void (*run)(struct screen *s, json_t *vm);
} keys[] = {
	{ 'a', NULL, key_attach }, { 'b', "break", NULL },   { 'p', "pause", NULL },
	{ 'r', "resume", NULL },   { 'R', NULL, key_reset }, { 's', NULL, key_snapshot },
	{ 'v', NULL, key_revert }, { 'x', NULL, key_proxy }, { 'l', NULL, key_log },
	{ 't', NULL, key_trace },
};

static void key_for_vm(struct screen *s, int key)
{
	json_t *vm = json_incref(row_at(s, s->index));
	struct verb_call call;

	for (size_t i = 0; vm && i < APP_ARRAY_LEN(keys); i++) {
		if (keys[i].key != key)
			continue;
		call = call_on(s, vm);
		if (keys[i].run)
			keys[i].run(s, vm);
		else
			run_call(s, vm, keys[i].verb, &call);
	}
	json_decref(vm);
}

static void move_to(struct screen *s, long to)
{
	long last = (long)n_rows(s) - 1;

	s->index = (size_t)APP_MAX(0, APP_MIN(to, last));
	if (n_rows(s))
		snprintf(s->selected, sizeof(s->selected), "%s",
			 show_text(row_at(s, s->index), "id"));
}

static void on_key(struct screen *s, int key)
{
	switch (key) {
	case 'q': s->is_over = true; break;
	case 27: s->shows_details = false; break;
	case '\n':
	case KEY_ENTER: s->shows_details = !s->shows_details; break;
	case KEY_UP:
	case 'k': move_to(s, (long)s->index - 1); break;
	case KEY_DOWN:
	case 'j': move_to(s, (long)s->index + 1); break;
	case KEY_PPAGE: move_to(s, (long)s->index - table_height()); break;
	case KEY_NPAGE: move_to(s, (long)s->index + table_height()); break;
	case KEY_HOME: move_to(s, 0); break;
	case KEY_END: move_to(s, (long)n_rows(s)); break;
	case 'L' & 0x1F:
	case KEY_RESIZE: clearok(stdscr, TRUE); break;
	default: key_for_vm(s, key); break;
	}
}

/* --- all --- */

static bool open_screen(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	setlocale(LC_ALL, "");
	if (!newterm(NULL, stdout, stdin)) {
		fprintf(stderr, "kdmon: the terminal '%s' is not known: set $TERM\n",
			getenv("TERM") ? getenv("TERM") : "");
		return false;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	set_escdelay(25);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	timeout(TICK_MS);
	return true;
}

static void run(struct screen *s)
{
	while (!s->is_over && !is_signalled) {
		int key;

		join_monitor(s);
		start_look(s);
		take_look(s);
		take_events(s);
		draw(s);
		key = getch();
		if (key != ERR)
			on_key(s, key);
	}
}

int screen_main(const struct settings *settings)
{
	struct screen *s;

	if (!open_screen())
		return 1;
	s = app_alloc(sizeof(*s));
	*s = (struct screen){ .settings = settings,
			      .line = app_alloc(LINES_KEPT * sizeof(*s->line)) };
	pthread_mutex_init(&s->lock, NULL);
	run(s);
	endwin();
	if (s->is_looking)
		pthread_join(s->looker, NULL);
	monitor_close(s->monitor);
	json_decref(s->found);
	json_decref(s->list);
	free(s->line);
	free(s);
	return 0;
}
