/* SPDX-License-Identifier: MIT */
/* Inside of the session's socket: serve.c has the lines and clients, serve_traffic.c the traffic.
 */
#ifndef APPS_KD_SERVE_PRIVATE_H
#define APPS_KD_SERVE_PRIVATE_H

#include "apps/kd/serve.h"
#include "apps/kd/text.h"

struct console;

enum { SERVER_GIVEN_MAX = 4, SERVER_STREAMS_MAX = 16 };

struct client {
	int fd; /* -1: free */
	uint64_t number;
	struct text in, out;
	bool is_subscribed, is_closing;
	unsigned n_jobs;
	/* traffic */
	int given[SERVER_GIVEN_MAX]; /* descriptors that came and wait for their request */
	unsigned n_given;
	bool hears_traffic;
	bool uses_traffic; /* it runs for this client, too */
	bool intercepts;   /* what is held is held for this client */
	unsigned streams[SERVER_STREAMS_MAX], n_streams;
};

struct server {
	struct console *con;
	int fd;
	char path[108]; /* of a socket address */
	char name[64];
	struct client clients[SERVER_CLIENTS_MAX];
	uint64_t next_number;
};

/* {"id":..., "ok":true} to be completed, or with an error. */
json_t *server_answer(json_t *id, const char *error);
/* Takes the reference. The client may be gone afterwards. */
void server_send(struct server *s, struct client *cl, json_t *o);

/* False: it is no request about traffic. Else it was answered. */
bool server_traffic_request(struct server *s, struct client *cl, const char *op, json_t *request,
			    json_t *id);
/* A client goes: so do its streams, what is held for it passes, and traffic nobody wants ends. */
void server_traffic_leave(struct server *s, struct client *cl);

#endif
