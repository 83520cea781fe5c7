/* SPDX-License-Identifier: MIT */
#include "lib/vm/qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/vm/libvirt_job.h"
#include "lib/vm/qmp_message.h"

enum {
	OUT_MAX = 1 << 20,
	READ_SIZE = 64 << 10,
	ID_SIZE = 24,
	RETRY_MS = 20,
	/* Reads after the deadline: what is there is looked at, who never stops talking is not. */
	LATE_ROUNDS = 16,
	SHOWN_SIZE = 160,
};

struct kd_qmp {
	int fd; /* -1: libvirt has it */
	struct sockaddr_un address;
	char uri[KD_QEMU_TEXT_SIZE], domain[KD_QEMU_TEXT_SIZE]; /* where libvirt has it */
	char version[32];
	struct kd__qmp_reader in;
	char *out; /* what was not sent yet */
	size_t out_used;
	uint64_t last_id;
	struct kd_error over; /* status other than KD_OK: nothing comes any more, and why */
	struct kd_qmp_event events[KD_QMP_EVENTS_MAX];
	size_t first_event, n_events;
	uint64_t n_lost_events;
};

const char *kd_qmp_version(const struct kd_qmp *q)
{
	return q->version;
}

const char *kd_qmp_path(const struct kd_qmp *q)
{
	return q->address.sun_path;
}

uint64_t kd_qmp_n_lost_events(const struct kd_qmp *q)
{
	return q->n_lost_events;
}

int kd_qmp_fd(const struct kd_qmp *q)
{
	return q->fd;
}

struct kd_qmp_peer kd_qmp_peer(const struct kd_qmp *q)
{
	struct ucred c = { 0 };
	socklen_t size = sizeof c;

	if (getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &c, &size) != 0)
		return (struct kd_qmp_peer){ .uid = (uid_t)-1 };
	return (struct kd_qmp_peer){ .pid = c.pid, .uid = c.uid };
}

/* --- bytes --- */

/* The connection is of no use from here on. */
static enum kd_status end(struct kd_qmp *q, enum kd_status status, struct kd_error *err)
{
	kd_error_prefix(err, status, "monitor %.60s", q->address.sun_path);
	q->over = *err;
	return status;
}

static enum kd_status say_over(const struct kd_qmp *q, struct kd_error *err)
{
	if (err)
		*err = q->over;
	return q->over.status;
}

static enum kd_status flush_out(struct kd_qmp *q, struct kd_error *err)
{
	while (q->out_used) {
		ssize_t n = send(q->fd, q->out, q->out_used, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return KD_OK;
		/* What it said before it went is still to be read. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			q->out_used = 0;
			return KD_OK;
		}
		if (n < 0) {
			kd_error_set(err, KD_E_IO, 0, "sending: %s", strerror(errno));
			return end(q, KD_E_IO, err);
		}
		q->out_used -= (size_t)n;
		memmove(q->out, q->out + n, q->out_used);
	}
	return KD_OK;
}

static enum kd_status fill_in(struct kd_qmp *q, struct kd_error *err)
{
	char bytes[READ_SIZE];
	ssize_t n = recv(q->fd, bytes, sizeof bytes, 0);
	enum kd_status s;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return KD_OK;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		kd_error_set(err, KD_E_CLOSED, 0, "QEMU closed it: the VM ended");
		return end(q, KD_E_CLOSED, err);
	}
	if (n < 0) {
		kd_error_set(err, KD_E_IO, 0, "receiving: %s", strerror(errno));
		return end(q, KD_E_IO, err);
	}
	s = kd__qmp_feed(&q->in, bytes, (size_t)n, err);
	return s == KD_OK ? KD_OK : end(q, s, err);
}

/* The next message of any kind. *late counts reads after the deadline. */
static enum kd_status receive(struct kd_qmp *q, uint64_t deadline, const struct kd_cancel *cancel,
			      unsigned *late, struct kd__qmp_message *ret, struct kd_error *err)
{
	for (;;) {
		struct kd_wait_fd fd = { .fd = q->fd, .want_read = true };
		enum kd_status s = kd__qmp_next(&q->in, ret, err);

		if (s == KD_OK)
			return KD_OK;
		if (s != KD_E_AGAIN)
			return end(q, s, err);
		if (kd_now_ns() >= deadline && (*late)++ == LATE_ROUNDS)
			return kd_error_set(err, KD_E_TIMEOUT, 0, "no answer in time");
		s = flush_out(q, err);
		fd.want_write = q->out_used > 0;
		if (s == KD_OK)
			s = kd_wait(&fd, 1, deadline, cancel, err);
		if (s == KD_OK && fd.can_read_ret)
			s = fill_in(q, err);
		if (s != KD_OK)
			return s;
	}
}

/* --- events --- */

void kd_qmp_event_deinit(struct kd_qmp_event *e)
{
	json_decref(e->data);
	memset(e, 0, sizeof *e);
}

static void to_event(const struct kd__qmp_message *m, struct kd_qmp_event *ret)
{
	kd__vm_printable(m->name, ret->name, sizeof ret->name);
	ret->time_us = m->time_us;
	ret->data = json_incref(m->value);
}

static void keep_event(struct kd_qmp *q, const struct kd__qmp_message *m)
{
	if (q->n_events == KD_QMP_EVENTS_MAX) {
		kd_qmp_event_deinit(&q->events[q->first_event]);
		q->first_event = (q->first_event + 1) % KD_QMP_EVENTS_MAX;
		q->n_events--;
		q->n_lost_events++;
	}
	to_event(m, &q->events[(q->first_event + q->n_events) % KD_QMP_EVENTS_MAX]);
	q->n_events++;
}

enum kd_status kd_qmp_next_event(struct kd_qmp *q, uint64_t deadline,
				 const struct kd_cancel *cancel, struct kd_qmp_event *ret,
				 struct kd_error *err)
{
	struct kd_error own;
	unsigned late = 0;

	if (!err)
		err = &own;
	if (q->n_events) {
		*ret = q->events[q->first_event];
		q->first_event = (q->first_event + 1) % KD_QMP_EVENTS_MAX;
		q->n_events--;
		return KD_OK;
	}
	if (q->over.status != KD_OK)
		return say_over(q, err);
	if (q->fd < 0)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0, "libvirt keeps the events");
	for (;;) {
		struct kd__qmp_message m;
		enum kd_status s = receive(q, deadline, cancel, &late, &m, err);
		bool is_event;

		if (s != KD_OK)
			return s;
		is_event = m.kind == KD__QMP_EVENT; /* else an answer that came too late */
		if (is_event)
			to_event(&m, ret);
		kd__qmp_message_deinit(&m);
		if (is_event)
			return KD_OK;
	}
}

/* --- commands --- */

/* The line {"execute": ..., "arguments": ..., "id": ...}, to be free()d. `id` may be NULL. */
static enum kd_status compose(const char *command, json_t *arguments, const char *id,
			      char **text_ret, struct kd_error *err)
{
	json_t *root = json_pack("{s:s, s:s*}", "execute", command, "id", id);

	*text_ret = NULL;
	if (root && arguments && json_object_set(root, "arguments", arguments) != 0) {
		json_decref(root);
		return kd_error_set(err, KD_E_INVALID, 0, "the arguments are no JSON object");
	}
	if (root)
		*text_ret = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return *text_ret ? KD_OK : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
}

/* It goes behind what waits already. */
static enum kd_status queue_line(struct kd_qmp *q, const char *text, struct kd_error *err)
{
	size_t n = strlen(text);
	char *grown;

	if (n >= OUT_MAX - q->out_used)
		return kd_error_set(err, KD_E_FULL, 0,
				    "the monitor %.60s does not take what it was told before",
				    q->address.sun_path);
	grown = realloc(q->out, q->out_used + n + 1);
	if (!grown)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	q->out = grown;
	memcpy(grown + q->out_used, text, n);
	grown[q->out_used + n] = '\n';
	q->out_used += n + 1;
	return KD_OK;
}

static enum kd_status refusal(const char *command, const struct kd__qmp_message *m,
			      struct kd_error *err)
{
	static const struct {
		const char *name;
		enum kd_status status;
	} classes[] = {
		{ "CommandNotFound", KD_E_UNSUPPORTED },
		{ "DeviceNotFound", KD_E_NOT_FOUND },
	};
	char text[SHOWN_SIZE];
	enum kd_status status = KD_E_TARGET;

	for (size_t i = 0; i < KD_ARRAY_LEN(classes); i++)
		if (!strcmp(m->name, classes[i].name))
			status = classes[i].status;
	return kd_error_set(err, status, 0, "QEMU refused %.40s: %s", command,
			    kd__vm_printable(m->text, text, sizeof text));
}

/* Is it the answer to `id`? An error without an id is QEMU's "I could not read your line". */
static bool is_answer(const struct kd__qmp_message *m, const char *id)
{
	if (m->kind == KD__QMP_ERROR && !m->id)
		return true;
	return (m->kind == KD__QMP_RETURN || m->kind == KD__QMP_ERROR) && m->id &&
	       !strcmp(m->id, id);
}

static enum kd_status wait_for_answer(struct kd_qmp *q, const char *command, const char *id,
				      uint64_t deadline, const struct kd_cancel *cancel,
				      json_t **return_ret, struct kd_error *err)
{
	unsigned late = 0;

	for (;;) {
		struct kd__qmp_message m;
		enum kd_status s = receive(q, deadline, cancel, &late, &m, err);
		bool done;

		if (s == KD_E_TIMEOUT)
			return kd_error_set(err, s, 0,
					    "the monitor %.60s did not answer %.40s in time",
					    q->address.sun_path, command);
		if (s != KD_OK)
			return s;
		done = is_answer(&m, id);
		if (m.kind == KD__QMP_EVENT)
			keep_event(q, &m);
		if (done && m.kind == KD__QMP_ERROR)
			s = refusal(command, &m, err);
		else if (done && return_ret)
			*return_ret = json_incref(m.value);
		kd__qmp_message_deinit(&m);
		if (done)
			return s;
	}
}

static enum kd_status exchange(struct kd_qmp *q, const char *command, const char *line,
			       const char *id, uint64_t deadline, const struct kd_cancel *cancel,
			       json_t **return_ret, struct kd_error *err)
{
	enum kd_status s = queue_line(q, line, err);

	return s == KD_OK ? wait_for_answer(q, command, id, deadline, cancel, return_ret, err) : s;
}

/* One message, and all of it. libvirt gives it as QEMU wrote it, with an id of its own. */
static enum kd_status parse_answer(const char *answer, struct kd__qmp_message *ret,
				   struct kd_error *err)
{
	struct kd__qmp_reader reader = { 0 };
	size_t size = strnlen(answer, KD_QMP_LINE_MAX);
	enum kd_status s = kd__qmp_feed(&reader, answer, size, err);

	if (s == KD_OK)
		s = kd__qmp_feed(&reader, "\n", 1, err);
	if (s == KD_OK)
		s = kd__qmp_next(&reader, ret, err);
	if (s == KD_E_AGAIN)
		s = kd_error_set(err, KD_E_MALFORMED, 0, "libvirt's answer is empty");
	kd__qmp_reader_deinit(&reader);
	return s;
}

static enum kd_status read_answer(const char *command, const char *answer, json_t **return_ret,
				  struct kd_error *err)
{
	struct kd__qmp_message m;
	enum kd_status s = parse_answer(answer, &m, err);

	if (s != KD_OK)
		return s;
	if (m.kind == KD__QMP_ERROR)
		s = refusal(command, &m, err);
	else if (m.kind != KD__QMP_RETURN)
		s = kd_error_set(err, KD_E_MALFORMED, 0, "libvirt's answer to %.40s is none",
				 command);
	else if (return_ret)
		*return_ret = json_incref(m.value);
	kd__qmp_message_deinit(&m);
	return s;
}

static enum kd_status exchange_by_libvirt(struct kd_qmp *q, const char *command, const char *line,
					  uint64_t deadline, json_t **return_ret,
					  struct kd_error *err)
{
	char *answer;
	enum kd_status s = kd__libvirt_monitor(q->uri, q->domain, line, deadline, &answer, err);

	if (s == KD_OK)
		s = read_answer(command, answer, return_ret, err);
	free(answer);
	return s;
}

enum kd_status kd_qmp_execute(struct kd_qmp *q, const char *command, json_t *arguments,
			      uint64_t deadline, const struct kd_cancel *cancel,
			      json_t **return_ret, struct kd_error *err)
{
	struct kd_error own;
	char id[ID_SIZE], *line;
	enum kd_status s;

	if (!err)
		err = &own;
	if (return_ret)
		*return_ret = NULL;
	if (q->over.status != KD_OK) {
		json_decref(arguments);
		return say_over(q, err);
	}
	snprintf(id, sizeof id, "kd-%" PRIu64, ++q->last_id);
	s = compose(command, arguments, q->fd < 0 ? NULL : id, &line,
		    err); /* libvirt has its own */
	json_decref(arguments);
	if (s == KD_OK)
		s = q->fd < 0 ? exchange_by_libvirt(q, command, line, deadline, return_ret, err)
			      : exchange(q, command, line, id, deadline, cancel, return_ret, err);
	free(line);
	return s;
}

enum kd_status kd_qmp_monitor_command(struct kd_qmp *q, const char *line, uint64_t deadline,
				      const struct kd_cancel *cancel, char **text_ret,
				      struct kd_error *err)
{
	json_t *value = NULL;
	enum kd_status s = kd_qmp_execute(q, "human-monitor-command",
					  json_pack("{s:s}", "command-line", line), deadline,
					  cancel, &value, err);

	*text_ret = NULL;
	if (s != KD_OK)
		return s;
	if (json_is_string(value))
		*text_ret = strdup(json_string_value(value));
	else
		s = kd_error_set(err, KD_E_MALFORMED, 0,
				 "the answer to the monitor command %.60s is no text", line);
	json_decref(value);
	if (s == KD_OK && !*text_ret)
		s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return s;
}

/* --- opening --- */

static enum kd_status held(const struct kd_qmp *q, struct kd_error *err)
{
	return kd_error_set(err, KD_E_TIMEOUT, 0,
			    "the monitor %.60s gives no greeting: another client (libvirt, kdmon?) "
			    "holds it, and it serves one at a time. Start the VM with one more: "
			    "-qmp unix:PATH,server=on,wait=off",
			    q->address.sun_path);
}

static enum kd_status connect_failure(const struct kd_qmp *q, int number, struct kd_error *err)
{
	const char *path = q->address.sun_path;

	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "there is no monitor socket %.100s: start the VM with -qmp "
				    "unix:PATH,server=on,wait=off",
				    path);
	case ECONNREFUSED:
		return kd_error_set(err, KD_E_CLOSED, 0,
				    "nobody listens at the monitor socket %.100s: the VM is not "
				    "running",
				    path);
	case EACCES:
	case EPERM:
		return kd_error_set(err, KD_E_DENIED, 0,
				    "permission denied for the monitor socket %.80s: run as the "
				    "VM's user or open the socket and its folder to you",
				    path);
	default:
		return kd_error_set(err, KD_E_IO, 0, "connecting to the monitor %.80s: %s", path,
				    strerror(number));
	}
}

/* A full queue (clients wait before us) is tried again until the deadline. */
static enum kd_status do_connect(struct kd_qmp *q, uint64_t deadline,
				 const struct kd_cancel *cancel, struct kd_error *err)
{
	for (;;) {
		uint64_t now;
		enum kd_status s;

		if (connect(q->fd, (const struct sockaddr *)&q->address, sizeof q->address) == 0)
			return KD_OK;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return connect_failure(q, errno, err);
		now = kd_now_ns();
		if (now >= deadline)
			return held(q, err);
		s = kd_wait(NULL, 0, KD_MIN(deadline, now + RETRY_MS * KD_NS_PER_MS), cancel, err);
		if (s != KD_E_TIMEOUT)
			return s;
	}
}

/* {"qemu": {"major": ...}, ...} */
static void read_version(const json_t *version, char *out, size_t size)
{
	const json_t *v = json_object_get(version, "qemu");

	snprintf(out, size, "%d.%d.%d", (int)json_integer_value(json_object_get(v, "major")),
		 (int)json_integer_value(json_object_get(v, "minor")),
		 (int)json_integer_value(json_object_get(v, "micro")));
}

static enum kd_status greet(struct kd_qmp *q, uint64_t deadline, const struct kd_cancel *cancel,
			    struct kd_error *err)
{
	struct kd__qmp_message m;
	unsigned late = 0;
	enum kd_status s = receive(q, deadline, cancel, &late, &m, err);

	if (s == KD_E_TIMEOUT)
		return held(q, err);
	if (s != KD_OK)
		return s;
	if (m.kind == KD__QMP_GREETING)
		read_version(json_object_get(m.value, "version"), q->version, sizeof q->version);
	else
		s = kd_error_set(err, KD_E_MALFORMED, 0,
				 "the monitor %.60s does not begin with a greeting",
				 q->address.sun_path);
	kd__qmp_message_deinit(&m);
	return s;
}

enum kd_status kd_qmp_open(const char *path, uint64_t deadline, const struct kd_cancel *cancel,
			   struct kd_qmp **qmp_ret, struct kd_error *err)
{
	struct kd_error own;
	struct kd_qmp *q;
	enum kd_status s;

	if (!err)
		err = &own;
	if (strlen(path) >= sizeof q->address.sun_path)
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "the path %.100s... is too long for a socket", path);
	q = calloc(1, sizeof *q);
	if (!q)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	q->address.sun_family = AF_UNIX;
	strcpy(q->address.sun_path, path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s = q->fd < 0 ? kd_error_set(err, KD_E_IO, 0, "no socket: %s", strerror(errno))
		      : do_connect(q, deadline, cancel, err);
	if (s == KD_OK)
		s = greet(q, deadline, cancel, err);
	if (s == KD_OK)
		s = kd_qmp_execute(q, "qmp_capabilities", NULL, deadline, cancel, NULL, err);
	if (s == KD_OK)
		*qmp_ret = q;
	else
		kd_qmp_close(q);
	return s;
}

enum kd_status kd_qmp_open_libvirt(const char *uri, const char *domain, uint64_t deadline,
				   struct kd_qmp **qmp_ret, struct kd_error *err)
{
	struct kd_qmp *q = calloc(1, sizeof *q);
	json_t *version = NULL;
	enum kd_status s;

	if (!q)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	q->fd = -1;
	snprintf(q->uri, sizeof q->uri, "%s", uri);
	snprintf(q->domain, sizeof q->domain, "%s", domain);
	snprintf(q->address.sun_path, sizeof q->address.sun_path, "%.40s of %.40s", domain, uri);
	s = kd_qmp_execute(q, "query-version", NULL, deadline, NULL, &version, err);
	if (s != KD_OK) {
		kd_qmp_close(q);
		return s;
	}
	read_version(version, q->version, sizeof q->version);
	json_decref(version);
	*qmp_ret = q;
	return KD_OK;
}

void kd_qmp_close(struct kd_qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	while (q->n_events) {
		kd_qmp_event_deinit(&q->events[q->first_event]);
		q->first_event = (q->first_event + 1) % KD_QMP_EVENTS_MAX;
		q->n_events--;
	}
	kd__qmp_reader_deinit(&q->in);
	free(q->out);
	free(q);
}
