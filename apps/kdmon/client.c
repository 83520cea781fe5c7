/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "apps/kd/text.h"
#include "apps/kdmon/place.h"
#include "apps/kdmon/show.h"

enum { LINE_LIMIT = 16 << 20, EVENTS_MAX = 1024 };

struct monitor_client {
	int fd;
	struct text in;
	json_t *events; /* that came while an answer was waited for */
	json_int_t next_id;
};

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

struct monitor_client *monitor_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct monitor_client *c;
	char message[200];
	int fd;

	if (!place_runtime(PLACE_SOCKET, address.sun_path, sizeof(address.sun_path), message,
			   sizeof(message)))
		return NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c = app_alloc(sizeof(*c));
	*c = (struct monitor_client){ .fd = fd, .events = json_array() };
	return c;
}

void monitor_close(struct monitor_client *c)
{
	if (!c)
		return;
	close(c->fd);
	text_free(&c->in);
	json_decref(c->events);
	free(c);
}

int monitor_fd(const struct monitor_client *c)
{
	return c->fd;
}

/* One line; NULL: not in time, or over. */
static char *next_line(struct monitor_client *c, long long end, bool *is_over_ret)
{
	for (;;) {
		char *line = text_take_line(&c->in);
		struct pollfd fd = { .fd = c->fd, .events = POLLIN };
		char bytes[65536];
		ssize_t n;

		if (line)
			return line;
		n = end < 0 ? -1 : APP_MAX(end - now_ms(), 0);
		n = poll(&fd, 1, (int)APP_MIN(n, (ssize_t)1000000));
		if (n < 0 && errno == EINTR)
			return NULL;
		if (n == 0)
			return NULL;
		n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n <= 0 || c->in.size > LINE_LIMIT) {
			*is_over_ret = true;
			return NULL;
		}
		text_append(&c->in, bytes, (size_t)n);
	}
}

static bool send_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

static bool send_request(struct monitor_client *c, const char *op, json_t *request)
{
	char *line;
	bool sent;

	json_object_set_new(request, "op", json_string(op));
	json_object_set_new(request, "id", json_integer(++c->next_id));
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	sent = line && send_all(c->fd, line, strlen(line)) && send_all(c->fd, "\n", 1);
	free(line);
	return sent;
}

json_t *monitor_ask(struct monitor_client *c, const char *op, json_t *request, int timeout_ms)
{
	long long end = now_ms() + timeout_ms;
	bool is_over = !send_request(c, op, request);

	while (!is_over && now_ms() < end) {
		char *line = next_line(c, end, &is_over);
		json_t *value = line ? json_loads(line, 0, NULL) : NULL;

		free(line);
		if (json_is_string(json_object_get(value, "event"))) {
			if (json_array_size(c->events) < EVENTS_MAX)
				json_array_append(c->events, value);
		} else if (json_integer_value(json_object_get(value, "id")) == c->next_id) {
			return value;
		}
		json_decref(value);
	}
	return show_failure(
		is_over ? KD_E_CLOSED : KD_E_TIMEOUT,
		is_over ? "the monitor ended the connection" : "the monitor does not answer");
}

json_t *monitor_next(struct monitor_client *c, int timeout_ms, bool *is_over_ret)
{
	long long end = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

	*is_over_ret = false;
	if (json_array_size(c->events)) {
		json_t *event = json_incref(json_array_get(c->events, 0));

		json_array_remove(c->events, 0);
		return event;
	}
	for (;;) {
		char *line = next_line(c, end, is_over_ret);
		json_t *value;

		if (!line)
			return NULL;
		value = json_loads(line, 0, NULL);
		free(line);
		if (json_is_string(json_object_get(value, "event")))
			return value;
		json_decref(value);
	}
}
