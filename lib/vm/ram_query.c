/* SPDX-License-Identifier: MIT */
/* Which memory backends a VM has, by QMP; then where they are, by kd_ram_layout_parse(). */
#include <stdlib.h>
#include <string.h>

#include "lib/vm/ram_layout.h"

struct ask {
	struct kd_qmp *q;
	uint64_t deadline;
	const struct kd_cancel *cancel;
	struct kd_ram_layout *layout;
};

static enum kd_status execute(const struct ask *a, const char *command, json_t *arguments,
			      json_t **value_ret, struct kd_error *err)
{
	return kd_qmp_execute(a->q, command, arguments, a->deadline, a->cancel, value_ret, err);
}

static enum kd_status get_property(const struct ask *a, const char *path, const char *property,
				   json_t **value_ret, struct kd_error *err)
{
	return execute(a, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", property),
		       value_ret, err);
}

/* False: it does not fit, or holds what would not be found again in the flat view. */
static bool set_text(char *to, size_t size, const char *from)
{
	size_t n = from ? strlen(from) : 0;

	if (!n || n >= size)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

/* "/objects/m0" -> "m0" */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The path of the file. Only file backends have that property: the others refuse. */
static enum kd_status ask_path(const struct ask *a, const char *object, struct kd_ram_backend *b,
			       struct kd_error *err)
{
	json_t *value = NULL;
	enum kd_status s = get_property(a, object, "mem-path", &value, err);

	if (s == KD_OK && !set_text(b->path, sizeof b->path, json_string_value(value)))
		b->path[0] = '\0';
	json_decref(value);
	return s == KD_E_TARGET ? KD_OK : s;
}

static enum kd_status add_backend(const struct ask *a, const char *id, struct kd_error *err)
{
	struct kd_ram_layout *l = a->layout;
	struct kd_ram_backend *b = &l->backends[l->n_backends];
	json_t *type = NULL, *size = NULL, *share = NULL;
	char object[KD_RAM_ID_SIZE + 16];
	enum kd_status s;

	for (size_t i = 0; i < l->n_backends; i++)
		if (!strcmp(l->backends[i].id, id))
			return KD_OK;
	if (l->n_backends == KD_RAM_BACKENDS_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "more than %d memory backends",
				    KD_RAM_BACKENDS_MAX);
	memset(b, 0, sizeof *b);
	if (!set_text(b->id, sizeof b->id, id))
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "the id of a memory backend is empty or longer than %d",
				    KD_RAM_ID_SIZE - 1);
	strcpy(stpcpy(object, "/objects/"), b->id);
	s = get_property(a, object, "type", &type, err);
	if (s == KD_OK)
		s = get_property(a, object, "size", &size, err);
	if (s == KD_OK)
		s = get_property(a, object, "share", &share, err);
	if (s == KD_OK)
		s = ask_path(a, object, b, err);
	if (s == KD_OK && (!set_text(b->type, sizeof b->type, json_string_value(type)) ||
			   json_integer_value(size) <= 0 || !json_is_boolean(share)))
		s = kd_error_set(err, KD_E_MALFORMED, 0, "memory backend %s has no size", b->id);
	if (s == KD_OK) {
		b->size = (uint64_t)json_integer_value(size);
		b->is_shared = json_is_true(share);
		l->n_backends++;
	}
	json_decref(type);
	json_decref(size);
	json_decref(share);
	return s;
}

/* The backend of the RAM that the machine starts with; *is_numa_ret: it is of several (-numa). */
static enum kd_status ask_machine(const struct ask *a, bool *is_numa_ret, struct kd_error *err)
{
	json_t *value = NULL;
	const char *path;
	enum kd_status s = get_property(a, "/machine", "memory-backend", &value, err);

	if (s == KD_E_TARGET)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "QEMU %s does not tell its memory backend: 5.0 or later does",
				    kd_qmp_version(a->q));
	if (s != KD_OK)
		return s;
	path = json_string_value(value);
	*is_numa_ret = !path || !*path;
	if (!*is_numa_ret)
		s = add_backend(a, last_part(path), err);
	json_decref(value);
	return s;
}

/* DIMMs, NVDIMMs, virtio-mem: plugged into the machine's memory. */
static enum kd_status ask_dimms(const struct ask *a, struct kd_error *err)
{
	json_t *list = NULL, *row;
	size_t i;
	enum kd_status s = execute(a, "query-memory-devices", NULL, &list, err);

	if (s == KD_E_UNSUPPORTED)
		return KD_OK;
	json_array_foreach(list, i, row)
	{
		const char *memdev = json_string_value(
			json_object_get(json_object_get(row, "data"), "memdev"));

		if (s == KD_OK && memdev)
			s = add_backend(a, last_part(memdev), err);
	}
	json_decref(list);
	return s;
}

/* With -numa node,memdev= the machine has no backend of its own: all there are may be it. */
static enum kd_status ask_all(const struct ask *a, struct kd_error *err)
{
	json_t *list = NULL, *row;
	size_t i;
	enum kd_status s = execute(a, "query-memdev", NULL, &list, err);

	json_array_foreach(list, i, row)
	{
		const char *id = json_string_value(json_object_get(row, "id"));

		if (s == KD_OK && id)
			s = add_backend(a, id, err);
	}
	json_decref(list);
	return s;
}

static enum kd_status ask_ranges(const struct ask *a, bool is_numa, struct kd_error *err)
{
	char *text = NULL;
	enum kd_status s = kd_qmp_monitor_command(a->q, "info mtree -f", a->deadline, a->cancel,
						  &text, err);

	if (s == KD_OK)
		s = kd_ram_layout_parse(text, !is_numa, a->layout, err);
	free(text);
	return s;
}

enum kd_status kd_ram_layout_query(struct kd_qmp *q, uint64_t deadline,
				   const struct kd_cancel *cancel, struct kd_ram_layout *ret,
				   struct kd_error *err)
{
	const struct ask a = { q, deadline, cancel, ret };
	bool is_numa = false;
	enum kd_status s;

	ret->n_backends = ret->n_ranges = 0;
	s = ask_machine(&a, &is_numa, err);
	if (s == KD_OK)
		s = ask_dimms(&a, err);
	if (s == KD_OK && is_numa)
		s = ask_all(&a, err);
	return s == KD_OK ? ask_ranges(&a, is_numa, err) : s;
}
