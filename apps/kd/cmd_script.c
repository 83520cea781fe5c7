/* SPDX-License-Identifier: MIT */
/* .echo .printf j .if .while .do .for .foreach .block .break .continue, script files, comments */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/print_format.h"
#include "apps/kd/split.h"

enum { SCRIPT_MAX = 4 << 20, STRING_MAX = 4096 };

/* --- .echo, .printf --- */

static enum kd_status run_echo(struct call *call)
{
	char *text = args_rest(&call->args);
	size_t n = strlen(text);

	/* Quotes protect a `;` and are not shown. */
	if (n >= 2 && text[0] == '"' && text[n - 1] == '"')
		out_printf(call->out, "%.*s\n", (int)(n - 2), text + 1);
	else
		out_printf(call->out, "%s\n", text);
	free(text);
	return KD_OK;
}

static enum kd_status next_value(void *context, uint64_t *ret)
{
	struct call *call = context;

	args_take_char(&call->args, ',');
	return args_value(&call->args, ret);
}

static char *next_quoted(void *context)
{
	struct call *call = context;

	args_take_char(&call->args, ',');
	return args_quoted(&call->args);
}

static void target_string(void *context, uint64_t address, bool wide, bool counted, struct text *t)
{
	struct call *call = context;
	unsigned p = call->con->pointer_size;
	uint64_t length = STRING_MAX;
	char *string = app_alloc(STRING_MAX * 3 + 1);

	if (counted &&
	    (kd_memory_read_uint(call->session, address, 2, &length, NULL) != KD_OK ||
	     kd_memory_read_pointer(call->session, address + p, &address, NULL) != KD_OK))
		text_add(t, "???");
	else if (length == 0)
		;
	else if (kd_memory_read_string(call->session, address, wide,
				       (size_t)APP_MIN(length, (uint64_t)STRING_MAX), string,
				       STRING_MAX * 3 + 1, NULL) != KD_OK)
		text_add(t, "???");
	else
		text_add(t, string);
	free(string);
}

static void target_symbol(void *context, uint64_t address, bool with_line, struct text *t)
{
	struct call *call = context;
	struct source_line line;
	struct symbol_text name = symbol_of(call->con, address);

	text_add(t, name.s[0] ? name.s : addr(call->con, address).s);
	if (with_line && source_of(call->con, address, &line))
		text_printf(t, " [%s @ %u]", line.file, line.line);
}

static enum kd_status run_printf(struct call *call)
{
	struct print_source source = { call,        call->con->pointer_size, next_value,
				       next_quoted, target_string,           target_symbol };
	char *format = args_quoted(&call->args);
	struct text t = TEXT_INIT;
	enum kd_status s;

	if (!format)
		return call_fail(call, KD_E_SYNTAX, ".printf wants a \"format\" in quotes");
	s = print_format(&t, format, &source, call->err);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		out_text(call->out, text_string(&t), t.size);
	text_free(&t);
	free(format);
	return s;
}

/* --- parts of a block command --- */

static enum kd_status take_bracket(struct call *call, char open, char close, struct split_part *ret)
{
	const char *end;

	args_at_end(&call->args);
	end = split_bracket(call->args.at, open, close, ret);
	if (!end)
		return call_fail(call, KD_E_SYNTAX, "a %c ... %c is missing in %s", open, close,
				 call->name);
	call->args.at = end;
	return KD_OK;
}

/* What the target must have stopped for, if an earlier round of a loop let it run. */
static enum kd_status settle(struct call *call)
{
	if (call->con->is_stopped || !call->con->resumed_in_job)
		return KD_OK;
	return console_wait_stop(call->con, call->err);
}

static enum kd_status is_true(struct call *call, const struct split_part *condition, bool *ret)
{
	char *text = app_strndup(condition->start, condition->size);
	uint64_t value = 0;
	enum kd_status s = settle(call);

	if (s == KD_OK)
		s = console_evaluate(call->con, text, NULL, &value, call->err);
	*ret = value != 0;
	free(text);
	return s;
}

static enum kd_status run_part(struct call *call, const struct split_part *part)
{
	return console_run_part(call->con, part->start, part->size);
}

/* After a body: does the loop go on? Takes .break and .continue. */
static bool goes_round(struct call *call, enum kd_status s)
{
	struct console *c = call->con;
	bool breaks = c->breaks_loop;

	c->breaks_loop = c->continues_loop = false;
	return s == KD_OK && !breaks && !console_interrupted(c);
}

static enum kd_status end_of_loop(struct call *call, enum kd_status s)
{
	if (s == KD_OK && console_interrupted(call->con))
		return call_fail(call, KD_E_CANCELLED, "cancelled");
	return s;
}

/* --- j, .if --- */

static const char *extent_j(const char *args)
{
	size_t to_quote = strcspn(args, "';\n");
	struct split_part a, b;

	return split_conditional(args[to_quote] == '\'' ? args + to_quote : args, &a, &b);
}

static enum kd_status run_j(struct call *call)
{
	struct split_part a, b;
	uint64_t value;
	enum kd_status s = args_value(&call->args, &value);

	if (s != KD_OK)
		return s;
	split_conditional(call->args.at, &a, &b);
	return run_part(call, value ? &a : &b);
}

/* (..) {..} [.elsif (..) {..}]... [.else {..}] */
static const char *extent_if(const char *args)
{
	struct split_part part;
	const char *p = split_bracket(split_skip_space(args), '(', ')', &part);

	while (p) {
		const char *next;

		p = split_bracket(split_skip_space(p), '{', '}', &part);
		if (!p)
			break;
		next = split_skip_space(p);
		if (split_is_word(next, ".elsif")) {
			p = split_bracket(split_skip_space(next + 6), '(', ')', &part);
		} else if (split_is_word(next, ".else")) {
			p = split_bracket(split_skip_space(next + 5), '{', '}', &part);
			return p ? p : args + strlen(args);
		} else {
			return p;
		}
	}
	return args + strlen(args);
}

static enum kd_status run_if(struct call *call)
{
	bool is_taken = false, wanted;
	struct split_part condition, body;

	for (;;) {
		enum kd_status s = take_bracket(call, '(', ')', &condition);

		if (s == KD_OK)
			s = take_bracket(call, '{', '}', &body);
		if (s == KD_OK && !is_taken) {
			s = is_true(call, &condition, &wanted);
			if (s == KD_OK && wanted) {
				is_taken = true;
				s = run_part(call, &body);
			}
		}
		if (s != KD_OK)
			return s;
		args_at_end(&call->args);
		if (!split_is_word(call->args.at, ".elsif"))
			break;
		call->args.at += 6;
	}
	if (!split_is_word(call->args.at, ".else"))
		return args_done(&call->args);
	call->args.at += 5;
	enum kd_status s = take_bracket(call, '{', '}', &body);
	if (s == KD_OK)
		s = args_done(&call->args);
	return s == KD_OK && !is_taken ? run_part(call, &body) : s;
}

/* --- loops --- */

/* `before` body: (..) {..}; after it, .do's: {..} (..). */
static const char *extent_brackets(const char *args, const char *opens)
{
	struct split_part part;

	for (; *opens && args; opens++)
		args = split_bracket(split_skip_space(args), *opens, *opens == '(' ? ')' : '}',
				     &part);
	return args;
}

static const char *end_or(const char *end, const char *args)
{
	return end ? end : args + strlen(args);
}

static const char *extent_while(const char *args)
{
	return end_or(extent_brackets(args, "({"), args);
}

static const char *extent_do(const char *args)
{
	return end_or(extent_brackets(args, "{("), args);
}

static const char *extent_block(const char *args)
{
	return end_or(extent_brackets(args, "{"), args);
}

static enum kd_status run_while(struct call *call)
{
	struct split_part condition, body;
	bool goes_on = true;
	enum kd_status s = take_bracket(call, '(', ')', &condition);

	if (s == KD_OK)
		s = take_bracket(call, '{', '}', &body);
	while (s == KD_OK && goes_on) {
		s = is_true(call, &condition, &goes_on);
		if (s != KD_OK || !goes_on)
			break;
		s = run_part(call, &body);
		goes_on = goes_round(call, s);
	}
	return end_of_loop(call, s);
}

static enum kd_status run_do(struct call *call)
{
	struct split_part condition, body;
	bool goes_on = true;
	enum kd_status s = take_bracket(call, '{', '}', &body);

	if (s == KD_OK)
		s = take_bracket(call, '(', ')', &condition);
	while (s == KD_OK && goes_on) {
		s = run_part(call, &body);
		goes_on = goes_round(call, s);
		if (goes_on)
			s = is_true(call, &condition, &goes_on);
	}
	return end_of_loop(call, s);
}

/* The three parts between the brackets of .for, at its `;`. */
static bool split_for(const struct split_part *all, struct split_part parts[3])
{
	const char *p = all->start, *end = all->start + all->size;

	for (int i = 0; i < 3; i++) {
		const char *next = split_command_end(p);

		/* The increment may hold several commands. */
		if (i == 2 || next > end)
			next = end;
		parts[i] = (struct split_part){ p, (size_t)(next - p) };
		if (i < 2 && next >= end)
			return false;
		p = next + 1;
	}
	return true;
}

static enum kd_status run_for(struct call *call)
{
	struct split_part all, body, parts[3];
	bool goes_on = true;
	enum kd_status s = take_bracket(call, '(', ')', &all);

	if (s == KD_OK)
		s = take_bracket(call, '{', '}', &body);
	if (s == KD_OK && !split_for(&all, parts))
		return call_fail(call, KD_E_SYNTAX, ".for (FIRST; CONDITION; NEXT) { COMMANDS }");
	if (s == KD_OK)
		s = run_part(call, &parts[0]);
	while (s == KD_OK && goes_on) {
		s = is_true(call, &parts[1], &goes_on);
		if (s != KD_OK || !goes_on)
			break;
		s = run_part(call, &body);
		goes_on = goes_round(call, s);
		if (goes_on)
			s = run_part(call, &parts[2]);
	}
	return end_of_loop(call, s);
}

static enum kd_status run_block(struct call *call)
{
	struct split_part body;
	enum kd_status s = take_bracket(call, '{', '}', &body);

	return s == KD_OK ? run_part(call, &body) : s;
}

static enum kd_status run_break(struct call *call)
{
	call->con->breaks_loop = true;
	return args_done(&call->args);
}

static enum kd_status run_continue(struct call *call)
{
	call->con->continues_loop = true;
	return args_done(&call->args);
}

/* --- .foreach --- */

struct foreach {
	uint64_t skip_first, skip_each;
	char kind; /* 0: output of commands, 's' a string, 'f' a file */
	char name[64];
	struct split_part source, body;
};

static const char *extent_foreach(const char *args)
{
	const char *bracket = args + strcspn(args, "({");

	return end_or(extent_brackets(bracket, "({"), args);
}

static char *read_file(struct call *call, const char *path)
{
	FILE *f = fopen(path, "re");
	struct text t = TEXT_INIT;
	char bytes[4096];
	size_t n;

	if (!f) {
		call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
		return NULL;
	}
	while (t.size < SCRIPT_MAX && (n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		text_append(&t, bytes, n);
	if (ferror(f) || t.size >= SCRIPT_MAX) {
		call_fail(call, KD_E_IO, "%s: %s", path,
			  ferror(f) ? strerror(errno) : "larger than 4 MB");
		text_free(&t);
		fclose(f);
		return NULL;
	}
	fclose(f);
	return text_take(&t);
}

static enum kd_status take_skips(struct call *call, struct foreach *fe)
{
	char word[8];
	enum kd_status s = KD_OK;

	while (s == KD_OK && args_switch(&call->args, '/', word, sizeof(word))) {
		if (strcmp(word, "pS") == 0)
			s = args_value(&call->args, &fe->skip_first);
		else if (strcmp(word, "ps") == 0)
			s = args_value(&call->args, &fe->skip_each);
		else if (strcmp(word, "s") == 0 || strcmp(word, "f") == 0)
			fe->kind = word[0];
		else
			s = call_fail(call, KD_E_SYNTAX,
				      "/%s is not known; there are /pS /ps /s /f", word);
	}
	return s;
}

/* NAME {COMMANDS} or NAME "STRING", the inside of the brackets. */
static bool take_head(struct foreach *fe, const struct split_part *head)
{
	const char *end = head->start + head->size, *p = split_skip_space(head->start);
	size_t n = strcspn(p, " \t\n{\"");

	if (n == 0 || p + n >= end)
		return false;
	app_copy(fe->name, sizeof(fe->name), p, n);
	p = split_skip_space(p + n);
	if (p >= end)
		return false;
	fe->source = (struct split_part){ p, (size_t)(end - p) };
	return fe->kind ? *p == '"' : split_bracket(p, '{', '}', &fe->source) != NULL;
}

static enum kd_status take_foreach(struct call *call, struct foreach *fe)
{
	struct split_part head;
	enum kd_status s = take_skips(call, fe);

	if (s == KD_OK)
		s = take_bracket(call, '(', ')', &head);
	if (s == KD_OK)
		s = take_bracket(call, '{', '}', &fe->body);
	if (s == KD_OK && !take_head(fe, &head))
		s = call_fail(call, KD_E_SYNTAX,
			      ".foreach (NAME {COMMANDS}) { COMMANDS }, or /s or /f and (NAME "
			      "\"TEXT\")");
	return s;
}

static char *foreach_text(struct call *call, const struct foreach *fe, enum kd_status *s)
{
	char *source = app_strndup(fe->source.start, fe->source.size), *text;
	struct args a = { .at = source };
	struct text captured = TEXT_INIT;

	*s = KD_OK;
	if (!fe->kind) {
		*s = console_run_captured(call->con, source, &captured);
		free(source);
		return text_take(&captured);
	}
	text = args_quoted(&a);
	free(source);
	if (fe->kind == 'f') {
		char *path = text;

		text = read_file(call, path);
		*s = text ? KD_OK : KD_E_IO;
		free(path);
	}
	return text;
}

static enum kd_status run_word(struct call *call, const struct foreach *fe, const char *word)
{
	struct alias_table *one = app_alloc(sizeof(*one));
	char *body = app_strndup(fe->body.start, fe->body.size);
	struct text expanded = TEXT_INIT;
	enum kd_status s;

	alias_set(one, fe->name, word);
	if (alias_expand(one, body, &expanded))
		s = console_run(call->con, text_string(&expanded));
	else
		s = call_fail(call, KD_E_TOO_BIG, "the body is too large with %s replaced",
			      fe->name);
	text_free(&expanded);
	free(body);
	alias_clear(one);
	free(one);
	return s;
}

static enum kd_status run_foreach(struct call *call)
{
	struct foreach fe = { 0 };
	char *text, *rest, *word;
	uint64_t skip;
	enum kd_status s = take_foreach(call, &fe);

	if (s != KD_OK)
		return s;
	text = foreach_text(call, &fe, &s);
	rest = text;
	skip = fe.skip_first;
	while (s == KD_OK && rest && (word = strsep(&rest, " \t\r\n"))) {
		if (!*word)
			continue;
		if (skip) {
			skip--;
			continue;
		}
		s = settle(call);
		if (s == KD_OK)
			s = run_word(call, &fe, word);
		if (!goes_round(call, s))
			break;
		skip = fe.skip_each;
	}
	free(text);
	return end_of_loop(call, s);
}

/* --- script files --- */

static void echo_line(struct call *call, const char *line)
{
	char prompt[32];
	const char *p = split_skip_space(line);

	if (!*p || *p == '*' || strncmp(p, "$$", 2) == 0 || split_is_word(p, ".echo") ||
	    split_is_word(p, ".printf"))
		return;
	console_prompt_text(call->con, prompt, sizeof(prompt));
	out_fresh_line(call->out);
	out_styled(call->out, OUT_PROMPT, "%s", prompt);
	out_printf(call->out, "%s\n", line);
}

static enum kd_status run_lines(struct call *call, char *text)
{
	enum kd_status s = KD_OK;
	char *line;

	while (s == KD_OK && (line = strsep(&text, "\n"))) {
		line[strcspn(line, "\r")] = '\0';
		s = settle(call);
		echo_line(call, line);
		if (s == KD_OK)
			s = console_run(call->con, line);
		if (console_interrupted(call->con))
			break;
	}
	return end_of_loop(call, s);
}

/* ${$arg1}, ${$arg2}... of $$>a<: as aliases while the script runs. */
static void set_script_arguments(struct call *call, bool sets)
{
	char name[16], word[512];

	for (unsigned i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "$arg%u", i);
		if (sets && args_word(&call->args, word, sizeof(word)))
			alias_set(&call->con->aliases, name, word);
		else if (!alias_remove(&call->con->aliases, name))
			break;
	}
}

static enum kd_status run_script(struct call *call)
{
	bool has_arguments = strchr(call->name, 'a') != NULL;
	bool is_one_block = strchr(call->name, '>') != NULL;
	char *path = has_arguments ? args_string(&call->args) : args_rest(&call->args), *text;
	enum kd_status s;

	if (!path || !*path) {
		free(path);
		return call_fail(call, KD_E_SYNTAX, "which file? %sscript.kd", call->name);
	}
	text = read_file(call, path);
	free(path);
	if (!text)
		return call->err->status;
	if (has_arguments)
		set_script_arguments(call, true);
	s = is_one_block ? console_run(call->con, text) : run_lines(call, text);
	if (has_arguments)
		set_script_arguments(call, false);
	free(text);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ ".echo", ".echo [TEXT|\"TEXT\"]", "Print a text; quotes protect a `;`", ".echo here we are",
	  NULL, 0, WORDS_NONE, run_echo, NULL, NULL },
	{ ".printf", ".printf \"FORMAT\"[, VALUE ...]",
	  "Print values\n"
	  "%d %u %x %o %c (32 bits; %I64d... 64), %p pointer, %N pointer without a backtick, %ma %mu "
	  "string of the target (1-byte, UTF-16), %msa %msu STRING, UNICODE_STRING, %y symbol, %ly with its "
	  "line, %s \"text\". Escapes: \\n \\t \\\" \\\\.",
	  ".printf \"%y was called with %p\\n\", @rip, @rcx", NULL, 0, WORDS_SYMBOLS, run_printf, NULL, NULL },
	{ "j", "j EXPRESSION ['COMMANDS'] ; ['COMMANDS']",
	  "Run the first commands if the expression is not zero, else the second", "j (@rcx == 0) 'k' ; 'gc'",
	  NULL, 0, WORDS_SYMBOLS, run_j, NULL, extent_j },
	{ ".if", ".if (CONDITION) { COMMANDS } [.elsif (CONDITION) { COMMANDS }] [.else { COMMANDS }]",
	  "Run commands on a condition", ".if (@rcx == 0) { k } .else { gc }",
	  NULL, 0, WORDS_SYMBOLS, run_if, NULL, extent_if },
	{ ".while", ".while (CONDITION) { COMMANDS }", "Run commands while a condition holds",
	  ".while (@rip != nt!KeBugCheckEx) { t }", NULL, 0, WORDS_SYMBOLS, run_while, NULL, extent_while },
	{ ".do", ".do { COMMANDS } (CONDITION)", "Run commands, again while a condition holds",
	  ".do { p } (@rax == 0)", NULL, 0, WORDS_SYMBOLS, run_do, NULL, extent_do },
	{ ".for", ".for (FIRST; CONDITION; NEXT) { COMMANDS }", "Count",
	  ".for (r $t0=0; @$t0<4; r $t0=@$t0+1) { dd @rsp+@$t0*4 L1 }",
	  NULL, 0, WORDS_SYMBOLS, run_for, NULL, extent_while },
	{ ".foreach", ".foreach [/pS FIRST] [/ps EACH] (NAME {COMMANDS}) { COMMANDS }\n"
	  ".foreach [/s|/f] (NAME \"TEXT|FILE\") { COMMANDS }",
	  "Run commands for each word of an output, a text or a file\n"
	  "NAME stands for the word, alone or as ${NAME}. /pS, /ps: words to skip first, after each.",
	  ".foreach (m {lm1m}) { .echo ${m}; lmvm m }", NULL, 0, WORDS_NONE, run_foreach, NULL,
	  extent_foreach },
	{ ".block", ".block { COMMANDS }", "Run commands; aliases set before on the line are replaced in it",
	  ".block { .echo ${name} }", NULL, 0, WORDS_NONE, run_block, NULL, extent_block },
	{ ".break", ".break", "Leave the loop", ".while (1) { t; .if (@rax == 0) { .break } }",
	  NULL, 0, WORDS_NONE, run_break, NULL, NULL },
	{ ".continue", ".continue", "Go on with the loop's next round", ".continue",
	  NULL, 0, WORDS_NONE, run_continue, NULL, NULL },
	{ "$< $><", "$<FILE\n$><FILE", "Run a file of commands; `>`: as one block, so that { } may span lines",
	  "$<tour.kd", NULL, 0, WORDS_FILES, run_script, NULL, split_line_end },
	{ "$$< $$><", "$$<FILE\n$$><FILE", "As $< and $><; commands may follow after a `;`",
	  "$$><check.kd; k", NULL, 0, WORDS_FILES, run_script, NULL, NULL },
	{ "$$>a<", "$$>a<FILE [ARGUMENT ...]", "Run a file with arguments: ${$arg1}, ${$arg2} and so on",
	  "$$>a<show.kd nt!KeBugCheckEx 4", NULL, 0, WORDS_FILES, run_script, NULL, NULL },
	{ "*", "* TEXT", "A comment, to the end of the line", "* nothing happens here",
	  NULL, 0, WORDS_NONE, NULL, NULL, split_line_end },
	{ "$$", "$$ TEXT", "A comment, to the next `;`", "$$ why; k",
	  NULL, 0, WORDS_NONE, NULL, NULL, NULL },
};
/* clang-format on */

FAMILY(family_script, "Scripts");
