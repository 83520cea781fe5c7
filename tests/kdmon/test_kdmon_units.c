/* SPDX-License-Identifier: MIT */
/* Parts of kdmon that need neither target nor terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apps/kdmon/changes.h"
#include "apps/kdmon/launch.h"
#include "apps/kdmon/option.h"
#include "apps/kdmon/place.h"
#include "apps/kdmon/show.h"
#include "apps/kdmon/verbs.h"

/* --- templates --- */

static const struct {
	const char *template;
	const char *words[6]; /* none: refused */
} templates[] = {
	{ "kd -k {endpoint}", { "kd", "-k", "unix:/a b/c'd" } },
	{ "x '{vm} {vm}' \"a {endpoint}\"", { "x", "w;10 w;10", "a unix:/a b/c'd" } },
	{ "  a\\ b \t'' {other}{ ", { "a b", "", "{other}{" } },
	{ "x 'a\\b' \"a\\\"b\" $HOME `id`", { "x", "a\\b", "a\"b", "$HOME", "`id`" } },
	{ "x{vm}y", { "xw;10y" } },
	{ "", { NULL } },
	{ " \t", { NULL } },
	{ "x 'y", { NULL } },
	{ "x \"y", { NULL } },
};

static void test_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		char message[200] = "";
		char **words = launch_words(templates[i].template, "w;10", "unix:/a b/c'd", message,
					    sizeof(message));
		size_t n = 0;

		if (!templates[i].words[0]) {
			assert_null(words);
			assert_true(message[0]);
			continue;
		}
		assert_non_null(words);
		for (; words[n]; n++)
			assert_string_equal(words[n], templates[i].words[n]);
		assert_null(templates[i].words[n]);
		launch_free(words);
	}
}

static void test_too_many_words(void **state)
{
	char template[300] = "", message[200] = "";

	(void)state;
	for (int i = 0; i < 65; i++)
		strcat(template, "w ");
	assert_null(launch_words(template, "", "", message, sizeof(message)));
	assert_non_null(strstr(message, "64 words"));
}

static void test_launch(void **state)
{
	char program[] = "/no/such/program", *words[] = { program, NULL }, message[200] = "";

	(void)state;
	assert_int_equal(launch_start(words, true, message, sizeof(message)), -1);
	assert_non_null(strstr(message, "/no/such/program"));
}

/* --- names in paths --- */

static void test_clean(void **state)
{
	static const char *const rows[][2] = {
		{ "win10", "win10" },     { "../../etc/x", "_._.._etc_x" }, { "a b/c", "a_b_c" },
		{ ".hidden", "_hidden" }, { "x-1_2.3", "x-1_2.3" },         { "", "vm" },
		{ "\xC3\xA4", "__" },     { "\x1b[31m", "__31m" },
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		place_clean(rows[i][0], out, sizeof(out));
		assert_string_equal(out, rows[i][1]);
	}
	place_clean("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", out, sizeof(out));
	assert_int_equal(strlen(out), sizeof(out) - 1);
}

/* --- options --- */

static void test_options(void **state)
{
	const char *good[] = { "kdmon",           "--json", "log", "vm", "on",
			       "--format=pcapng", "-o",     "/x",  "--", "--odd" };
	const char *bad[] = { "kdmon", "--json=yes" };
	struct monitor_options o;
	char message[200];

	(void)state;
	assert_true(monitor_options_parse(&o, 10, (char **)good, message, sizeof(message)));
	assert_true(o.is_json);
	assert_int_equal(o.n_words, 4);
	assert_string_equal(o.word[3], "--odd");
	assert_string_equal(o.format, "pcapng");
	assert_string_equal(o.output, "/x");
	assert_false(monitor_options_parse(&o, 2, (char **)bad, message, sizeof(message)));
	for (const struct verb *v = verbs; v->name; v++) {
		assert_ptr_equal(verb_find(v->name), v);
		assert_true(v->min_words <= v->max_words && v->max_words <= VERB_WORDS_MAX);
		assert_non_null(v->run);
	}
	assert_null(verb_find("lis"));
}

/* --- changes --- */

struct heard {
	size_t n;
	char text[8][64];
};

static void hear(void *context, json_t *event)
{
	struct heard *h = context;

	assert_true(h->n < 8);
	snprintf(h->text[h->n++], 64, "%s %s %s", show_text(event, "vm"), show_text(event, "event"),
		 show_text(event, "text"));
}

static json_t *list_of(const char *text)
{
	json_t *list = json_loads(text, 0, NULL);

	assert_non_null(list);
	return list;
}

static void test_changes(void **state)
{
	json_t *a = list_of("{\"vms\":[{\"id\":\"1\",\"name\":\"one\",\"state\":\"running\","
			    "\"debugger\":{\"kind\":\"none\"}},"
			    "{\"id\":\"2\",\"name\":\"two\",\"state\":\"off\"}]}");
	json_t *b = list_of("{\"vms\":[{\"id\":\"3\",\"name\":\"two\",\"state\":\"off\"},"
			    "{\"id\":\"1\",\"name\":\"one\",\"state\":\"paused\","
			    "\"debugger\":{\"kind\":\"session\"}}]}");
	struct heard h = { 0 };

	(void)state;
	changes_between(NULL, a, hear, &h);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.text[1], "two appeared off");
	h.n = 0;
	changes_between(a, a, hear, &h);
	assert_int_equal(h.n, 0);
	changes_between(a, b, hear, &h);
	assert_int_equal(h.n, 4);
	assert_string_equal(h.text[0], "two appeared off");
	assert_string_equal(h.text[1], "one state paused");
	assert_string_equal(h.text[2], "one debugger session");
	assert_string_equal(h.text[3], "two gone ");
	json_decref(a);
	json_decref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates), cmocka_unit_test(test_too_many_words),
		cmocka_unit_test(test_launch),    cmocka_unit_test(test_clean),
		cmocka_unit_test(test_options),   cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
