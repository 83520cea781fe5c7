/* SPDX-License-Identifier: MIT */
/* Walks through an XML text: elements by their paths, nothing kept. For files of others. */
#ifndef KD_LIB_VM_XML_WALK_H
#define KD_LIB_VM_XML_WALK_H

#include "lib/base.h"

enum { KD_XML_PATH_SIZE = 256, KD_XML_DEPTH_MAX = 64, KD_XML_TEXT_MAX = 1024 };

struct kd__xml_visitor {
	/* `path` is "domain/devices/serial"; `attributes` name, value, ..., NULL. */
	void (*element)(void *context, const char *path, const char *const *attributes);
	/* The characters of an element without inner ones, when it ends; cut at KD_XML_TEXT_MAX. */
	void (*text)(void *context, const char *path, const char *text);
	void *context;
};

/*
 * KD_E_MALFORMED: not well-formed, or with a document type (entities): err->where is the line;
 * KD_E_TOO_BIG: deeper than KD_XML_DEPTH_MAX; KD_E_NO_MEMORY. Elements whose path does not fit are
 * passed over with all in them. What was visited before a failure was visited.
 */
enum kd_status kd__xml_walk(const char *bytes, size_t size, const struct kd__xml_visitor *visitor,
			    struct kd_error *err);

/* The value of an attribute; "" when it is not there. */
const char *kd__xml_attribute(const char *const *attributes, const char *name);

#endif
