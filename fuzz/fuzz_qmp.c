/* SPDX-License-Identifier: MIT */
/*
 * A monitor's bytes. Oracle: the same messages come out however the stream is cut (the first byte
 * of the input says how); each is whole; who is refused stays refused with one printable line.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/vm/qmp_message.h"

enum { MESSAGES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct kept {
	size_t n;
	char *message[MESSAGES_MAX];
	enum kd_status end;
};

/* One text for all that a message tells. */
static char *tell(const struct kd__qmp_message *m)
{
	json_t *all = json_pack("{s:i, s:s?, s:s?, s:s?, s:I, s:O?}", "kind", m->kind, "name",
				m->name, "text", m->text, "id", m->id, "time",
				(json_int_t)m->time_us, "value", m->value);
	char *text = all ? json_dumps(all, JSON_SORT_KEYS | JSON_COMPACT) : NULL;

	json_decref(all);
	return text;
}

static void check(const struct kd__qmp_message *m)
{
	bool whole = true;

	switch (m->kind) {
	case KD__QMP_GREETING: whole = json_is_object(m->value); break;
	case KD__QMP_RETURN: whole = m->value; break;
	case KD__QMP_ERROR: whole = m->name && m->text; break;
	case KD__QMP_EVENT: whole = m->name && (!m->value || json_is_object(m->value)); break;
	}
	if (!whole || !json_is_object(m->root) || m->time_us > (uint64_t)INT64_MAX)
		abort();
}

static void check_refusal(const struct kd_error *err, enum kd_status s)
{
	if (err->status != s || !err->text[0] || (s != KD_E_MALFORMED && s != KD_E_TOO_BIG))
		abort();
	for (const char *p = err->text; *p; p++)
		if ((unsigned char)*p < ' ')
			abort();
}

static void run(const uint8_t *data, size_t size, size_t step, struct kept *k)
{
	struct kd__qmp_reader r = { 0 };
	struct kd_error err = { 0 };

	k->n = 0;
	k->end = KD_E_AGAIN;
	for (size_t at = 0; at < size && k->end == KD_E_AGAIN; at += step) {
		struct kd__qmp_message m;

		if (kd__qmp_feed(&r, data + at, KD_MIN(step, size - at), &err) != KD_OK)
			abort();
		while ((k->end = kd__qmp_next(&r, &m, &err)) == KD_OK) {
			check(&m);
			if (k->n < MESSAGES_MAX)
				k->message[k->n++] = tell(&m);
			kd__qmp_message_deinit(&m);
		}
	}
	if (k->end != KD_E_AGAIN)
		check_refusal(&err, k->end);
	kd__qmp_reader_deinit(&r);
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kept whole, cut;

	if (!size)
		return 0;
	run(data + 1, size - 1, size, &whole);
	run(data + 1, size - 1, 1 + data[0] % 31, &cut);
	if (whole.n != cut.n || whole.end != cut.end)
		abort();
	for (size_t i = 0; i < whole.n; i++) {
		if (!is_same(whole.message[i], cut.message[i]))
			abort();
		free(whole.message[i]);
		free(cut.message[i]);
	}
	return 0;
}
