/* SPDX-License-Identifier: MIT */
/* dt */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/pattern.h"
#include "apps/kd/type_show.h"

enum { FIELDS_MAX = 64, MEMBERS_MAX = 8192, TYPES_MAX = 20000, PROTOTYPE_MAX = 1024 };

struct dt {
	struct type_show show;
	char name[256];
	struct kd_type type;
	char *fields[FIELDS_MAX];
	size_t n_fields;
	bool has_prefixes; /* -y: fields are named by how they begin */
	bool has_address;
	uint64_t address;
};

/* --- the listing of names --- */

struct names {
	struct call *call;
	json_t *list;
	size_t n;
};

static bool on_name(void *context, const char *name)
{
	struct names *names = context;

	out_printf(names->call->out, "          %s\n", name);
	if (names->list)
		json_array_append_new(names->list, data_text(name, strlen(name)));
	return ++names->n < TYPES_MAX && !console_interrupted(names->call->con);
}

static enum kd_status list_types(struct call *call, const char *pattern)
{
	struct names names = { .call = call };
	json_t *o = call_object(call);
	enum kd_status s;

	if (o) {
		names.list = json_array();
		json_object_set_new(o, "types", names.list);
	}
	s = kd_type_enumerate(call->session, pattern, on_name, &names, call->err);
	if (s == KD_OK && names.n == 0)
		return call_fail(call, KD_E_NOT_FOUND, "no type matches '%s'", pattern);
	return s;
}

/* --- arguments --- */

static enum kd_status take_options(struct call *call, struct dt *dt)
{
	char word[16];

	while (args_switch(&call->args, '-', word, sizeof(word))) {
		if (word[0] == 'r' && (!word[1] || isdigit((unsigned char)word[1]))) {
			dt->show.depth = word[1] ? (unsigned)strtoul(word + 1, NULL, 10) : 1;
			dt->show.follows_pointers = true;
		} else if (strcmp(word, "b") == 0) {
			dt->show.depth = TYPE_DEPTH_MAX;
			dt->show.follows_pointers = false;
		} else if (strcmp(word, "v") == 0) {
			dt->show.is_verbose = true;
		} else if (strcmp(word, "y") == 0) {
			dt->has_prefixes = true;
		} else {
			return call_fail(call, KD_E_SYNTAX,
					 "-%s is not known; there are -b -rN -v -y", word);
		}
	}
	dt->show.depth = APP_MIN(dt->show.depth, (unsigned)TYPE_DEPTH_MAX);
	return KD_OK;
}

/* The name of a type, else of a variable whose type is known. */
static enum kd_status find_type(struct call *call, struct dt *dt)
{
	struct kd_error err = { 0 };
	enum kd_status s = kd_type_find(call->session, dt->name, &dt->type, call->err);

	if (s != KD_E_NOT_FOUND)
		return s;
	if (kd_type_of_symbol(call->session, dt->name, &dt->type, &dt->address, &err) != KD_OK)
		return s;
	*call->err = (struct kd_error){ 0 };
	dt->has_address = true;
	return KD_OK;
}

/* Does a word name fields of the type: a path, or a pattern of names? */
static bool names_fields(struct call *call, const struct dt *dt, const char *word)
{
	struct kd_field_info *f = app_alloc(sizeof(*f));
	bool found = kd_type_field(call->session, dt->type, word, f, NULL) == KD_OK;

	for (uint32_t n = 0; !found && !pattern_is_literal(word) && n < MEMBERS_MAX; n++) {
		if (kd_type_member(call->session, dt->type, n, f) != KD_OK)
			break;
		found = pattern_matches(word, f->name);
	}
	free(f);
	return found;
}

/* With -y a name is a beginning; `Header.` asks for what is in Header. */
static void as_pattern(const struct dt *dt, char *word)
{
	size_t n = strlen(word);

	if (n == 0 || !(isalpha((unsigned char)word[0]) || word[0] == '_'))
		return;
	if (dt->has_prefixes && pattern_is_literal(word))
		strcpy(word + n, "*");
	else if (word[n - 1] == '.')
		word[n - 1] = '\0';
}

/* [FIELD ...] [ADDRESS], and options, in any order. */
static enum kd_status take_fields(struct call *call, struct dt *dt)
{
	char word[256];

	for (;;) {
		enum kd_status s = take_options(call, dt);
		const char *start = call->args.at;

		if (s != KD_OK || args_at_end(&call->args))
			return s;
		args_word(&call->args, word, sizeof(word) - 1);
		as_pattern(dt, word);
		if (names_fields(call, dt, word)) {
			if (dt->n_fields == FIELDS_MAX)
				return call_fail(call, KD_E_TOO_BIG, "at most %d fields",
						 FIELDS_MAX);
			dt->fields[dt->n_fields++] = app_strdup(word);
			continue;
		}
		call->args.at = start;
		s = args_value(&call->args, &dt->address);
		if (s != KD_OK && isalpha((unsigned char)word[0]))
			return call_fail(call, KD_E_NOT_FOUND,
					 "'%s' is neither a field of %s nor an address", word,
					 dt->name);
		if (s != KD_OK)
			return s;
		dt->has_address = true;
	}
}

/* --- showing --- */

static uint32_t count_members(struct call *call, struct kd_type type)
{
	struct kd_field_info *f = app_alloc(sizeof(*f));
	uint32_t n = 0;

	while (n < MEMBERS_MAX && kd_type_member(call->session, type, n, f) == KD_OK)
		n++;
	free(f);
	return n;
}

static enum kd_status show_pattern(struct dt *dt, const char *pattern,
				   const struct memory_block *block, json_t *list)
{
	struct kd_session *session = dt->show.call->session;
	struct kd_field_info *f = app_alloc(sizeof(*f));
	enum kd_status s = KD_OK;

	if (kd_type_field(session, dt->type, pattern, f, NULL) == KD_OK) {
		app_copy(f->name, sizeof(f->name), pattern, strlen(pattern));
		s = type_show_field(&dt->show, f, block, 0, 0, list);
		free(f);
		return s;
	}
	for (uint32_t n = 0; s == KD_OK && n < MEMBERS_MAX; n++) {
		if (kd_type_member(session, dt->type, n, f) != KD_OK)
			break;
		if (pattern_matches(pattern, f->name))
			s = type_show_field(&dt->show, f, block, 0, 0, list);
	}
	free(f);
	return s;
}

static enum kd_status show_struct(struct dt *dt, const struct memory_block *block, json_t *list)
{
	enum kd_status s = KD_OK;

	if (dt->show.is_verbose)
		out_printf(dt->show.call->out, "struct %s, %u elements, 0x%llx bytes\n", dt->name,
			   count_members(dt->show.call, dt->type),
			   (unsigned long long)kd_type_size(dt->show.call->session, dt->type));
	if (dt->n_fields == 0)
		return type_show_fields(&dt->show, dt->type, block, 0, 0, list);
	for (size_t i = 0; i < dt->n_fields && s == KD_OK; i++)
		s = show_pattern(dt, dt->fields[i], block, list);
	return s;
}

/* Types that have no fields. */
static enum kd_status show_plain(struct dt *dt, const struct memory_block *block)
{
	struct kd_field_info *f = app_alloc(sizeof(*f));
	struct text t = TEXT_INIT;

	f->type = dt->type;
	if (block) {
		type_value_text(&dt->show, f, block, 0, &t);
	} else {
		char name[256];

		kd_type_format(dt->show.call->session, dt->type, name, sizeof(name));
		text_add(&t, name);
	}
	out_printf(dt->show.call->out, "%s\n", text_string(&t));
	data_string(call_object(dt->show.call), "value", text_string(&t));
	text_free(&t);
	free(f);
	return KD_OK;
}

/* "KeWaitForSingleObject  long (void*, _KWAIT_REASON)" */
static enum kd_status show_function(struct call *call, struct dt *dt)
{
	char text[PROTOTYPE_MAX];

	kd_type_prototype(call->session, dt->type, text, sizeof(text));
	out_printf(call->out, "%s  %s\n", dt->name, text[0] ? text : "<no parameter info>");
	data_string(call_object(call), "value", text);
	return KD_OK;
}

static enum kd_status show_type(struct call *call, struct dt *dt)
{
	uint64_t size = kd_type_size(call->session, dt->type);
	struct memory_block block = { 0 };
	json_t *o = call_object(call), *list = o ? json_array() : NULL;
	enum kd_status s = KD_OK;

	data_string(o, "name", dt->name);
	data_address(o, "size", size);
	if (o)
		json_object_set_new(o, "fields", list);
	if (kd_type_kind(call->session, dt->type) == KD_TYPE_FUNCTION)
		return show_function(call, dt);
	if (dt->has_address) {
		data_address(o, "address", dt->address);
		if (size > TYPE_SIZE_MAX)
			return call_fail(call, KD_E_TOO_BIG, "the type is above 1 MB");
		s = memory_block_read(call, dt->address, (size_t)size, false, &block);
		if (s == KD_OK && size && !block.n_valid)
			s = call_fail(call, KD_E_UNREADABLE, "the memory at %s is not readable",
				      addr(call->con, dt->address).s);
	}
	if (s == KD_OK && kd_type_kind(call->session, dt->type) == KD_TYPE_STRUCT)
		s = show_struct(dt, dt->has_address ? &block : NULL, list);
	else if (s == KD_OK)
		s = show_plain(dt, dt->has_address ? &block : NULL);
	memory_block_free(&block);
	return s;
}

static enum kd_status run_dt_with(struct call *call, struct dt *dt)
{
	enum kd_status s = take_options(call, dt);

	if (s != KD_OK)
		return s;
	if (!args_word(&call->args, dt->name, sizeof(dt->name)))
		return call_fail(call, KD_E_SYNTAX,
				 "which type? dt nt!_EPROCESS [FIELD] [ADDRESS]");
	if (!pattern_is_literal(dt->name)) {
		s = args_done(&call->args);
		return s == KD_OK ? list_types(call, dt->name) : s;
	}
	s = find_type(call, dt);
	if (s == KD_OK)
		s = take_fields(call, dt);
	return s == KD_OK ? show_type(call, dt) : s;
}

static enum kd_status run_dt(struct call *call)
{
	struct dt *dt = app_alloc(sizeof(*dt));
	enum kd_status s;

	dt->show.call = call;
	s = run_dt_with(call, dt);
	for (size_t i = 0; i < dt->n_fields; i++)
		free(dt->fields[i]);
	free(dt);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "dt", "dt [-b] [-r[N]] [-v] [MODULE!]TYPE [-y] [FIELD ...] [ADDRESS]\ndt [MODULE!]PATTERN",
	  "Show a type, or what lies at an address as that type; with wildcards: list types\n"
	  "FIELD: a path (Header.Type), or a pattern of names; with -y how names begin. -r: open structs and pointers N levels "
	  "deep (1). -b: open structs only, all of them. -v: say sizes. A variable's name stands for its "
	  "type and address, a function's for what it takes and returns.",
	  "dt nt!_KTHREAD State @$thread", "type", CMD_STOPPED, WORDS_TYPES, run_dt, NULL, NULL },
};
/* clang-format on */

FAMILY(family_type, "Types");
