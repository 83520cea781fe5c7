/* SPDX-License-Identifier: MIT */
/*
 * What a session's socket may say, line by line. Oracle: what is kept is terminated and printable;
 * a line that is refused changes nothing; the same lines leave the same state.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/fleet/session_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7F)
			abort();
}

static void take_all(struct kd__session_state *s, const char *text, size_t size)
{
	memset(s, 0, sizeof *s);
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t n = end ? (size_t)(end - text) - at : size - at;
		struct kd__session_state before = *s;
		struct kd_error err = { 0 };
		enum kd_status status = kd__session_line_take(s, text + at, n, &err);

		if (status != KD_OK) {
			check_text(err.text, sizeof err.text);
			if (memcmp(&before, s, sizeof before) != 0)
				abort();
		}
		at += n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd__session_state one, two;

	take_all(&one, (const char *)data, size);
	check_text(one.endpoint, sizeof one.endpoint);
	check_text(one.state, sizeof one.state);
	check_text(one.os, sizeof one.os);
	if (one.pid < 0)
		abort();
	take_all(&two, (const char *)data, size);
	if (memcmp(&one, &two, sizeof one) != 0)
		abort();
	return 0;
}
