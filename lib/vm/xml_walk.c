/* SPDX-License-Identifier: MIT */
#include "lib/vm/xml_walk.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

struct walk {
	const struct kd__xml_visitor *visitor;
	XML_Parser parser;
	char path[KD_XML_PATH_SIZE];
	size_t length[KD_XML_DEPTH_MAX + 1]; /* of the path at each depth */
	size_t depth, skipped;               /* elements inside one that is passed over */
	char text[KD_XML_TEXT_MAX + 1];
	size_t text_size;
	enum kd_status status;
};

static void stop(struct walk *w, enum kd_status status)
{
	w->status = status;
	XML_StopParser(w->parser, XML_FALSE);
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes)
{
	struct walk *w = context;
	size_t old = w->length[w->depth], n = strlen(name);

	w->text_size = 0;
	if (w->skipped || old + n + 2 > sizeof w->path) {
		if (++w->skipped + w->depth > KD_XML_DEPTH_MAX)
			stop(w, KD_E_TOO_BIG);
		return;
	}
	if (w->depth == KD_XML_DEPTH_MAX) {
		stop(w, KD_E_TOO_BIG);
		return;
	}
	if (old)
		w->path[old++] = '/';
	memcpy(w->path + old, name, n + 1);
	w->length[++w->depth] = old + n;
	if (w->visitor->element)
		w->visitor->element(w->visitor->context, w->path, (const char *const *)attributes);
}

static void XMLCALL on_end(void *context, const char *name)
{
	struct walk *w = context;

	(void)name;
	if (w->skipped) {
		w->skipped--;
		return;
	}
	w->text[w->text_size] = '\0';
	if (w->visitor->text)
		w->visitor->text(w->visitor->context, w->path, w->text);
	w->text_size = 0;
	w->depth--;
	w->path[w->length[w->depth]] = '\0';
}

static void XMLCALL on_text(void *context, const char *bytes, int size)
{
	struct walk *w = context;
	size_t n = KD_MIN((size_t)size, KD_XML_TEXT_MAX - w->text_size);

	memcpy(w->text + w->text_size, bytes, n);
	w->text_size += n;
}

/* None of the files that we read has one; entities are what makes XML dangerous. */
static void XMLCALL on_doctype(void *context, const char *name, const char *system,
			       const char *public, int has_inner)
{
	(void)name;
	(void)system;
	(void)public;
	(void)has_inner;
	stop(context, KD_E_MALFORMED);
}

static enum kd_status parse(struct walk *w, const char *bytes, size_t size, struct kd_error *err)
{
	uint64_t line;

	if (XML_Parse(w->parser, bytes, (int)size, 1) == XML_STATUS_OK)
		return KD_OK;
	line = XML_GetCurrentLineNumber(w->parser);
	if (w->status == KD_E_TOO_BIG)
		return kd_error_set(err, KD_E_TOO_BIG, line, "line %llu: elements too deep",
				    (unsigned long long)line);
	if (w->status == KD_E_MALFORMED)
		return kd_error_set(err, KD_E_MALFORMED, line,
				    "line %llu: a document type, which is not read",
				    (unsigned long long)line);
	return kd_error_set(err, KD_E_MALFORMED, line, "line %llu: %s", (unsigned long long)line,
			    XML_ErrorString(XML_GetErrorCode(w->parser)));
}

enum kd_status kd__xml_walk(const char *bytes, size_t size, const struct kd__xml_visitor *visitor,
			    struct kd_error *err)
{
	struct walk w = { .visitor = visitor, .status = KD_OK };
	enum kd_status s;

	if (size > INT_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "a text of more than 2 GB");
	w.parser = XML_ParserCreate(NULL);
	if (!w.parser)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	s = parse(&w, bytes, size, err);
	XML_ParserFree(w.parser);
	return s;
}

const char *kd__xml_attribute(const char *const *attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return "";
}
