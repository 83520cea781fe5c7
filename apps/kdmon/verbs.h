/* SPDX-License-Identifier: MIT */
/* What can be done in one go: by the command line and by the screen's keys. */
#ifndef APPS_KDMON_VERBS_H
#define APPS_KDMON_VERBS_H

#include <jansson.h>
#include <stdio.h>

#include "apps/kdmon/settings.h"

enum { VERB_WORDS_MAX = 4 };

struct verb_call {
	const struct settings *settings;
	const char *word[VERB_WORDS_MAX]; /* behind the verb; NULL: not given */
	size_t n_words;
	const char *command, *format, *output;
	bool when_stopped, is_fast, keeps_stopped, is_json;
};

struct verb {
	const char *name, *arguments; /* "VM on|off" */
	size_t min_words, max_words;
	const char *help;
	json_t *(*run)(const struct verb_call *call); /* an answer: "ok", ... */
	void (*show)(FILE *to, json_t *answer, const struct verb_call *call); /* NULL: a word */
	/* What is wrong with the words; NULL: nothing. NULL itself: nothing can be. */
	const char *(*check)(const struct verb_call *call);
};

/* Ends with a row without a name. */
extern const struct verb verbs[];
/* NULL: there is none. */
const struct verb *verb_find(const char *name);

/* The machine as the monitor or a look around has it: {"ok", "vm"} or a failure. */
json_t *verb_look(const struct settings *settings, const char *name);
/* The list: {"ok", "vms", "problems"} or a failure. */
json_t *verb_list(const struct settings *settings);

#endif
