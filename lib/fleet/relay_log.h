/* SPDX-License-Identifier: MIT */
/* The files a relay writes: one log of all that passes, and traces: prints by their prefix. */
#ifndef KD_LIB_FLEET_RELAY_LOG_H
#define KD_LIB_FLEET_RELAY_LOG_H

#include <stdio.h>

#include <openkd/relay.h>
#include <openkd/sys/decode.h>

#include "lib/base.h"

struct kd_pcapng_writer;

struct kd__relay_log {
	enum kd_relay_format format;
	FILE *text; /* TEXT, JSON */
	struct kd_pcapng_writer *pcapng;
	char path[KD_ERROR_TEXT_SIZE]; /* cut for people; "": no log */
	uint64_t flushed_at;
};

/*
 * KD_E_EXISTS: beside `l` a log can't go there: when a pcapng file is complete, it takes its place.
 */
enum kd_status kd__relay_log_check(const struct kd__relay_log *l, const char *path,
				   enum kd_relay_format format, struct kd_error *err);
/* `l` has none. As kd_relay_log_start(). */
enum kd_status kd__relay_log_start(struct kd__relay_log *l, const char *path,
				   enum kd_relay_format format, const char *target,
				   struct kd_error *err);
enum kd_status kd__relay_log_stop(struct kd__relay_log *l, struct kd_error *err);
bool kd__relay_log_is_on(const struct kd__relay_log *l);

/* KD_OK, also without a log; else the log is over: stop it. */
enum kd_status kd__relay_log_record(struct kd__relay_log *l, const struct kd_decode_record *record,
				    struct kd_error *err);
enum kd_status kd__relay_log_bytes(struct kd__relay_log *l, bool is_out, const uint8_t *bytes,
				   size_t size, struct kd_error *err);
/* Now and then, so that readers see something. */
void kd__relay_log_flush(struct kd__relay_log *l, uint64_t now);

struct kd__relay_trace {
	char *prefix, *path;
	FILE *file;
	uint64_t size;
};

struct kd__relay_traces {
	size_t n;
	struct kd__relay_trace row[KD_RELAY_TRACES_MAX];
};

enum kd_status kd__relay_trace_start(struct kd__relay_traces *t, const char *prefix,
				     const char *path, struct kd_error *err);
enum kd_status kd__relay_trace_stop(struct kd__relay_traces *t, const char *prefix,
				    struct kd_error *err);
void kd__relay_traces_deinit(struct kd__relay_traces *t);

/* A line goes into each file whose prefix it has. KD_E_IO: one of them ended; *err names it. */
enum kd_status kd__relay_traces_line(struct kd__relay_traces *t, const char *line, size_t size,
				     struct kd_error *err);

#endif
