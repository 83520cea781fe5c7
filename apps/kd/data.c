/* SPDX-License-Identifier: MIT */
#include "apps/kd/data.h"

#include <string.h>

#include "apps/kd/text.h"
#include "apps/kd/value.h"

json_t *data_append_object(json_t *array)
{
	json_t *object;

	if (!array)
		return NULL;
	object = json_object();
	json_array_append_new(array, object);
	return object;
}

void data_address(json_t *object, const char *key, uint64_t value)
{
	if (object)
		json_object_set_new(object, key, json_string(value_json(value).s));
}

void data_integer(json_t *object, const char *key, long long value)
{
	if (object)
		json_object_set_new(object, key, json_integer(value));
}

void data_bool(json_t *object, const char *key, bool value)
{
	if (object)
		json_object_set_new(object, key, json_boolean(value));
}

/* Bytes of the well-formed character at `s` (of `n` bytes), 0: malformed. */
static size_t utf8_size(const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;
	size_t size = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;

	if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || size > n)
		return 0;
	for (size_t i = 1; i < size; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

json_t *data_text(const char *value, size_t size)
{
	json_t *string = json_stringn(value, size);
	struct text t = TEXT_INIT;

	if (string)
		return string;
	while (size > 0) {
		size_t n = utf8_size(value, size);

		/* jansson refuses overlong forms and surrogates too: such a character goes whole.
		 */
		json_t *one = n ? json_stringn(value, n) : NULL;
		text_append(&t, one ? value : "\xef\xbf\xbd", one ? n : 3);
		json_decref(one);
		value += n ? n : 1;
		size -= n ? n : 1;
	}
	string = json_stringn(text_string(&t), t.size);
	text_free(&t);
	return string;
}

void data_string(json_t *object, const char *key, const char *value)
{
	if (object)
		json_object_set_new(object, key, data_text(value, strlen(value)));
}
