/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/proxy_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/kd/text.h"
#include "apps/kdmon/place.h"
#include "apps/kdmon/show.h"

static const struct {
	const char *name;
	enum kd_relay_format format;
	const char *suffix;
} formats[] = {
	{ "text", KD_RELAY_TEXT, "txt" },
	{ "json", KD_RELAY_JSON, "jsonl" },
	{ "pcapng", KD_RELAY_PCAPNG, "pcapng" },
};

static bool default_log(const char *vm, const char *suffix, char *path, size_t size, char *message,
			size_t message_size)
{
	char clean[64], name[128], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	place_clean(vm, clean, sizeof(clean));
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	snprintf(name, sizeof(name), "%s-%s.%s", clean, stamp, suffix);
	for (unsigned i = 2; place_state(name, path, size, message, message_size); i++) {
		if (access(path, F_OK) != 0 || i > 99)
			return true;
		snprintf(name, sizeof(name), "%s-%s-%u.%s", clean, stamp, i, suffix); /* new */
	}
	return false;
}

json_t *proxy_log_start(struct proxy *p, json_t *request)
{
	const char *word = json_string_value(json_object_get(request, "format"));
	const char *path = json_string_value(json_object_get(request, "path"));
	char own[600], message[200];
	struct kd_error err = { 0 };
	enum kd_status s;
	size_t i = 0;

	while (i < APP_ARRAY_LEN(formats) && word && strcmp(formats[i].name, word) != 0)
		i++;
	if (i == APP_ARRAY_LEN(formats))
		return show_failure(KD_E_INVALID, "the format is text, json or pcapng");
	if (!path &&
	    !default_log(p->vm, formats[i].suffix, own, sizeof(own), message, sizeof(message)))
		return show_failure(KD_E_IO, "%s", message);
	s = kd_relay_log_start(p->relay, path ? path : own, formats[i].format, &err);
	if (s != KD_OK)
		return show_error(s, &err);
	proxies_drop_empty_log(p);
	p->own_log = path ? NULL : app_strdup(own);
	return json_pack("{s:b, s:s}", "ok", 1, "path", path ? path : own);
}

json_t *proxy_log_stop(struct proxy *p, const struct kd_vm *vm)
{
	struct kd_relay_status st = { 0 };
	struct kd_error err = { 0 };
	enum kd_status s;

	if (p)
		kd_relay_status(p->relay, &st);
	if (!st.log[0])
		return show_failure(KD_E_NOT_FOUND, "%s has no log%s%s", vm->name,
				    st.log_trouble[0] ? ": " : "", st.log_trouble);
	s = kd_relay_log_stop(p->relay, &err);
	if (s != KD_OK)
		return show_error(s, &err);
	return json_pack("{s:b, s:s}", "ok", 1, "path", proxies_drop_empty_log(p) ? "" : st.log);
}
