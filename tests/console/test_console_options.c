/* SPDX-License-Identifier: MIT */
/* The command line and the configuration file. */
#include "tests/console/console_check.h"

#include <stdio.h>
#include <unistd.h>

#include "apps/kd/config.h"
#include "apps/kd/option.h"

enum { WORDS_MAX = 32 };

static bool parse(struct options *o, const char *line, char *message, size_t size)
{
	static char copy[512];
	char *words[WORDS_MAX], *rest = copy, *word;
	int n = 0;

	snprintf(copy, sizeof(copy), "kd %s", line);
	while ((word = strsep(&rest, " ")))
		if (*word)
			words[n++] = word;
	return options_parse(o, n, words, message, size);
}

static void test_options(void **state)
{
	struct options o;
	char message[200] = "";

	(void)state;
	assert_true(parse(&o,
			  "-k unix:/x -c lm -c k -cf f.kd -y /s -b -d -v --json --timeout 2.5 "
			  "--connect-timeout=0.5 --wait-timeout 3 --read-only --record r.pcapng "
			  "--color=never --keep-going win10",
			  message, sizeof(message)));
	assert_string_equal(o.endpoint, "unix:/x");
	assert_int_equal(o.n_commands, 2);
	assert_string_equal(o.commands[0], "lm");
	assert_string_equal(o.commands[1], "k");
	assert_string_equal(o.script, "f.kd");
	assert_false(o.script_repeats);
	assert_string_equal(o.symbol_path, "/s");
	assert_true(o.initial_break && o.break_on_first_load && o.is_verbose && o.is_json);
	assert_true(o.is_read_only && o.keep_going);
	assert_int_equal(o.timeout_ms, 2500);
	assert_int_equal(o.connect_timeout_ms, 500);
	assert_int_equal(o.wait_timeout_ms, 3000);
	assert_string_equal(o.record, "r.pcapng");
	assert_string_equal(o.color, "never");
	assert_string_equal(o.target, "win10");
	assert_true(parse(&o, "-cfr f.kd", message, sizeof(message)));
	assert_true(o.script_repeats);
	assert_true(parse(&o, "-h --bogus", message, sizeof(message)));
	assert_true(o.help);
}

static void test_option_errors(void **state)
{
	static const struct {
		const char *line, *message;
	} rows[] = {
		{ "--bogus", "no option '--bogus'" },
		{ "-k", "-k wants ENDPOINT after it" },
		{ "--timeout", "wants SECONDS" },
		{ "--timeout x", "not 'x'" },
		{ "--timeout 0", "not '0'" },
		{ "--timeout -1", "not '-1'" },
		{ "--timeout nan", "not 'nan'" },
		{ "--timeout=1e99", "not '1e99'" },
		{ "--color=green", "auto|always|never" },
		{ "--json=yes", "--json takes no value" },
		{ "one two", "one target at a time" },
		{ "--=", "no option" },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct options o;
		char message[200] = "";

		if (parse(&o, rows[i].line, message, sizeof(message)))
			fail_msg("'%s' was taken", rows[i].line);
		if (!strstr(message, rows[i].message))
			fail_msg("'%s': '%s'", rows[i].line, message);
	}
}

/* --- the file --- */

static char file_path[64];

static bool read_config(struct config *c, const char *text, char *message, size_t size)
{
	FILE *f = fopen(file_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return config_read(c, file_path, true, message, size);
}

static void test_config(void **state)
{
	struct config c;
	char message[400];
	const struct config_target *t;

	(void)state;
	assert_true(read_config(&c,
				"# comment\n\n sympath = /a b;c \ncolor=never\r\n; another\n"
				"[target win10]\nendpoint = com:pipe,port=/tmp/w.sock\n"
				"startup = sxe ld:x; g\n[ target  two ]\nendpoint=tcp:h:1\n",
				message, sizeof(message)));
	assert_string_equal(c.symbol_path, "/a b;c");
	assert_string_equal(c.color, "never");
	t = config_target(&c, "win10");
	assert_non_null(t);
	assert_string_equal(t->endpoint, "com:pipe,port=/tmp/w.sock");
	assert_string_equal(t->startup, "sxe ld:x; g");
	assert_null(t->symbol_path);
	assert_non_null(config_target(&c, "two"));
	assert_null(config_target(&c, "three"));
	config_free(&c);
}

static void test_config_errors(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "a = b\n", ":1: no key 'a' here; there are sympath, color, startup" },
		{ "\n\nnonsense\n", ":3: a line is KEY = VALUE" },
		{ "[target]\n", ":1: a heading is [target NAME]" },
		{ "[target x\n", ":1: a heading is [target NAME]" },
		{ "[foo x]\n", ":1: a heading is [target NAME]" },
		{ "[target x] y\n", ":1: a heading is [target NAME]" },
		{ "[target x]\n[target x]\n", ":2: target 'x' is there already" },
		{ "[target x]\ncolor=auto\n", ":2: no key 'color' here; there are endpoint" },
		{ "color = green\n", ":1: color is auto, always or never" },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct config c;
		char message[400] = "";

		if (read_config(&c, rows[i].text, message, sizeof(message)))
			fail_msg("'%s' was taken", rows[i].text);
		if (!strstr(message, rows[i].message) || strncmp(message, file_path, 9))
			fail_msg("'%s': '%s'", rows[i].text, message);
		config_free(&c);
	}
}

static void test_config_limits(void **state)
{
	struct text t = TEXT_INIT;
	struct config c;
	char message[400];

	(void)state;
	text_add(&t, "sympath = ");
	for (int i = 0; i < CONFIG_LINE_MAX; i++)
		text_add(&t, "x");
	text_add(&t, "\n");
	assert_false(read_config(&c, text_string(&t), message, sizeof(message)));
	assert_non_null(strstr(message, ":1: longer than"));
	config_free(&c);
	text_clear(&t);
	for (int i = 0; i <= CONFIG_TARGETS_MAX; i++)
		text_printf(&t, "[target t%d]\n", i);
	assert_false(read_config(&c, text_string(&t), message, sizeof(message)));
	assert_non_null(strstr(message, "more than 128 targets"));
	config_free(&c);
	text_free(&t);
	assert_true(config_read(&c, "/nowhere/config", false, message, sizeof(message)));
	config_free(&c);
	assert_false(config_read(&c, "/nowhere/config", true, message, sizeof(message)));
	config_free(&c);
}

static void test_config_path(void **state)
{
	char path[128];

	(void)state;
	setenv("XDG_TEST_HOME", "/xdg", 1);
	setenv("HOME", "/home/me", 1);
	assert_true(config_path("XDG_TEST_HOME", ".config", "config", path, sizeof(path)));
	assert_string_equal(path, "/xdg/openkd/config");
	setenv("XDG_TEST_HOME", "relative", 1);
	assert_true(config_path("XDG_TEST_HOME", ".config", "config", path, sizeof(path)));
	assert_string_equal(path, "/home/me/.config/openkd/config");
	assert_false(config_path("XDG_TEST_HOME", ".config", "config", path, 10));
}

static int make_file(void **state)
{
	(void)state;
	strcpy(file_path, "/tmp/kd-config-XXXXXX");
	int fd = mkstemp(file_path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),       cmocka_unit_test(test_option_errors),
		cmocka_unit_test(test_config),        cmocka_unit_test(test_config_errors),
		cmocka_unit_test(test_config_limits), cmocka_unit_test(test_config_path),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
