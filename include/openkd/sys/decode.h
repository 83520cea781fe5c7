/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Reading recorded KD sessions: bytes of both directions in, one record per packet out.
 *
 * A decoder only listens. It finds packets in streams that begin anywhere, carry boot-loader text
 * or lost bytes, and reports everything that it was given: what is no packet comes as break-in,
 * noise or damaged record. Nothing in a recording can make it fail, hang or grow.
 */
#ifndef OPENKD_SYS_DECODE_H
#define OPENKD_SYS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <openkd/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_decoder;

enum kd_decode_direction {
	KD_DECODE_TO_TARGET,
	KD_DECODE_FROM_TARGET,
};

enum kd_decode_kind {
	KD_DECODE_PACKET,   /**< whole, checksum and trailer right */
	KD_DECODE_BREAK_IN, /**< break-in bytes outside packets */
	KD_DECODE_NOISE,    /**< bytes of no packet: text of a boot loader, rests of lost packets */
	KD_DECODE_DAMAGED,  /**< began like a packet, but is cut or its sums are wrong: `problem` */
	KD_DECODE_NOTE,     /**< no bytes: what kd_decoder_note() said is in `summary` */
};

/** One thing on the wire. Valid during the callback, and so is all it points at. */
struct kd_decode_record {
	enum kd_decode_kind kind;
	enum kd_decode_direction direction; /**< of a NOTE: no meaning */
	uint64_t number;                    /**< 1, 2, 3... of this decoder */
	uint64_t time_ns;       /**< when its last byte came, as told to kd_decoder_feed() */
	uint64_t elapsed_ns;    /**< since the first byte of the recording */
	uint64_t stream_offset; /**< of bytes[0] in its direction */
	const uint8_t *bytes;   /**< all of it: header, payload, trailer */
	size_t size;
	uint16_t type;         /**< PACKET, DAMAGED: packet type; else 0 */
	const char *type_name; /**< "KD_STATE_MANIPULATE"; NULL: not a packet */
	uint32_t id;
	uint32_t code;         /**< API or state number, 0: the packet has none */
	const char *code_name; /**< "READ_VIRTUAL"; NULL: unknown or none */
	bool is_repeat;      /**< same id and content as the data packet before in this direction */
	const char *problem; /**< DAMAGED, or a payload that contradicts itself; else NULL */
	const char *summary; /**< one line for people, ASCII, without newline */
	uint16_t machine;    /**< IMAGE_FILE_MACHINE it was read for */
};

typedef void (*kd_decode_fn)(void *ctx, const struct kd_decode_record *record);

/** A named part of a packet; see kd_decode_fields(). */
struct kd_decode_field {
	const char
		*structure; /**< "packet", "manipulate_hdr", "read_memory", "context", "data"... */
	const char *name;
	size_t offset; /**< in record->bytes */
	const uint8_t *bytes;
	size_t size;
	bool is_number; /**< `value` says it all */
	uint64_t value;
	const char *text; /**< for people, ASCII, NUL-terminated: "0xC0000001 UNSUCCESSFUL" */
};

typedef void (*kd_decode_field_fn)(void *ctx, const struct kd_decode_field *field);

struct kd_decoder_config {
	size_t size;       /**< set by KD_DECODER_CONFIG_INIT */
	uint16_t machine;  /**< of the target, until a version reply says it; 0: AMD64 */
	bool is_datagrams; /**< each chunk is one packet without trailer (decrypted KDNET) */
	kd_decode_fn fn;   /**< called from feed and finish; must not call the decoder */
	void *ctx;
};

/* clang-format off */
#define KD_DECODER_CONFIG_INIT { sizeof(struct kd_decoder_config), 0, false, NULL, NULL }
/* clang-format on */

/**
 * @return KD_OK; KD_E_INVALID: no `fn`; KD_E_NO_MEMORY.
 * @owns *decoder_ret is the caller's until kd_decoder_destroy()   @threads one at a time
 * @blocks never
 */
enum kd_status kd_decoder_create(const struct kd_decoder_config *config,
				 struct kd_decoder **decoder_ret, struct kd_error *err);

/** NULL is fine. Bytes of unfinished packets are dropped: kd_decoder_finish() first. */
void kd_decoder_destroy(struct kd_decoder *decoder);

/** Bytes of one read or write. `time_ns` from any clock; should not go backwards. */
void kd_decoder_feed(struct kd_decoder *decoder, enum kd_decode_direction direction,
		     uint64_t time_ns, const void *bytes, size_t size);

/**
 * Something happened to the connection ("link down: ..."). What was unfinished is reported: the
 * bytes behind belong to no packet before. `text` need not be terminated; control characters are
 * escaped.
 */
void kd_decoder_note(struct kd_decoder *decoder, uint64_t time_ns, const char *text, size_t size);

/** The recording is over: report what is left in the streams. */
void kd_decoder_finish(struct kd_decoder *decoder);

/**
 * Take a record apart. The fields come in the order of their bytes; together they cover header and
 * payload without gap ("unnamed" where nothing is known). No calls for records that are not PACKET.
 */
void kd_decode_fields(const struct kd_decode_record *record, kd_decode_field_fn fn, void *ctx);

/**
 * The record as a line of text, "12 0.001234 D>T 80800000 READ_VIRTUAL ...".
 *
 * @param with_fields  all fields too, an indented line each.
 * @return KD_OK; KD_E_IO: `out` took no more.
 */
enum kd_status kd_decode_write_text(FILE *out, const struct kd_decode_record *record,
				    bool with_fields);

/** The record with all its fields as one line of JSON: docs/schema/decode.schema.json. */
enum kd_status kd_decode_write_json(FILE *out, const struct kd_decode_record *record);

/**
 * Decode a pcapng recording (docs/recording-format.md) from the first block to the last.
 * Blocks of other link types than a KD stream's are skipped, and so are blocks without direction.
 *
 * @return KD_OK; KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO: the file can't be read;
 *         KD_E_MALFORMED, KD_E_TRUNCATED, KD_E_TOO_BIG: the file is damaged at err->where; what
 *         stood before was reported;
 *         KD_E_UNSUPPORTED: it is a pcapng file, but nothing of KD is in it, or only KDNET:
 *         kd_decode_net_file().
 * @blocks as long as reading the file takes
 */
enum kd_status kd_decode_file(const char *path, const struct kd_decoder_config *config,
			      struct kd_error *err);

/** What kd_decode_net_file() found. */
struct kd_decode_net_counters {
	uint64_t frames;    /**< of the capture, whatever is in them */
	uint64_t datagrams; /**< of KDNET */
	uint64_t packets;   /**< KD packets and break-ins in them */
	uint64_t sessions;  /**< responses: each begins one */
	uint64_t unread;    /**< frames and datagrams that were not decoded: a note says why */
};

/**
 * Decode a capture of KDNET (Ethernet, raw IP, Linux cooked, loopback; IPv4 and IPv6): its KD
 * packets as records, everything else of KDNET, and what could not be decoded and why, as notes.
 *
 * @param key         "1.2.3.4", as bcdedit /dbgsettings shows it. It appears in no record or error.
 * @param plain_path  NULL, or where to write the decrypted packets as a recording
 *                    (docs/recording-format.md).
 * @param[out] counters_ret  NULL is fine; written in any case.
 * @return KD_OK: also when some could not be decoded: see the counters;
 *         KD_E_SYNTAX: not a key;
 *         KD_E_MISMATCH: no datagram was made with this key;
 *         KD_E_UNSUPPORTED: nothing of KDNET is in it;
 *         KD_E_EXISTS: `plain_path` is the capture itself: nothing was written;
 *         else as kd_decode_file(), or writing the recording failed.
 * @blocks as long as reading the file takes
 */
enum kd_status kd_decode_net_file(const char *path, const char *key, const char *plain_path,
				  const struct kd_decoder_config *config,
				  struct kd_decode_net_counters *counters_ret,
				  struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
