/* SPDX-License-Identifier: MIT */
/*
 * KDNET sessions as recordings (docs/recording-format.md): decrypted, a block for each packet, with
 * the trailer that a stream has, so that they read like any other recording.
 */
#ifndef KD_LIB_IO_NET_RECORD_H
#define KD_LIB_IO_NET_RECORD_H

#include "lib/base.h"

#define KD__RECORDING_NET "net:" /* how the interface's name of such a recording begins */

struct kd__net_record;

/*
 * Errors as kd_pcapng_writer_create(). `port`: the debugger's UDP port. The file is put in its
 * place by kd__net_record_close().
 */
enum kd_status kd__net_record_create(const char *path, uint16_t port, struct kd__net_record **ret,
				     struct kd_error *err);

/* A session begins. `time_ns`: since 1970. Errors as kd_pcapng_write(). */
enum kd_status kd__net_record_up(struct kd__net_record *r, uint64_t time_ns, struct kd_error *err);

/* A KD packet without trailer, or the break-in byte: what kd_net_tap_fn is told. */
enum kd_status kd__net_record_packet(struct kd__net_record *r, bool is_to_target, uint64_t time_ns,
				     const uint8_t *packet, size_t size, struct kd_error *err);

/* Completes the file, and frees, also on failure. abort: throws it away. NULL is fine for abort. */
enum kd_status kd__net_record_close(struct kd__net_record *r, struct kd_error *err);
void kd__net_record_abort(struct kd__net_record *r);

#endif
