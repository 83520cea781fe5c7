/* SPDX-License-Identifier: MIT */
/* The session's socket: docs/session-socket.md. */
#ifndef APPS_KD_SERVE_H
#define APPS_KD_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct console;
struct server;
struct result;

enum {
	SERVER_CLIENTS_MAX = 8,
	SERVER_LINE_MAX = 160 << 10, /* a request; a payload of 64 KB in hexadecimal fits */
	SERVER_OUTPUT_MAX = 8 << 20, /* what a client may leave unread */
	SERVER_JOBS_MAX = 16,        /* commands of one client that wait */
};

/*
 * Listen as `name`. NULL: message says why not (no runtime folder, ...): the session does without.
 */
struct server *server_create(struct console *c, const char *name, char *message_ret, size_t size);
/* Removes the socket; NULL is fine, here and below. */
void server_destroy(struct server *s);
const char *server_path(const struct server *s);

/* $XDG_RUNTIME_DIR/openkd, ours alone; made if need be. False: message says what is wrong. */
bool server_runtime_folder(char *path, size_t size, char *message, size_t message_size);

bool server_has_subscribers(const struct server *s);
/* Send an event to those who subscribed. Takes the reference. */
void server_publish(struct server *s, json_t *event);
/* The same to those who hear of traffic. */
void server_publish_traffic(struct server *s, json_t *event);
/* A job of a client: begin traffic, and answer. The client may be gone. */
void server_traffic_start(struct server *s, uint64_t client, json_t *id, json_t *request);
/* No traffic is looked at any more: clients have no streams and no part in it. */
void server_traffic_stopped(struct server *s);
/* The answer to a `run`: results in an array. Takes the references. The client may be gone. */
void server_answer_run(struct server *s, uint64_t client, json_t *id, json_t *results);

/* Requests and names, apart from sockets. */
bool server_name_is_good(const char *name);
/* A name made from an endpoint: letters, digits, `-`, `_`, `.`; never empty. */
void server_name_from(const char *endpoint, char *name, size_t size);

#endif
