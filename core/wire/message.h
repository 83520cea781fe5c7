/* SPDX-License-Identifier: MIT */
/*
 * Payloads of data packets as values. A decoded message keeps pointers into the payload it came
 * from (valid as long as that buffer) and every raw byte that its structure does not name, so
 * that encoding it again gives the same bytes.
 *
 * All decode functions: KD_OK; KD_E_TRUNCATED: shorter than the fixed header; KD_E_MALFORMED: a
 * length field contradicts the payload. *ret is written on KD_OK only.
 * All encode functions: KD_OK and *size_ret bytes in out; KD_E_TOO_BIG: they do not fit in `cap`.
 */
#ifndef KD_CORE_WIRE_MESSAGE_H
#define KD_CORE_WIRE_MESSAGE_H

#include <stdbool.h>

#include <openkd/status.h>

#include "core/wire/api.h"
#include "core/wire/packet.h"
#include "core/wire/structs.h"

enum {
	KD_MANIPULATE_SIZE = 56,
	KD_STATE_CHANGE_SIZE = 240,
	KD_STATE_CHANGE_MIN = 192,
	KD_DEBUG_IO_SIZE = 16,
	KD_FILE_IO_SIZE = 64,
	KD_TRACE_IO_SIZE = 64,
	KD_READ_MAX = KD_PAYLOAD_MAX - KD_MANIPULATE_SIZE, /* 3944 */
};

union kd_manipulate_member {
#define KD_X(name, as) struct kd_w_##name as;
	KD_MEMBER_TABLE(KD_X)
#undef KD_X
};

struct kd_manipulate {
	struct kd_w_manipulate_hdr hdr; /* hdr.member: the raw 40 bytes */
	enum kd_member kind;            /* how `u` is to be read; KD_MEMBER_none for unknown APIs */
	union kd_manipulate_member u;
	const uint8_t *data; /* additional data */
	size_t data_size;
	size_t fixed_size; /* 0: all 56 bytes; else a stub's short reply, see decode_reply */
	uint16_t machine;  /* what it was decoded or made for */
};

/* `machine` chooses the form of Continue2 (KD_MACHINE_AMD64 when unknown). */
enum kd_status kd_manipulate_decode(struct kd_manipulate *ret, uint16_t machine,
				    const uint8_t *payload, size_t size);
enum kd_status kd_manipulate_encode(uint8_t *out, size_t cap, size_t *size_ret,
				    const struct kd_manipulate *m);
/* A request of our own: zeros, the API's number and member kind, the processor. */
void kd_manipulate_init(struct kd_manipulate *m, uint32_t api, uint16_t machine,
			uint16_t processor);
/* Only the 56 header bytes (the data goes to the link as its second part). */
void kd_manipulate_encode_hdr(uint8_t out[KD_AT_LEAST(56)], const struct kd_manipulate *m);

/*
 * A debugger's decode: as above, but takes the short refusals of stubs too (VirtualBox answers an
 * unknown API with 16 bytes). 12 to 55 bytes are good if they carry an error status; what is
 * missing reads as zero, and fixed_size makes encode give the same bytes.
 */
enum kd_status kd_manipulate_decode_reply(struct kd_manipulate *ret, uint16_t machine,
					  const uint8_t *payload, size_t size);

/*
 * How many bytes of `data` belong to the message, by the length fields of its API: never more than
 * data_size, as stubs send more or less than they say. KD_E_TRUNCATED: fewer are there than were
 * promised (*size_ret is what is there): a target refuses such a request, a debugger takes what it
 * got.
 */
enum kd_status kd_manipulate_data_size(const struct kd_manipulate *m, bool is_reply,
				       size_t *size_ret);

struct kd_state_change {
	struct kd_w_state_change_hdr hdr;
	uint8_t raw_union[160];
	union {
		struct kd_w_exception exception;
		struct kd_w_load_symbols load_symbols;
		struct kd_w_command_string command_string;
	} u;                /* by hdr.new_state & 0xFFFF */
	uint8_t report[48]; /* control report: bytes; missing ones are zero. See report_* structs */
	size_t fixed_size;  /* 192..240: bytes of the fixed part; 0 in one of our own: 240 */
	const char *name;   /* load symbols: the last path_name_length bytes, not checked for NUL */
	size_t name_size;
	const uint8_t *data; /* everything after the fixed part (includes the name) */
	size_t data_size;
};

/*
 * Machines and releases disagree about the size of the fixed part: 192 bytes and more are taken.
 * KD_E_MALFORMED: the module's name would begin before byte 192.
 */
enum kd_status kd_state_change_decode(struct kd_state_change *ret, const uint8_t *payload,
				      size_t size);
/* Writes `data`; `name` is only looked at when there is no data. */
enum kd_status kd_state_change_encode(uint8_t *out, size_t cap, size_t *size_ret,
				      const struct kd_state_change *s);

struct kd_state_change32 { /* recognised so that it can be refused by name */
	struct kd_w_state_change32_hdr hdr;
	uint8_t raw_union[84];
	union {
		struct kd_w_exception32 exception;
		struct kd_w_load_symbols32 load_symbols;
	} u;
	const uint8_t *data;
	size_t data_size;
};

enum kd_status kd_state_change32_decode(struct kd_state_change32 *ret, const uint8_t *payload,
					size_t size);
enum kd_status kd_state_change32_encode(uint8_t *out, size_t cap, size_t *size_ret,
					const struct kd_state_change32 *s);

struct kd_debug_io {
	struct kd_w_debug_io hdr;
	const uint8_t *text; /* print: the string; prompt: the prompt; reply: the answer */
	size_t text_size;
	const uint8_t *tail; /* bytes after the text; real targets send none */
	size_t tail_size;
	size_t hdr_size; /* 16; 12: a print of an old stub, without the last field; 0 means 16 */
};

/*
 * The direction is not in the bytes: with GetString the text is what follows the header if its
 * length is that of the prompt or that of the answer.
 */
enum kd_status kd_debug_io_decode(struct kd_debug_io *ret, const uint8_t *payload, size_t size);
enum kd_status kd_debug_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				  const struct kd_debug_io *d);

struct kd_file_io {
	struct kd_w_file_io_hdr hdr; /* hdr.member: the raw 56 bytes */
	union {
		struct kd_w_file_create create;
		struct kd_w_file_transfer transfer; /* read, write */
		struct kd_w_file_close close;
	} u;
	const uint8_t *data; /* create: UTF-16LE name; write request and read reply: the bytes */
	size_t data_size;
};

enum kd_status kd_file_io_decode(struct kd_file_io *ret, const uint8_t *payload, size_t size);
enum kd_status kd_file_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				 const struct kd_file_io *f);
/* As kd_manipulate_data_size: the bytes of a write request or read reply; else all of `data`. */
enum kd_status kd_file_io_data_size(const struct kd_file_io *f, bool is_reply, size_t *size_ret);

struct kd_trace_io {
	uint8_t raw[64];
	struct kd_w_trace_io hdr;
	const uint8_t *data;
	size_t data_size;
};

enum kd_status kd_trace_io_decode(struct kd_trace_io *ret, const uint8_t *payload, size_t size);
enum kd_status kd_trace_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				  const struct kd_trace_io *t);

/* Takes longer payloads too: the 12 bytes are from one source. */
enum kd_status kd_control_request_decode(struct kd_w_control_request *ret, const uint8_t *payload,
					 size_t size);
enum kd_status kd_control_request_encode(uint8_t *out, size_t cap, size_t *size_ret,
					 const struct kd_w_control_request *c);

#endif
