/* SPDX-License-Identifier: MIT */
/* A recording from a file into a decoder. */
#include <openkd/sys/decode.h>

#include "lib/base.h"
#include "lib/io/pcapng.h"
#include "lib/io/udp_frame.h"

static bool is_kdnet(const struct kd_pcapng_packet *p)
{
	uint8_t version, channel;
	struct kd__udp udp;
	const char *why;

	return kd__udp_frame(p->link_type, p->data, p->size, &udp, &why) == KD_OK &&
	       kd_net_peek(udp.payload, udp.size, &version, &channel) == KD_OK;
}

static enum kd_status feed_blocks(struct kd_decoder *d, struct kd_pcapng_reader *reader,
				  struct kd_error *err)
{
	struct kd_pcapng_packet p;
	enum kd_status status;
	bool has_kd = false, has_net = false;

	while ((status = kd_pcapng_next(reader, &p, err)) == KD_OK) {
		bool is_inbound = p.direction == KD_PCAPNG_INBOUND;

		has_net = has_net || is_kdnet(&p);
		if (p.link_type != KD_LINKTYPE_USER0)
			continue;
		has_kd = true;
		if (p.size == 0 && p.comment) /* "link up", "link down: why" */
			kd_decoder_note(d, p.time_ns, p.comment, p.comment_size);
		else if (p.direction != KD_PCAPNG_UNKNOWN)
			kd_decoder_feed(d, is_inbound ? KD_DECODE_FROM_TARGET : KD_DECODE_TO_TARGET,
					p.time_ns, p.data, p.size);
	}
	kd_decoder_finish(d);
	if (status != KD_E_NOT_FOUND)
		return status;
	if (!has_kd && has_net)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "it has KDNET datagrams, which can't be read without the "
				    "target's key: kd decode --key KEY");
	if (!has_kd)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0, "no recorded KD session is in it");
	return KD_OK;
}

KD_EXPORT enum kd_status kd_decode_file(const char *path, const struct kd_decoder_config *config,
					struct kd_error *err)
{
	struct kd_pcapng_reader *reader = NULL;
	struct kd_decoder *d = NULL;
	enum kd_status status = kd_decoder_create(config, &d, err);

	if (status == KD_OK)
		status = kd_pcapng_reader_open(path, &reader, err);
	if (status == KD_OK)
		status = feed_blocks(d, reader, err);
	kd_pcapng_reader_destroy(reader);
	kd_decoder_destroy(d);
	return status;
}
