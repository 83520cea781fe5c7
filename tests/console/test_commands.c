/* SPDX-License-Identifier: MIT */
/* The table of commands: that it is whole, and what a line finds in it. argv[1]: docs/schema. */
#include "tests/console/console_check.h"

#include <stdio.h>
#include <unistd.h>

#include "apps/kd/command.h"
#include "apps/kd/console.h"
#include "apps/kd/serve.h"
#include "apps/kd/split.h"

static const char *schema_folder;

static void check_command(const struct command *c)
{
	char name[40], path[512];
	struct command_match m;

	assert_true(command_name(c, 0, name, sizeof(name)));
	if (!c->syntax[0] || !c->help[0] || !c->example[0])
		fail_msg("%s: syntax, help or example is missing", name);
	if (c->help[strcspn(c->help, "\n") - 1] == '.')
		fail_msg("%s: the sentence of the help ends in a dot", name);
	for (unsigned i = 0; command_name(c, i, name, sizeof(name)); i++)
		if (command_find(name) != c)
			fail_msg("%s: the name stands for another command too", name);
	if (c->schema) {
		snprintf(path, sizeof(path), "%s/%s.schema.json", schema_folder, c->schema);
		if (access(path, R_OK) != 0)
			fail_msg("%s: no %s", name, path);
	}
	/* The example begins with, or has in a block, this command. */
	command_lookup(c->example, &m);
	if (!m.command)
		fail_msg("%s: the example is no command: %s", name, c->example);
}

static void test_table(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t f = 0; command_families[f]; f++)
		for (size_t i = 0; i < command_families[f]->n; i++, n++)
			check_command(&command_families[f]->commands[i]);
	assert_true(n > 100);
}

static void test_lookup(void **state)
{
	static const struct {
		const char *text, *name, *args;
		int processor;
	} rows[] = {
		{ "k", "k", "", -1 },
		{ "kbn 5", "k", "bn 5", -1 },
		{ "k5", "k", "5", -1 },
		{ "2k", "k", "", 2 },
		{ "kill", NULL, NULL, -1 },
		{ "lmvm nt", "lm", "vm nt", -1 },
		{ "lm1m", "lm", "1m", -1 },
		{ "bp3 foo", "bp", "3 foo", -1 },
		{ "bpx", NULL, NULL, -1 },
		{ "rF", "r", "F", -1 },
		{ "r.", "r", ".", -1 },
		{ "dd/c4 1", "dd", "/c4 1", -1 },
		{ "dD 1", "dD", " 1", -1 },
		{ "dS 1", "dS", " 1", -1 },
		{ "? 1", "?", " 1", -1 },
		{ "?1+2", "?", "1+2", -1 },
		{ "??x", NULL, NULL, -1 },
		{ "!process 0 0", "!process", " 0 0", -1 },
		{ ".sympath+ x", ".sympath", "+ x", -1 },
		{ ".if(1){}", ".if", "(1){}", -1 },
		{ "$<f", "$< $><", "f", -1 },
		{ "$$>a<f x", "$$>a<", "f x", -1 },
		{ "$$ note", "$$", " note", -1 },
		{ "$$<f", "$$< $$><", "f", -1 },
		{ "* note", "*", " note", -1 },
		{ "~1s", "~", "1s", -1 },
		{ "g=1234", "g", "=1234", -1 },
		{ "pr", "p", "r", -1 },
		{ "qd", "q qq qd", "", -1 },
		{ "s-d 1", "s", "-d 1", -1 },
		{ "@@", NULL, NULL, -1 },
		{ "foo bar", NULL, NULL, -1 },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct command_match m;

		command_lookup(rows[i].text, &m);
		if (!rows[i].name) {
			if (m.command)
				fail_msg("'%s' found %s", rows[i].text, m.command->names);
			assert_true(m.name[0]);
			continue;
		}
		if (!m.command || strcmp(m.command->names, rows[i].name) ||
		    strcmp(m.args, rows[i].args) || m.processor != rows[i].processor)
			fail_msg("'%s': %s '%s'", rows[i].text,
				 m.command ? m.command->names : "nothing", m.args);
	}
}

static void test_extents(void **state)
{
	static const struct {
		const char *text, *rest;
	} rows[] = {
		{ "k; lm", "; lm" },
		{ "as x y; lm", "" },
		{ "aS x y; lm", "; lm" },
		{ "* a; b\nlm", "\nlm" },
		{ "$$ a; lm", "; lm" },
		{ "j (1) 'a; b' ; 'c; d' ; lm", " ; lm" },
		{ "j 1 a ; b ; lm", "; lm" },
		{ ".if (1) { a; b } ; lm", " ; lm" },
		{ ".if (1) { a } .elsif (2) { b } .else { c; d }; lm", "; lm" },
		{ ".if (1) { a }\n.else\n{ b }; lm", "; lm" },
		{ ".for (r $t0=0; @$t0<3; r $t0=1) { a; b }; lm", "; lm" },
		{ ".while (1) { a; b } lm", " lm" },
		{ ".do { a; b } (1); lm", "; lm" },
		{ ".foreach /pS 1 (x {lm; k}) { a; b }; lm", "; lm" },
		{ ".block { a; b }; lm", "; lm" },
		{ ".if (1) { never closed; lm", "" },
		{ ".while (1", "" },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct command_match m;
		const char *end;

		command_lookup(rows[i].text, &m);
		assert_non_null(m.command);
		end = command_args_end(m.command, m.args);
		if (strcmp(end, rows[i].rest))
			fail_msg("'%s': '%s'", rows[i].text, end);
	}
}

static void test_anytime(void **state)
{
	(void)state;
	assert_true(console_runs_anytime("q"));
	assert_true(console_runs_anytime(".status; .help; * k"));
	assert_false(console_runs_anytime(".status; k"));
	assert_false(console_runs_anytime("g"));
}

static void test_names(void **state)
{
	char name[64];

	(void)state;
	assert_true(server_name_is_good("win-10_x.64"));
	assert_false(server_name_is_good(""));
	assert_false(server_name_is_good("../x"));
	assert_false(server_name_is_good(".hidden"));
	assert_false(server_name_is_good("a b"));
	server_name_from("unix:/tmp/win10.sock", name, sizeof(name));
	assert_string_equal(name, "unix-tmp-win10.sock");
	server_name_from("net:key=secret.1.2.3,port=50000", name, sizeof(name));
	assert_string_equal(name, "net-50000");
	server_name_from("NET:port=5secret", name, sizeof(name));
	assert_string_equal(name, "net-5");
	server_name_from("///", name, sizeof(name));
	assert_string_equal(name, "session");
	server_name_from("com:pipe,port=/a/very/long/path/that/never/seems/to/end/win.sock", name,
			 sizeof(name));
	assert_true(server_name_is_good(name));
	assert_non_null(strstr(name, "win.sock"));
}

/* Text of the target is never valid UTF-8 by itself. */
static void test_data_text(void **state)
{
	json_t *v = data_text("a\xff\xc3\xa9\xed\xa0\x80z\xe2\x82", 10);

	(void)state;
	assert_non_null(v);
	assert_non_null(strstr(json_string_value(v), "a\xef\xbf\xbd\xc3\xa9"));
	json_decref(v);
	v = data_text("a\0b", 3);
	assert_int_equal(json_string_length(v), 3);
	json_decref(v);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),   cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_extents), cmocka_unit_test(test_anytime),
		cmocka_unit_test(test_names),   cmocka_unit_test(test_data_text),
	};

	schema_folder = argc > 1 ? argv[1] : "docs/schema";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
