/* SPDX-License-Identifier: MIT */
/*
 * A capture of KDNET, with the key: its KD packets into a decoder, and everything else that belongs
 * to KDNET as notes, in the order of the capture.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <openkd/sys/decode.h>

#include "lib/base.h"
#include "lib/io/net_crypto.h"
#include "lib/io/net_listen.h"
#include "lib/io/net_record.h"
#include "lib/io/pcapng.h"
#include "lib/io/private_dir.h"
#include "lib/io/udp_frame.h"

enum { NOTE_SIZE = 256 };

struct job {
	struct kd_decoder *decoder;
	struct kd_net_crypto crypto;
	struct kd__net_listener listener;
	const char *plain_path; /* NULL: no recording */
	struct kd__net_record *record;
	struct kd_decode_net_counters counters;
	struct kd_pcapng_packet frame; /* present one */
	struct kd_error *err;
};

static void KD_PRINTF(2, 3) note(struct job *j, const char *fmt, ...)
{
	char text[NOTE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	kd_decoder_note(j->decoder, j->frame.time_ns, text, strlen(text));
}

/* The recording is begun by the first datagram that says which port is the debugger's. */
static enum kd_status open_record(struct job *j, const struct kd__udp *udp, bool is_to_target)
{
	if (!j->plain_path || j->record)
		return KD_OK;
	return kd__net_record_create(j->plain_path, is_to_target ? udp->from.port : udp->to.port,
				     &j->record, j->err);
}

static enum kd_status take_packet(struct job *j, const struct kd_net_datagram *d)
{
	j->counters.packets++;
	kd_decoder_feed(j->decoder, d->is_to_target ? KD_DECODE_TO_TARGET : KD_DECODE_FROM_TARGET,
			j->frame.time_ns, d->body, d->size);
	if (!j->record)
		return KD_OK;
	return kd__net_record_packet(j->record, d->is_to_target, j->frame.time_ns, d->body, d->size,
				     j->err);
}

static void note_poke(struct job *j, const char *from, const struct kd_net_poke *poke)
{
	char peer[KD__ADDRESS_TEXT];

	if (poke->connected.port)
		note(j, "poke of %s, which talks to %s", from,
		     kd__net_address_text(&poke->connected, peer));
	else
		note(j, "poke of %s, which talks to nobody", from);
}

static enum kd_status take_heard(struct job *j, const struct kd__udp *udp,
				 const struct kd__heard *heard)
{
	char from[KD__ADDRESS_TEXT];
	enum kd_status s = open_record(j, udp, heard->d.is_to_target);

	if (s != KD_OK)
		return s;
	kd__net_address_text(&udp->from, from);
	switch (heard->kind) {
	case KD__HEARD_POKE: note_poke(j, from, &heard->poke); break;
	case KD__HEARD_ASK: note(j, "%s asks for a poke", from); break;
	case KD__HEARD_CHECK: note(j, "connection check of %s", from); break;
	case KD__HEARD_RESPONSE:
		j->counters.sessions++;
		note(j, "response of %s, protocol %u: a new session key", from, heard->d.version);
		if (j->record)
			return kd__net_record_up(j->record, j->frame.time_ns, j->err);
		break;
	case KD__HEARD_PACKET: return take_packet(j, &heard->d);
	}
	return KD_OK;
}

static void note_unread(struct job *j, const struct kd__udp *udp, const char *why)
{
	char from[KD__ADDRESS_TEXT], to[KD__ADDRESS_TEXT];

	j->counters.unread++;
	note(j, "frame %" PRIu64 ", %s to %s, %zu bytes of KDNET not decoded: %s",
	     j->counters.frames, kd__net_address_text(&udp->from, from),
	     kd__net_address_text(&udp->to, to), udp->size, why);
}

static enum kd_status take_frame(struct job *j)
{
	const struct kd_pcapng_packet *p = &j->frame;
	struct kd__heard heard = { 0 };
	struct kd__udp udp;
	const char *why = "";
	enum kd_status s;

	j->counters.frames++;
	s = kd__udp_frame(p->link_type, p->data, p->size, &udp, &why);
	/* A recorded stream in the same file is read without a key. */
	if (s == KD_E_NOT_FOUND || p->link_type == KD_LINKTYPE_USER0)
		return KD_OK;
	if (s != KD_OK) {
		j->counters.unread++;
		note(j, "frame %" PRIu64 " not decoded: %s", j->counters.frames, why);
		return KD_OK;
	}
	s = kd__listen(&j->listener, udp.payload, udp.size, &heard, &why);
	if (s == KD_E_NOT_FOUND)
		return KD_OK; /* other traffic */
	j->counters.datagrams++;
	if (s == KD_OK)
		return take_heard(j, &udp, &heard);
	note_unread(j, &udp, why);
	return KD_OK;
}

static enum kd_status take_all(struct job *j, struct kd_pcapng_reader *reader)
{
	const struct kd_decode_net_counters *c = &j->counters;
	enum kd_status s = KD_OK, end = KD_OK;

	while (s == KD_OK && (end = kd_pcapng_next(reader, &j->frame, j->err)) == KD_OK)
		s = take_frame(j);
	kd_decoder_finish(j->decoder);
	if (s != KD_OK)
		return s;
	if (end != KD_E_NOT_FOUND)
		return end;
	if (c->datagrams == 0)
		return kd_error_set(j->err, KD_E_UNSUPPORTED, 0, "no KDNET datagram is in it%s",
				    c->unread ? ", or none that could be read" : "");
	if (c->unread >= c->datagrams)
		return kd_error_set(j->err, KD_E_MISMATCH, 0,
				    "none of its %" PRIu64
				    " KDNET datagrams was made with this key",
				    c->datagrams);
	return KD_OK;
}

/* A file that could not be read to its end leaves no recording that looks whole. */
static enum kd_status finish_record(struct job *j, enum kd_status s)
{
	struct kd__net_record *r = j->record;

	j->record = NULL;
	if (r && (s == KD_OK || s == KD_E_TRUNCATED)) {
		struct kd_error why;
		enum kd_status closed = kd__net_record_close(r, &why);

		if (closed != KD_OK && s == KD_OK && j->err)
			*j->err = why;
		return s == KD_OK ? closed : s;
	}
	kd__net_record_abort(r);
	return s;
}

KD_EXPORT enum kd_status kd_decode_net_file(const char *path, const char *key,
					    const char *plain_path,
					    const struct kd_decoder_config *config,
					    struct kd_decode_net_counters *counters_ret,
					    struct kd_error *err)
{
	struct kd_decoder_config own = *config;
	struct job j = { .plain_path = plain_path, .err = err };
	struct kd_pcapng_reader *reader = NULL;
	struct kd_net_keys keys = { 0 };
	enum kd_status s = kd_net_key_from_text(key, &keys, err);

	own.is_datagrams = true;
	if (s == KD_OK && plain_path && kd__is_same_file(path, plain_path))
		s = kd_error_set(err, KD_E_EXISTS, 0, "%.160s is the capture itself", plain_path);
	if (s == KD_OK)
		s = kd__net_crypto_create(&j.crypto, err);
	if (s == KD_OK)
		kd__listen_init(&j.listener, &j.crypto, &keys);
	OPENSSL_cleanse(&keys, sizeof keys);
	if (s == KD_OK)
		s = kd_decoder_create(&own, &j.decoder, err);
	if (s == KD_OK)
		s = kd_pcapng_reader_open(path, &reader, err);
	if (s == KD_OK)
		s = finish_record(&j, take_all(&j, reader));
	kd_pcapng_reader_destroy(reader);
	kd_decoder_destroy(j.decoder);
	kd__listen_deinit(&j.listener);
	kd__net_crypto_destroy(&j.crypto);
	if (counters_ret)
		*counters_ret = j.counters;
	return s;
}
