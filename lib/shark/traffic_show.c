/* SPDX-License-Identifier: MIT */
/* Who is shown what flows: the streams that are open, and the last minutes in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/shark/mutation_record.h"
#include "lib/shark/traffic_private.h"

/* --- the last minutes --- */

static enum kd_status write_history(struct kd_traffic *t, struct kd__packet_stream *s,
				    struct kd_error *err)
{
	const struct kd__history_entry *h;
	enum kd_status status = KD_OK;

	for (h = kd__history_first(t->history); h; h = kd__history_next(h))
		kd__history_entry(h)->conversation->sequences[KD__SAVE_SLOT] =
			(struct kd__sequence){ 0 };
	for (h = kd__history_first(t->history); h && status == KD_OK; h = kd__history_next(h))
		status = kd__packet_stream_put(s, kd__history_entry(h), err);
	return status;
}

KD_EXPORT enum kd_status kd_traffic_save(struct kd_traffic *t, const char *path,
					 struct kd_error *err)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	struct kd__packet_stream *s;
	enum kd_status status, closed;
	struct kd_error why;

	options.path = path;
	pthread_mutex_lock(&t->mutex);
	status = kd__packet_stream_create(&options, KD__SAVE_SLOT, t->name, &s, err);
	if (status == KD_OK) {
		status = write_history(t, s, err);
		closed = kd__packet_stream_close(s, &why);
		if (status == KD_OK && closed != KD_OK) {
			status = closed;
			if (err)
				*err = why;
		}
	}
	pthread_mutex_unlock(&t->mutex);
	return status;
}

/* Every payload by its name, with what became of it: kd_mutators_replay() does the same again. */
static enum kd_status write_replay(struct kd_traffic *t, struct kd__payload_names *names,
				   struct kd__mutation_writer *w)
{
	for (const struct kd__history_entry *h = kd__history_first(t->history); h;
	     h = kd__history_next(h)) {
		const struct kd__entry *e = kd__history_entry(h);
		bool is_dropped = e->kind == KD__ENTRY_HELD && strcmp(e->verdict, "dropped") == 0;
		struct kd__mutation_entry record = { .mutator = "traffic",
						     .outcome = is_dropped ? KD__DROPPED
									   : KD__CHANGED,
						     .after = e->bytes,
						     .after_size = e->size,
						     .is_any = true };
		struct kd__payload_name name;

		if ((e->kind != KD__ENTRY_DATA && !is_dropped) ||
		    strcmp(e->verdict, "injected") == 0)
			continue;
		kd__payload_name_next(names, e->flow, e->process, e->conversation->facts.protocol,
				      e->server_port, e->is_inbound, &name);
		record.name = &name;
		kd__mutation_write(w, &record);
	}
	return KD_OK;
}

KD_EXPORT enum kd_status kd_traffic_save_replay(struct kd_traffic *t, const char *path,
						struct kd_error *err)
{
	struct kd__payload_names *names = kd__payload_names_create();
	struct kd__mutation_writer *w = NULL;
	enum kd_status s = names ? kd__mutation_writer_create(path, &w, err)
				 : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");

	if (s == KD_OK) {
		pthread_mutex_lock(&t->mutex);
		write_replay(t, names, w);
		pthread_mutex_unlock(&t->mutex);
		s = kd__mutation_writer_close(w, err);
	}
	kd__payload_names_destroy(names);
	return s;
}

/* --- streams --- */

static void count(struct kd_traffic *t, const struct kd__packet_stream *s)
{
	struct kd__packet_stream_counters c = kd__packet_stream_counters(s);

	t->stream_packets += c.packets;
	t->stream_left_out += c.left_out;
}

/* It ended by itself: its reader went away, or the disk is full. */
static void lose_stream(struct kd_traffic *t, unsigned slot, const struct kd_error *why)
{
	count(t, t->streams[slot]);
	kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, 0, 0, "stream %u: %.120s",
			  t->stream_ids[slot], why->text);
	kd__packet_stream_close(t->streams[slot], NULL);
	t->streams[slot] = NULL;
}

void kd__traffic_show(struct kd_traffic *t, struct kd__entry *entry)
{
	struct kd_error err;

	entry->lost = t->lost;
	t->lost = 0;
	for (unsigned i = 0; i < KD__STREAMS_MAX; i++)
		if (t->streams[i] && kd__packet_stream_put(t->streams[i], entry, &err) != KD_OK)
			lose_stream(t, i, &err);
	kd__history_add(t->history, entry);
}

void kd__traffic_flush(struct kd_traffic *t)
{
	struct kd_error err;

	for (unsigned i = 0; i < KD__STREAMS_MAX; i++)
		if (t->streams[i] && kd__packet_stream_flush(t->streams[i], &err) != KD_OK)
			lose_stream(t, i, &err);
}

void kd__traffic_close_streams(struct kd_traffic *t)
{
	for (unsigned i = 0; i < KD__STREAMS_MAX; i++)
		if (t->streams[i])
			kd_traffic_remove_stream(t, t->stream_ids[i], NULL);
}

void kd__traffic_reset_slot(struct kd_traffic *t, unsigned slot)
{
	for (struct kd__flow *f = t->first_flow; f; f = f->next)
		f->conversation->sequences[slot] = (struct kd__sequence){ 0 };
}

/* A free place among the streams. Two of them never write to one file. */
static enum kd_status find_slot(struct kd_traffic *t, const char *path, unsigned *slot_ret,
				struct kd_error *err)
{
	unsigned slot = KD__STREAMS_MAX;

	for (unsigned i = KD__STREAMS_MAX; i-- > 0;) {
		if (!t->streams[i])
			slot = i;
		else if (path && kd__packet_stream_is_to(t->streams[i], path))
			return kd_error_set(err, KD_E_EXISTS, 0,
					    "stream %u writes to %.160s already", t->stream_ids[i],
					    path);
	}
	*slot_ret = slot;
	return slot < KD__STREAMS_MAX
		       ? KD_OK
		       : kd_error_set(err, KD_E_FULL, 0, "%d streams are open already",
				      KD__STREAMS_MAX);
}

KD_EXPORT enum kd_status kd_traffic_add_stream(struct kd_traffic *t,
					       const struct kd_stream_options *options,
					       unsigned *id_ret, struct kd_error *err)
{
	struct kd__packet_stream *s = NULL;
	enum kd_status status;
	unsigned slot;

	pthread_mutex_lock(&t->mutex);
	status = find_slot(t, options->path, &slot, err);
	pthread_mutex_unlock(&t->mutex);
	if (status != KD_OK) {
		if (!options->path)
			close(options->fd);
		return status;
	}
	/* opening a FIFO takes until somebody reads it: without the lock */
	status = kd__packet_stream_create(options, slot, t->name, &s, err);
	if (status != KD_OK)
		return status;
	pthread_mutex_lock(&t->mutex);
	if (t->streams[slot]) {
		status = kd_error_set(err, KD_E_EXISTS, 0, "another stream was quicker: try again");
	} else {
		kd__traffic_reset_slot(t, slot);
		t->streams[slot] = s;
		*id_ret = t->stream_ids[slot] = t->next_stream++;
	}
	pthread_mutex_unlock(&t->mutex);
	if (status != KD_OK)
		kd__packet_stream_close(s, NULL);
	return status;
}

KD_EXPORT bool kd_traffic_has_stream(struct kd_traffic *t, unsigned id)
{
	bool is_there = false;

	pthread_mutex_lock(&t->mutex);
	for (unsigned slot = 0; slot < KD__STREAMS_MAX; slot++)
		is_there |= t->streams[slot] && t->stream_ids[slot] == id;
	pthread_mutex_unlock(&t->mutex);
	return is_there;
}

KD_EXPORT enum kd_status kd_traffic_remove_stream(struct kd_traffic *t, unsigned id,
						  struct kd_error *err)
{
	struct kd__packet_stream *s = NULL;

	pthread_mutex_lock(&t->mutex);
	for (unsigned slot = 0; slot < KD__STREAMS_MAX && !s; slot++) {
		if (!t->streams[slot] || t->stream_ids[slot] != id)
			continue;
		s = t->streams[slot];
		t->streams[slot] = NULL;
		count(t, s);
	}
	pthread_mutex_unlock(&t->mutex);
	if (!s)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no stream %u", id);
	return kd__packet_stream_close(s, err);
}
