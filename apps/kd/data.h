/* SPDX-License-Identifier: MIT */
/* Members of JSON objects. All take NULL for the object: nobody wants it. */
#ifndef APPS_KD_DATA_H
#define APPS_KD_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* An object, appended to the array; NULL when that is. */
json_t *data_append_object(json_t *array);
void data_address(json_t *object, const char *key, uint64_t value);
void data_integer(json_t *object, const char *key, long long value);
void data_string(json_t *object, const char *key, const char *value); /* bad UTF-8 is replaced */
void data_bool(json_t *object, const char *key, bool value);
/* A string that is valid UTF-8 whatever the target said. */
json_t *data_text(const char *value, size_t size);

#endif
