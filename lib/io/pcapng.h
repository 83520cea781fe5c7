/* SPDX-License-Identifier: MIT */
/*
 * pcapng, the recording format of Wireshark: a writer for files and FIFOs and a bounded reader.
 * Source: draft-ietf-opsawg-pcapng (blocks SHB, IDB, EPB, SPB), checked against capinfos, tshark.
 * What OpenKD puts into the blocks is in docs/recording-format.md.
 */
#ifndef KD_LIB_IO_PCAPNG_H
#define KD_LIB_IO_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

enum {
	KD_LINKTYPE_USER0 = 147,                /* a KD byte stream */
	KD_PCAPNG_DATA_MAX = 256 * 1024,        /* bytes of one packet that are written or read */
	KD_PCAPNG_BLOCK_MAX = 16 * 1024 * 1024, /* larger blocks are refused */
	KD_PCAPNG_INTERFACES_MAX = 1024,        /* per section */
	KD_PCAPNG_TEXT_MAX = 4096,              /* of a comment or name; longer ones are cut */
};

enum kd_pcapng_direction {
	KD_PCAPNG_UNKNOWN = 0,
	KD_PCAPNG_INBOUND = 1,  /* target to debugger */
	KD_PCAPNG_OUTBOUND = 2, /* debugger to target */
};

struct kd_pcapng_packet {
	uint32_t interface_id;
	uint16_t link_type; /* reader: of the interface. Writer: ignored */
	enum kd_pcapng_direction direction;
	uint64_t time_ns; /* since 1970; 0: unknown */
	const uint8_t *data;
	size_t size;
	size_t original_size; /* >= size; writer: 0 means size */
	const char *comment;  /* NULL: none */
	size_t comment_size;  /* reader; writer: `comment` is terminated */
	uint64_t offset;      /* reader: of the block in the file. Writer: ignored */
	/* what follows is the writer's only; zero: the block has no such option */
	const char *comment2;
	uint64_t packet_id;
	uint64_t drops; /* packets that were lost before this one; left out ones are added */
};

/* --- writing --- */

struct kd_pcapng_writer;

/*
 * A regular file is written aside with mode 0600 and put in place by kd_pcapng_writer_close(): what
 * was there before stays whole until then, and a crash leaves `.NAME.XXXXXX.part`. A FIFO is
 * written directly, block by block: opening it waits at most `timeout_ms` for a reader, a slow
 * reader costs blocks (counted), not time. `application` and `comment` (may be NULL) go into the
 * section header. KD_E_TIMEOUT: nobody reads the FIFO; KD_E_NOT_FOUND, KD_E_DENIED, KD_E_EXISTS,
 * KD_E_IO as kd__file_replace_begin().
 */
enum kd_status kd_pcapng_writer_create(const char *path, const char *application,
				       const char *comment, uint32_t timeout_ms,
				       struct kd_pcapng_writer **w_ret, struct kd_error *err);

/* The same into a pipe or socket that is open already; `fd` is the writer's, also on failure. */
enum kd_status kd_pcapng_writer_create_fd(int fd, const char *application, const char *comment,
					  struct kd_pcapng_writer **w_ret, struct kd_error *err);

/* Nanosecond timestamps. `description` may be NULL. */
enum kd_status kd_pcapng_add_interface(struct kd_pcapng_writer *w, uint16_t link_type,
				       const char *name, const char *description, uint32_t *id_ret,
				       struct kd_error *err);

/*
 * KD_E_TOO_BIG: more than KD_PCAPNG_DATA_MAX bytes; KD_E_FULL: the reader of the FIFO is too slow,
 * the packet was left out; KD_E_IO, KD_E_CLOSED: nothing can be written any more (disk full, reader
 * gone): the recording ends here.
 */
enum kd_status kd_pcapng_write(struct kd_pcapng_writer *w, const struct kd_pcapng_packet *packet,
			       struct kd_error *err);

/* Hand what is buffered to the system. */
enum kd_status kd_pcapng_flush(struct kd_pcapng_writer *w, struct kd_error *err);

struct kd_pcapng_counters {
	uint64_t packets, bytes; /* written; bytes of the file */
	uint64_t left_out;       /* packets lost to a slow reader */
};
void kd_pcapng_writer_counters(const struct kd_pcapng_writer *w, struct kd_pcapng_counters *ret);

/*
 * Complete the file and free the writer, also on failure: then the file was not put in place, and
 * *err says why and where its beginning was left.
 */
enum kd_status kd_pcapng_writer_close(struct kd_pcapng_writer *w, struct kd_error *err);

/* Free the writer and throw the unfinished file away. NULL is fine. */
void kd_pcapng_writer_abort(struct kd_pcapng_writer *w);

/* --- reading --- */

struct kd_pcapng_reader;

/* KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO; KD_E_MALFORMED: not pcapng. */
enum kd_status kd_pcapng_reader_open(const char *path, struct kd_pcapng_reader **r_ret,
				     struct kd_error *err);
/* The same from memory, which is borrowed until the reader is destroyed. */
enum kd_status kd_pcapng_reader_open_memory(const void *bytes, size_t size,
					    struct kd_pcapng_reader **r_ret, struct kd_error *err);
void kd_pcapng_reader_destroy(struct kd_pcapng_reader *r);

/*
 * The next packet of any interface; other blocks are skipped. *packet_ret points into the reader
 * until the next call.
 * KD_OK; KD_E_NOT_FOUND: the end; KD_E_TRUNCATED: the file ends inside a block (the recorder was
 * killed): all packets before it were good; KD_E_MALFORMED, KD_E_TOO_BIG: a block that makes no
 * sense: nothing after it can be trusted. err->where is the offset of the block in the file.
 */
enum kd_status kd_pcapng_next(struct kd_pcapng_reader *r, struct kd_pcapng_packet *packet_ret,
			      struct kd_error *err);

/* Name of an interface of the current section ("" when it has none), NULL when there is none. */
const char *kd_pcapng_interface_name(const struct kd_pcapng_reader *r, uint32_t id);

#endif
