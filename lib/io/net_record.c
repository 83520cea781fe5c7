/* SPDX-License-Identifier: MIT */
#include "lib/io/net_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>

#include "core/net/net_datagram.h"
#include "lib/io/pcapng.h"
#include "lib/io/recording.h"

enum { FIFO_WAIT_MS = 5000 };

struct kd__net_record {
	struct kd_pcapng_writer *writer;
	uint32_t interface_id;
	uint8_t bytes[KD_NET_BODY_MAX + 1]; /* a packet with its trailer */
};

enum kd_status kd__net_record_create(const char *path, uint16_t port, struct kd__net_record **ret,
				     struct kd_error *err)
{
	struct kd__net_record *r = calloc(1, sizeof *r);
	char name[32], application[64];
	enum kd_status s;

	if (!r)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	snprintf(name, sizeof name, KD__RECORDING_NET "port=%u", port);
	snprintf(application, sizeof application, "OpenKD %s", kd_library_version());
	s = kd_pcapng_writer_create(path, application, KD__RECORDING_COMMENT, FIFO_WAIT_MS,
				    &r->writer, err);
	if (s == KD_OK)
		s = kd_pcapng_add_interface(r->writer, KD_LINKTYPE_USER0, name,
					    KD__RECORDING_DESCRIPTION, &r->interface_id, err);
	if (s != KD_OK) {
		kd__net_record_abort(r);
		return s;
	}
	*ret = r;
	return KD_OK;
}

enum kd_status kd__net_record_up(struct kd__net_record *r, uint64_t time_ns, struct kd_error *err)
{
	const struct kd_pcapng_packet p = {
		.interface_id = r->interface_id,
		.direction = KD_PCAPNG_INBOUND,
		.time_ns = time_ns,
		.comment = KD__RECORDING_UP,
	};

	return kd_pcapng_write(r->writer, &p, err);
}

/* Data packets with a payload have one on a stream. */
static bool has_trailer(const uint8_t *packet, size_t size)
{
	return size > KD_HDR_SIZE && kd_get32(packet) == KD_LEADER_DATA;
}

enum kd_status kd__net_record_packet(struct kd__net_record *r, bool is_to_target, uint64_t time_ns,
				     const uint8_t *packet, size_t size, struct kd_error *err)
{
	struct kd_pcapng_packet p = {
		.interface_id = r->interface_id,
		.direction = is_to_target ? KD_PCAPNG_OUTBOUND : KD_PCAPNG_INBOUND,
		.time_ns = time_ns,
		.data = r->bytes,
		.size = size,
	};

	if (size > KD_NET_BODY_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "a packet of %zu bytes", size);
	memcpy(r->bytes, packet, size);
	if (has_trailer(packet, size))
		r->bytes[p.size++] = KD_BYTE_TRAILER;
	return kd_pcapng_write(r->writer, &p, err);
}

enum kd_status kd__net_record_close(struct kd__net_record *r, struct kd_error *err)
{
	enum kd_status s = kd_pcapng_writer_close(r->writer, err);

	free(r);
	return s;
}

void kd__net_record_abort(struct kd__net_record *r)
{
	if (!r)
		return;
	kd_pcapng_writer_abort(r->writer);
	free(r);
}
