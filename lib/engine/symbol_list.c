/* SPDX-License-Identifier: MIT */
/* Many symbols at once: `x`, and completion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/symbol.h"

/* --- patterns --- */

enum kd_status kd__symbol_patterns(const char *text, struct kd__symbol_patterns **ret,
				   struct kd_error *err)
{
	struct kd__symbol_patterns *p = malloc(sizeof *p);
	const char *name;
	size_t size;
	bool has_module;
	enum kd_status status;

	if (!p)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	has_module = kd__symbol_split(text, &name, &size) && size;
	status = kd__pattern_compile(&p->module, has_module ? text : "*", has_module ? size : 1, 0,
				     err);
	if (status == KD_OK)
		status = kd__pattern_compile(&p->name, name, strlen(name), KD__PATTERN_SYMBOL, err);
	if (status == KD_OK)
		*ret = p;
	else
		free(p);
	return status;
}

bool kd__symbol_module_matches(const struct kd__symbol_patterns *p, const struct kd__module *m)
{
	char stem[KD__MODULE_NAME_MAX];

	kd__module_name(m->image_name, stem, sizeof stem);
	return kd__pattern_match(&p->module, m->name) || kd__pattern_match(&p->module, stem);
}

/* --- x --- */

/* false: stop. A name that is both private and public is told once. */
static bool tell_all(const struct kd__module *m, const struct kd__pattern *pattern, kd_symbol_fn fn,
		     void *context)
{
	size_t n = kd__names_count(m), first = 0;
	struct kd_symbol symbol = { .module = &m->pub };
	struct kd__name name, other;

	for (size_t i = 0; i < n; i++) {
		bool is_double = false;

		kd__names_nth(m, i, &name);
		if (i) { /* `first`: of those at the same address */
			kd__names_nth(m, first, &other);
			first = other.rva == name.rva ? first : i;
		}
		if (name.rva >= m->pub.size || !kd__pattern_match(pattern, name.name))
			continue;
		for (size_t k = first; k < i && i - k < 16 && !is_double; k++) {
			kd__names_nth(m, k, &other);
			is_double = !strcmp(other.name, name.name);
		}
		if (is_double)
			continue;
		snprintf(symbol.name, sizeof symbol.name, "%s", name.name);
		symbol.address = m->pub.base + name.rva;
		symbol.size = name.size;
		symbol.is_function = name.is_function;
		symbol.is_export_only = name.is_export;
		if (!fn(context, &symbol))
			return false;
	}
	return true;
}

/* A copy: the callback may make the list grow. */
static enum kd_status matching_modules(struct kd_session *s, const struct kd__symbol_patterns *p,
				       struct kd__module ***ret, size_t *n_ret,
				       struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	enum kd_status status = kd__modules_refresh(s, err);

	if (status != KD_OK && !ms->n_loaded)
		return status;
	*n_ret = 0;
	*ret = calloc(ms->n_loaded + 1, sizeof **ret);
	if (!*ret)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (kd__symbol_module_matches(p, ms->items[i]))
			(*ret)[(*n_ret)++] = ms->items[i];
	return KD_OK;
}

static enum kd_status enumerate(struct kd_session *s, const struct kd__symbol_patterns *p,
				const char *text, kd_symbol_fn fn, void *context,
				struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd__module **modules = NULL;
	const char *rest;
	size_t n, size;
	enum kd_status status = matching_modules(s, p, &modules, &n, err);

	if (status != KD_OK)
		return status;
	kd__symbol_split(text, &rest, &size);
	if (!n)
		return kd__symbol_no_module(text, size, err);
	for (size_t i = 0; i < n; i++) {
		status = kd__module_load(s, modules[i], err);
		if (status != KD_OK && !modules[i]->names)
			return status; /* of the target, not of the module */
		if (kd__cancelled(s))
			return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
		if (!tell_all(modules[i], &p->name, fn, context))
			break;
	}
	return KD_OK;
}

KD_EXPORT enum kd_status kd_symbol_enumerate(struct kd_session *s, const char *pattern,
					     kd_symbol_fn fn, void *context, struct kd_error *err)
{
	struct kd__symbol_patterns *p;
	enum kd_status status = kd__symbol_patterns(pattern, &p, err);

	if (status != KD_OK)
		return status;
	status = enumerate(s, p, pattern, fn, context, err);
	free(p);
	return status;
}

/* --- completion --- */

struct completion {
	size_t left;
	kd_text_fn fn;
	void *context;
};

static bool offer(struct completion *c, const char *module, const char *bang, const char *name)
{
	char text[KD_SYMBOL_NAME_MAX + KD__MODULE_NAME_MAX];

	if (!c->left)
		return false;
	c->left--;
	snprintf(text, sizeof text, "%s%s%s", module, bang, name);
	return c->fn(c->context, text);
}

/* false: enough. `with_module`: the text was begun with the module's name. */
static bool complete_in(struct completion *c, const struct kd__module *m, const char *prefix,
			bool with_module)
{
	size_t n = kd__names_count(m), size = strlen(prefix);
	char last[KD_SYMBOL_NAME_MAX] = "";
	struct kd__name name;

	for (size_t i = 0; i < n; i++) {
		kd__names_nth(m, i, &name);
		if (strncasecmp(name.name, prefix, size) || !strcmp(name.name, last))
			continue;
		snprintf(last, sizeof last, "%s", name.name);
		if (!offer(c, with_module ? m->name : "", with_module ? "!" : "", name.name))
			return false;
	}
	return true;
}

KD_EXPORT void kd_symbol_complete(struct kd_session *s, const char *prefix, size_t max,
				  kd_text_fn fn, void *context)
{
	struct kd__modules *ms = s->modules;
	struct completion c = { max, fn, context };
	const char *rest;
	size_t size;
	bool has_module = kd__symbol_split(prefix, &rest, &size) && size;

	for (size_t i = 0; i < ms->n_loaded && !has_module; i++)
		if (!strncasecmp(ms->items[i]->name, rest, strlen(rest)) &&
		    !offer(&c, ms->items[i]->name, "!", ""))
			return;
	if (!*rest && !has_module)
		return; /* everything there is: of no use */
	for (size_t i = 0; i < ms->n_loaded; i++)
		if ((!has_module || kd__module_has_name(ms->items[i], prefix, size)) &&
		    !complete_in(&c, ms->items[i], rest, has_module))
			return;
}
