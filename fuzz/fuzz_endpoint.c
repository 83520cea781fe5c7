/* SPDX-License-Identifier: MIT */
/*
 * Endpoint texts. Oracle: what parses has a canonical form that parses to the same endpoint and is
 * its own canonical form; what does not parse gets one line that points into the text.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/io/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct kd_endpoint *a, const struct kd_endpoint *b)
{
	if (a->kind != b->kind || strcmp(a->path, b->path) != 0 || a->port != b->port ||
	    a->baud != b->baud || a->max_resets != b->max_resets || a->reconnect != b->reconnect)
		abort();
}

static void check_round_trip(const struct kd_endpoint *ep)
{
	char text[KD_ENDPOINT_TEXT_SIZE], again[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint parsed;

	if (kd_endpoint_text(ep, text, sizeof text) >= sizeof text)
		abort();
	if (kd_endpoint_parse(text, &parsed, NULL) != KD_OK)
		abort();
	check_same(ep, &parsed);
	kd_endpoint_text(&parsed, again, sizeof again);
	if (strcmp(text, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct kd_endpoint ep;
	struct kd_error err = { 0 };
	enum kd_status s;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	/* \\.\pipe\NAME depends on it. */
	setenv("XDG_RUNTIME_DIR", "/run/fuzz", 1);
	s = kd_endpoint_parse(text, &ep, &err);
	if (s == KD_OK)
		check_round_trip(&ep);
	else if ((s != KD_E_SYNTAX && s != KD_E_UNSUPPORTED) || err.status != s || !err.text[0] ||
		 err.where > strlen(text) || strchr(err.text, '\n'))
		abort();
	free(text);
	return 0;
}
