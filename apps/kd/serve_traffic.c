/* SPDX-License-Identifier: MIT */
/*
 * Traffic on the session's socket. Who asks for it has it as long as it stays connected: traffic
 * that the console's user did not start ends with the last client that wants it, and what is held
 * for a client does not wait for one that is gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openkd/error.h>

#include "apps/kd/console.h"
#include "apps/kd/serve_private.h"
#include "apps/kd/traffic.h"
#include "apps/kd/traffic_ops.h"

enum { MEET_S = 5 };

static struct traffic_place place_of(struct server *s)
{
	struct traffic *ours = &s->con->traffic;

	return (struct traffic_place){ ours->t, &ours->filter, &ours->intercept };
}

static enum kd_status need_traffic(struct server *s, struct kd_error *err)
{
	return s->con->traffic.t
		       ? KD_OK
		       : app_error(err, KD_E_NOT_FOUND, "no traffic is looked at: traffic-start");
}

/* --- starting, stopping --- */

/*
 * A target that was not heard yet is stopped, so that its modules are known, and let run again
 * unless it stood still before we came.
 */
static enum kd_status meet_target(struct console *c, bool *was_stopped_ret, struct kd_error *err)
{
	uint64_t deadline = console_now_ns() + MEET_S * UINT64_C(1000000000);

	*was_stopped_ret = false;
	if (c->is_connected)
		return KD_OK;
	if (kd_session_state(c->session) == KD_SESSION_DISCONNECTED)
		return app_error(err, KD_E_NOT_CONNECTED, "no target is connected");
	kd_session_break_in(c->session);
	while (!c->is_stopped && !c->is_leaving) {
		if (console_now_ns() >= deadline)
			return app_error(
				err, KD_E_TIMEOUT,
				"the target was not heard in %d s: is it off, or its kernel "
				"debugging not enabled?",
				MEET_S);
		console_step(c, 50);
	}
	*was_stopped_ret = c->is_stopped && c->stop.reason == KD_STOP_BREAK_IN;
	return KD_OK;
}

/* In a job: commands that take their time are not in the way. */
static enum kd_status begin(struct server *s, json_t *request, bool *was_running_ret,
			    struct kd_error *err)
{
	struct console *c = s->con;
	struct kd_traffic_options options;
	bool stopped_for_it;
	enum kd_status status = traffic_op_options(request, &options, err);

	if (status == KD_OK)
		status = meet_target(c, &stopped_for_it, err);
	*was_running_ret = c->traffic.t != NULL; /* others came first */
	if (status != KD_OK)
		return status;
	if (!*was_running_ret) {
		status = traffic_start_with(c, &options, err);
		c->traffic.is_for_clients = status == KD_OK;
	}
	if (stopped_for_it && c->is_stopped)
		console_run(c, "g");
	return status;
}

static struct client *client_of(struct server *s, uint64_t number)
{
	for (size_t i = 0; s && i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].number == number)
			return &s->clients[i];
	return NULL;
}

static json_t *failure(json_t *id, enum kd_status status, const struct kd_error *err)
{
	json_t *o = server_answer(id, err->text[0] ? err->text : kd_status_text(status));

	data_string(o, "status", kd_status_name(status));
	if (status == KD_E_SYNTAX)
		data_integer(o, "where", (long long)err->where);
	return o;
}

void server_traffic_start(struct server *s, uint64_t client, json_t *id, json_t *request)
{
	struct client *cl = client_of(s, client);
	struct kd_traffic_counters n;
	struct traffic_place place;
	struct kd_error err = { 0 };
	bool was_running;
	json_t *o;
	enum kd_status status;

	if (!cl)
		return;
	status = begin(s, request, &was_running, &err);
	cl = client_of(s, client);
	if (!cl) { /* gone meanwhile */
		if (status == KD_OK && !was_running)
			traffic_stop(s->con);
		return;
	}
	cl->n_jobs--;
	if (status != KD_OK) {
		server_send(s, cl, failure(id, status, &err));
		return;
	}
	place = place_of(s);
	kd_traffic_counters(place.t, &n);
	cl->uses_traffic = true;
	cl->intercepts |= !was_running && n.mode == KD_TRAFFIC_INTERCEPT;
	o = server_answer(id, NULL);
	data_bool(o, "was_running", was_running);
	traffic_op_status(&place, o);
	server_send(s, cl, o);
}

/* True: it will be answered. */
static bool push_start(struct server *s, struct client *cl, json_t *request, json_t *id)
{
	struct job job = { .origin = JOB_CLIENT, .client = cl->number };

	if (cl->n_jobs >= SERVER_JOBS_MAX)
		return false;
	job.request_id = json_incref(id ? id : json_null());
	job.request = json_incref(request);
	if (!console_push_job(s->con, &job))
		return false;
	cl->n_jobs++;
	return true;
}

static enum kd_status stop(struct server *s, struct client *cl, json_t *request, json_t *answer,
			   struct kd_error *err)
{
	enum kd_status status = need_traffic(s, err);

	(void)cl;
	(void)request;
	(void)answer;
	if (status == KD_OK)
		traffic_stop(s->con);
	return status;
}

void server_traffic_stopped(struct server *s)
{
	for (size_t i = 0; s && i < SERVER_CLIENTS_MAX; i++) {
		struct client *cl = &s->clients[i];

		cl->uses_traffic = cl->intercepts = false;
		cl->n_streams = 0;
	}
}

static enum kd_status set_mode(struct server *s, struct client *cl, json_t *request, json_t *answer,
			       struct kd_error *err)
{
	struct traffic_place place = place_of(s);
	struct kd_traffic_counters before, now;
	bool is_clients = false;
	enum kd_status status = need_traffic(s, err);

	if (status != KD_OK)
		return status;
	kd_traffic_counters(place.t, &before);
	status = traffic_op(&place, "traffic-mode", request, answer, err);
	if (status != KD_OK)
		return status;
	kd_traffic_counters(place.t, &now);
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		s->clients[i].intercepts &= now.mode == KD_TRAFFIC_INTERCEPT;
		is_clients |= s->clients[i].intercepts;
	}
	/* what the console had held before does not become a client's, to end with it */
	cl->intercepts = now.mode == KD_TRAFFIC_INTERCEPT &&
			 (is_clients || before.mode != KD_TRAFFIC_INTERCEPT);
	return KD_OK;
}

static enum kd_status hear(struct server *s, struct client *cl, json_t *request, json_t *answer,
			   struct kd_error *err)
{
	json_t *on = json_object_get(request, "on");

	(void)s;
	(void)answer;
	(void)err;
	cl->hears_traffic = !on || json_is_true(on);
	return KD_OK;
}

/* --- streams --- */

static int take_given(struct client *cl)
{
	int fd = cl->n_given ? cl->given[0] : -1;

	if (cl->n_given)
		memmove(cl->given, cl->given + 1, --cl->n_given * sizeof(cl->given[0]));
	return fd;
}

/* A pipe or socket: a file of the client's would be written by us without its limits and place. */
static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Those whose readers went away have ended by themselves. */
static void forget_ended_streams(struct server *s, struct client *cl)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cl->n_streams; i++)
		if (kd_traffic_has_stream(s->con->traffic.t, cl->streams[i]))
			cl->streams[n++] = cl->streams[i];
	cl->n_streams = n;
}

static enum kd_status begin_stream(struct server *s, struct client *cl, json_t *request,
				   json_t *answer, struct kd_error *err)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	unsigned id;
	enum kd_status status = need_traffic(s, err);

	(void)request;
	options.fd = take_given(cl);
	if (options.fd < 0)
		return app_error(err, KD_E_INVALID,
				 "send the pipe's descriptor with the request (SCM_RIGHTS)");
	if (status == KD_OK && !is_pipe(options.fd))
		status = app_error(err, KD_E_INVALID, "the descriptor is no pipe");
	if (status == KD_OK)
		forget_ended_streams(s, cl);
	if (status == KD_OK && cl->n_streams == SERVER_STREAMS_MAX)
		status = app_error(err, KD_E_FULL, "too many streams of one client");
	if (status != KD_OK) {
		close(options.fd);
		return status;
	}
	status = kd_traffic_add_stream(s->con->traffic.t, &options, &id, err);
	if (status != KD_OK)
		return status;
	cl->streams[cl->n_streams++] = id;
	data_integer(answer, "stream", id);
	return KD_OK;
}

static enum kd_status end_stream(struct server *s, struct client *cl, json_t *request,
				 json_t *answer, struct kd_error *err)
{
	json_int_t id = json_integer_value(json_object_get(request, "stream"));
	unsigned i = 0;

	(void)answer;
	while (i < cl->n_streams && (json_int_t)cl->streams[i] != id)
		i++;
	if (i == cl->n_streams || !json_is_integer(json_object_get(request, "stream")))
		return app_error(err, KD_E_NOT_FOUND, "\"stream\" is none of this client's");
	cl->streams[i] = cl->streams[--cl->n_streams];
	return kd_traffic_remove_stream(s->con->traffic.t, (unsigned)id, err);
}

/* --- a client goes --- */

void server_traffic_leave(struct server *s, struct client *cl)
{
	struct traffic *ours = &s->con->traffic;
	bool was_user = cl->uses_traffic, did_intercept = cl->intercepts, is_wanted = false,
	     is_intercepted = false;

	if (!ours->t)
		return;
	for (unsigned i = 0; i < cl->n_streams; i++)
		kd_traffic_remove_stream(ours->t, cl->streams[i], NULL);
	cl->n_streams = 0;
	cl->uses_traffic = cl->intercepts = false;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		is_wanted |= s->clients[i].uses_traffic;
		is_intercepted |= s->clients[i].intercepts;
	}
	if (did_intercept && !is_intercepted)
		kd_traffic_set_mode(ours->t, KD_TRAFFIC_CAPTURE, NULL);
	if (was_user && ours->is_for_clients && !is_wanted)
		traffic_stop(s->con);
}

/* --- requests --- */

typedef enum kd_status (*request_fn)(struct server *s, struct client *cl, json_t *request,
				     json_t *answer, struct kd_error *err);

static const struct {
	const char *name;
	request_fn run;
} requests[] = {
	{ "traffic-stop", stop },           { "traffic-mode", set_mode },
	{ "traffic-events", hear },         { "traffic-stream", begin_stream },
	{ "traffic-unstream", end_stream },
};

static enum kd_status run(struct server *s, struct client *cl, const char *op, json_t *request,
			  json_t *answer, struct kd_error *err)
{
	struct traffic_place place;
	enum kd_status status;

	for (size_t i = 0; i < APP_ARRAY_LEN(requests); i++)
		if (strcmp(requests[i].name, op) == 0)
			return requests[i].run(s, cl, request, answer, err);
	status = need_traffic(s, err);
	place = place_of(s);
	return status == KD_OK ? traffic_op(&place, op, request, answer, err) : status;
}

static bool is_known(const char *op)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(requests); i++)
		if (strcmp(requests[i].name, op) == 0)
			return true;
	return traffic_op_is_known(op);
}

bool server_traffic_request(struct server *s, struct client *cl, const char *op, json_t *request,
			    json_t *id)
{
	struct kd_error err = { 0 };
	json_t *o;
	enum kd_status status;

	if (strcmp(op, "traffic-start") == 0) {
		if (!push_start(s, cl, request, id))
			server_send(s, cl, server_answer(id, "too many commands wait"));
		return true;
	}
	if (!is_known(op))
		return false;
	o = server_answer(id, NULL);
	status = run(s, cl, op, request, o, &err);
	if (status != KD_OK) {
		json_decref(o);
		o = failure(id, status, &err);
	}
	server_send(s, cl, o);
	return true;
}
