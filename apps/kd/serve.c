/* SPDX-License-Identifier: MIT */
/*
 * The session's socket: JSON lines, docs/session-socket.md. Everything happens in the main loop's
 * thread. A client that does not read is dropped when too much waits for it; it can never stop the
 * session.
 */
#include "apps/kd/serve.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <openkd/error.h>

#include "apps/kd/console.h"
#include "apps/kd/serve_private.h"

/* --- names --- */

bool server_name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 48 || name[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return true;
}

void server_name_from(const char *endpoint, char *name, size_t size)
{
	size_t n = 0;
	char net[32];

	/* A key must not become part of a file's name: only the port may. */
	if (strncasecmp(endpoint, "net:", 4) == 0) {
		const char *port = strcasestr(endpoint, "port=");

		snprintf(net, sizeof(net), "net-%.5s", port ? port + 5 : "");
		net[4 + strspn(net + 4, "0123456789")] = '\0';
		endpoint = net;
	}
	/* The end says more than the beginning: paths. */
	if (strlen(endpoint) > 40)
		endpoint += strlen(endpoint) - 40;
	for (; *endpoint && n + 1 < APP_MIN(size, (size_t)48); endpoint++) {
		bool is_good = isalnum((unsigned char)*endpoint) || *endpoint == '_' ||
			       (*endpoint == '.' && n > 0);

		if (is_good)
			name[n++] = *endpoint;
		else if (n > 0 && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	if (n == 0)
		app_copy(name, size, "session", 7);
}

/* --- clients --- */

static void on_client(void *context, int fd, short events);

static void drop(struct server *s, struct client *cl)
{
	watch_remove(s->con->watch, cl->fd);
	close(cl->fd);
	server_traffic_leave(s, cl);
	for (unsigned i = 0; i < cl->n_given; i++)
		close(cl->given[i]);
	text_free(&cl->in);
	text_free(&cl->out);
	*cl = (struct client){ .fd = -1 };
}

static void want(struct server *s, struct client *cl)
{
	short events = (short)(POLLIN | (cl->out.size ? POLLOUT : 0));

	if (!watch_add(s->con->watch, cl->fd, events, on_client, s))
		drop(s, cl);
}

/* What the socket takes now; the rest waits. */
static void flush(struct server *s, struct client *cl)
{
	while (cl->out.size) {
		ssize_t n = send(cl->fd, cl->out.data, cl->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			drop(s, cl);
			return;
		}
		memmove(cl->out.data, cl->out.data + n, cl->out.size - (size_t)n + 1);
		cl->out.size -= (size_t)n;
	}
	if (cl->is_closing && !cl->out.size)
		drop(s, cl);
	else
		want(s, cl);
}

static void send_json(struct server *s, struct client *cl, json_t *value)
{
	char *line = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));

	if (line && cl->out.size + strlen(line) < SERVER_OUTPUT_MAX) {
		text_add(&cl->out, line);
		text_add(&cl->out, "\n");
		flush(s, cl);
	} else {
		drop(s, cl);
	}
	free(line);
}

json_t *server_answer(json_t *id, const char *error)
{
	json_t *o = json_object();

	json_object_set(o, "id", id ? id : json_null());
	data_bool(o, "ok", !error);
	if (error)
		data_string(o, "error", error);
	return o;
}

void server_send(struct server *s, struct client *cl, json_t *o)
{
	send_json(s, cl, o);
	json_decref(o);
}

/* --- operations --- */

static const char *state_name(const struct kd_session *session)
{
	/* clang-format off */
	static const char *const names[] = {
		[KD_SESSION_DISCONNECTED] = "disconnected", [KD_SESSION_CONNECTING] = "connecting",
		[KD_SESSION_RUNNING] = "running",           [KD_SESSION_STOPPED] = "stopped",
		[KD_SESSION_RESYNC] = "resync",
	};
	/* clang-format on */
	return names[kd_session_state(session)];
}

static json_t *counters_json(const struct kd_session *session)
{
	struct kd_session_counters n;
	json_t *o = json_object();

	kd_session_counters(session, &n);
#define KD_X(field) data_integer(o, #field, (long long)n.field)
	KD_X(requests);
	KD_X(retries);
	KD_X(rx_bytes);
	KD_X(tx_bytes);
	KD_X(rx_packets);
	KD_X(tx_packets);
	KD_X(retransmits);
	KD_X(resends);
	KD_X(resets);
	KD_X(checksum_errors);
	KD_X(noise_bytes);
	KD_X(stops);
	KD_X(prints);
	KD_X(memory_hits);
	KD_X(memory_misses);
	KD_X(memory_direct);
	KD_X(round_trip_ns_median);
	KD_X(round_trip_ns_p99);
#undef KD_X
	return o;
}

/* "x64, build 19041"; "" while nothing is known. */
static void os_text(struct server *s, char *text, size_t size)
{
	struct kd_target_info info;
	const char *machine;

	text[0] = '\0';
	if (kd_session_target(s->con->session, &info, NULL) != KD_OK)
		return;
	machine = info.machine == 0x8664   ? "x64"
		  : info.machine == 0x14C  ? "x86"
		  : info.machine == 0xAA64 ? "arm64"
					   : "unknown machine";
	snprintf(text, size, "%s, build %u%s%s", machine, info.build, info.build_lab[0] ? ", " : "",
		 info.build_lab);
}

static void op_status(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	char why[1024], os[200];
	json_t *o = server_answer(id, NULL);

	(void)request;
	kd_session_describe(s->con->session, why, sizeof(why));
	data_string(o, "state", state_name(s->con->session));
	data_string(o, "description", why);
	os_text(s, os, sizeof(os));
	data_string(o, "os", os);
	data_integer(o, "processors", kd_session_n_processors(s->con->session));
	json_object_set_new(o, "stop",
			    s->con->is_stopped ? console_stop_json(s->con) : json_null());
	json_object_set_new(o, "counters", counters_json(s->con->session));
	server_send(s, cl, o);
}

static void op_subscribe(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	json_t *on = json_object_get(request, "on");

	cl->is_subscribed = !on || json_is_true(on);
	server_send(s, cl, server_answer(id, NULL));
}

static void op_break(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	(void)request;
	kd_session_break_in(s->con->session);
	server_send(s, cl, server_answer(id, NULL));
}

static void op_rejoin(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	(void)request;
	kd_session_rejoin(s->con->session);
	server_send(s, cl, server_answer(id, NULL));
}

static void op_run(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	struct job job = { .origin = JOB_CLIENT, .client = cl->number };

	if (!command) {
		server_send(s, cl, server_answer(id, "\"command\" is missing"));
		return;
	}
	if (cl->n_jobs >= SERVER_JOBS_MAX) {
		server_send(s, cl,
			    server_answer(id, "too many commands wait; read the answers first"));
		return;
	}
	job.text = app_strdup(command);
	job.request_id = json_incref(id ? id : json_null());
	if (console_push_job(s->con, &job))
		cl->n_jobs++;
	else
		server_send(s, cl, server_answer(id, "too many commands wait"));
}

static void op_ping(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	(void)request;
	server_send(s, cl, server_answer(id, NULL));
}

static const struct {
	const char *name;
	void (*run)(struct server *s, struct client *cl, json_t *request, json_t *id);
} operations[] = {
	{ "ping", op_ping },   { "status", op_status }, { "subscribe", op_subscribe },
	{ "break", op_break }, { "rejoin", op_rejoin }, { "run", op_run },
};

static void on_request(struct server *s, struct client *cl, const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *op = json_string_value(json_object_get(request, "op"));
	json_t *id = json_object_get(request, "id");
	size_t i = 0;

	while (op && i < APP_ARRAY_LEN(operations) && strcmp(operations[i].name, op) != 0)
		i++;
	if (!json_is_object(request))
		server_send(s, cl, server_answer(NULL, "a line is one JSON object"));
	else if (op && i < APP_ARRAY_LEN(operations))
		operations[i].run(s, cl, request, id);
	else if (!op || !server_traffic_request(s, cl, op, request, id))
		server_send(
			s, cl,
			server_answer(id, "\"op\" is ping, status, subscribe, break, rejoin, run, "
					  "or one of traffic's (docs/session-socket.md)"));
	json_decref(request);
}

/* --- bytes --- */

/* Lines one by one; a request may end in the client being dropped. */
static void take_requests(struct server *s, struct client *cl)
{
	uint64_t number = cl->number;
	char *line;

	while (cl->fd >= 0 && cl->number == number && !cl->is_closing &&
	       (line = text_take_line(&cl->in))) {
		on_request(s, cl, line);
		free(line);
	}
}

/* Descriptors that nobody asks for are closed; more than fit too. */
static void keep_given(struct client *cl, const struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (cl->n_given < APP_ARRAY_LEN(cl->given))
			cl->given[cl->n_given++] = fd;
		else
			close(fd);
	}
}

static ssize_t receive(struct client *cl, char *bytes, size_t size)
{
	union {
		char bytes[CMSG_SPACE(SERVER_GIVEN_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec v = { bytes, size };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(cl->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			keep_given(cl, c);
	return n;
}

static void read_client(struct server *s, struct client *cl)
{
	char bytes[16384];
	ssize_t n = receive(cl, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(s, cl);
		return;
	}
	text_append(&cl->in, bytes, (size_t)n);
	if (cl->in.size > SERVER_LINE_MAX && !memchr(cl->in.data, '\n', cl->in.size)) {
		cl->is_closing = true;
		server_send(s, cl, server_answer(NULL, "a request is above 160 KB"));
		return;
	}
	take_requests(s, cl);
}

static void on_client(void *context, int fd, short events)
{
	struct server *s = context;
	struct client *cl = NULL;

	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd == fd)
			cl = &s->clients[i];
	if (!cl)
		return;
	if (events & POLLOUT) {
		uint64_t number = cl->number;

		flush(s, cl);
		if (cl->fd < 0 || cl->number != number)
			return;
	}
	if (events & (POLLIN | POLLHUP | POLLERR))
		read_client(s, cl);
}

/* --- the listening socket --- */

/* The folder is ours alone, but root may look too. */
static bool is_allowed(int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
		return false;
	return cred.uid == getuid() || cred.uid == 0;
}

static void greet(struct server *s, struct client *cl)
{
	json_t *o = json_object();

	data_string(o, "hello", "openkd");
	data_integer(o, "protocol", 1);
	data_string(o, "version", kd_library_version());
	data_string(o, "session", s->name);
	data_string(o, "endpoint", kd_session_endpoint(s->con->session));
	data_integer(o, "pid", getpid());
	data_string(o, "state", state_name(s->con->session));
	server_send(s, cl, o);
}

static void on_connection(void *context, int listener, short events)
{
	struct server *s = context;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	for (size_t i = 0; is_allowed(fd) && i < SERVER_CLIENTS_MAX; i++) {
		struct client *cl = &s->clients[i];

		if (cl->fd >= 0)
			continue;
		*cl = (struct client){ .fd = fd, .number = ++s->next_number };
		greet(s, cl);
		return;
	}
	close(fd); /* not one of us, or too many */
}

static bool someone_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered = fd >= 0 &&
			connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (fd >= 0)
		close(fd);
	return answered;
}

bool server_runtime_folder(char *path, size_t size, char *message, size_t message_size)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char fallback[64];
	struct stat st;

	if (!base || base[0] != '/') {
		snprintf(fallback, sizeof(fallback), "/run/user/%u", (unsigned)getuid());
		base = fallback;
	}
	if (stat(base, &st) != 0 || !S_ISDIR(st.st_mode)) {
		snprintf(message, message_size, "no runtime folder ($XDG_RUNTIME_DIR)");
		return false;
	}
	snprintf(path, size, "%s/openkd", base);
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		snprintf(message, message_size, "%s: %s", path, strerror(errno));
		return false;
	}
	/* A folder that others can reach would let them in. */
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() ||
	    st.st_mode & 077) {
		snprintf(message, message_size, "%s is not a folder of ours with mode 0700", path);
		return false;
	}
	return true;
}

/* Bind under `name`, or `name`-PID when another session has it. */
static bool listen_as(struct server *s, const char *folder, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int bound;

	app_copy(s->name, sizeof(s->name), name, strlen(name));
	for (int tries = 0; tries < 2; tries++) {
		if (snprintf(s->path, sizeof(s->path), "%s/%s.sock", folder, s->name) >=
		    (int)sizeof(s->path)) {
			errno = ENAMETOOLONG;
			return false;
		}
		memcpy(address.sun_path, s->path, sizeof(s->path));
		if (!someone_listens(&address))
			break;
		snprintf(s->name, sizeof(s->name), "%.48s-%d", name, (int)getpid());
	}
	unlink(s->path); /* left behind by a session that was killed */
	mask = umask(0177);
	bound = bind(s->fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	return bound == 0 && listen(s->fd, SERVER_CLIENTS_MAX) == 0;
}

struct server *server_create(struct console *c, const char *name, char *message_ret, size_t size)
{
	struct server *s;
	char folder[256];

	if (!server_runtime_folder(folder, sizeof(folder), message_ret, size))
		return NULL;
	s = app_alloc(sizeof(*s));
	s->con = c;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || !listen_as(s, folder, name) ||
	    !watch_add(c->watch, s->fd, POLLIN, on_connection, s)) {
		snprintf(message_ret, size, "%s: %s", s->path, strerror(errno));
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return NULL;
	}
	return s;
}

void server_destroy(struct server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			drop(s, &s->clients[i]);
	watch_remove(s->con->watch, s->fd);
	close(s->fd);
	unlink(s->path);
	free(s);
}

const char *server_path(const struct server *s)
{
	return s ? s->path : "";
}

bool server_has_subscribers(const struct server *s)
{
	for (size_t i = 0; s && i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].is_subscribed)
			return true;
	return false;
}

void server_publish(struct server *s, json_t *event)
{
	for (size_t i = 0; s && i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].is_subscribed)
			send_json(s, &s->clients[i], event);
	json_decref(event);
}

void server_publish_traffic(struct server *s, json_t *event)
{
	for (size_t i = 0; s && i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].hears_traffic)
			send_json(s, &s->clients[i], event);
	json_decref(event);
}

void server_answer_run(struct server *s, uint64_t client, json_t *id, json_t *results)
{
	bool is_ok = true;
	size_t i;
	json_t *r, *o;

	json_array_foreach(results, i, r) is_ok &= json_is_true(json_object_get(r, "ok"));
	o = json_object();
	json_object_set_new(o, "id", id);
	data_bool(o, "ok", is_ok);
	json_object_set_new(o, "results", results);
	for (i = 0; s && i < SERVER_CLIENTS_MAX; i++) {
		if (s->clients[i].fd < 0 || s->clients[i].number != client)
			continue;
		s->clients[i].n_jobs--;
		send_json(s, &s->clients[i], o);
	}
	json_decref(o);
}
