/* SPDX-License-Identifier: MIT */
/*
 * Blocks are put together in one buffer and handed to the system in large pieces: a recorder sits
 * in the way of every byte. A FIFO gets each block at once, so that whoever watches is up to date;
 * what it can't take stays in the buffer, and only whole blocks are ever left out.
 */
#include "lib/io/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "lib/io/pcapng_private.h"
#include "lib/io/private_dir.h"
#include "lib/wait.h"

enum {
	BUFFER_SIZE = 1024 * 1024,      /* fits the largest block */
	BACKLOG_MAX = 32 * BUFFER_SIZE, /* what a FIFO's reader may be behind */
	FLUSH_AT = 64 * 1024,
	FIFO_RETRY_MS = 20,
	LAST_WORDS_MS = 1000, /* for a FIFO to take the rest at close */
};

struct kd_pcapng_writer {
	struct kd__file_replace file; /* a regular file; unused for a FIFO */
	int fd;                       /* file.fd, or the FIFO's: owned then */
	bool is_direct;               /* FIFO or character device */
	uint32_t n_interfaces;
	uint64_t left_out_told; /* of counters.left_out */
	struct kd_error broken; /* status != KD_OK: nothing can be written any more */
	struct kd_pcapng_counters counters;
	uint8_t *buffer;
	size_t size;     /* of the buffer */
	size_t from, n;  /* what is to be handed over: from `from` to `n` */
	size_t block_at; /* where the block being put together begins */
	bool overflow;   /* it did not fit */
};

/* --- putting blocks together --- */

static void move_to_front(struct kd_pcapng_writer *w)
{
	memmove(w->buffer, w->buffer + w->from, w->n - w->from);
	w->n -= w->from;
	w->block_at -= w->from;
	w->from = 0;
}

/* Moving pays where a quarter is free; else the reader is slow, and the buffer grows. */
static bool make_room(struct kd_pcapng_writer *w, size_t size)
{
	size_t max = w->is_direct ? BACKLOG_MAX : BUFFER_SIZE;

	if (size > w->size - w->n && w->from >= w->size / 4)
		move_to_front(w);
	if (size > w->size - w->n && w->size < max) {
		uint8_t *larger = realloc(w->buffer, w->size * 2);

		if (larger) {
			w->buffer = larger;
			w->size *= 2;
		}
	}
	return size <= w->size - w->n;
}

static uint8_t *reserve(struct kd_pcapng_writer *w, size_t size)
{
	uint8_t *at;

	if (w->overflow || !make_room(w, size)) {
		w->overflow = true;
		return NULL;
	}
	at = w->buffer + w->n;
	w->n += size;
	return at;
}

static void put16(struct kd_pcapng_writer *w, uint16_t v)
{
	uint8_t *p = reserve(w, 2);

	if (p)
		kd_put16(p, v);
}

static void put32(struct kd_pcapng_writer *w, uint32_t v)
{
	uint8_t *p = reserve(w, 4);

	if (p)
		kd_put32(p, v);
}

static void put_padded(struct kd_pcapng_writer *w, const void *bytes, size_t size)
{
	size_t padding = (4 - size % 4) % 4;
	uint8_t *p = reserve(w, size + padding);

	if (!p)
		return;
	kd_copy(p, bytes, size);
	kd_zero(p + size, padding);
}

static void put_option(struct kd_pcapng_writer *w, uint16_t code, const void *bytes, size_t size)
{
	put16(w, code);
	put16(w, (uint16_t)size);
	put_padded(w, bytes, size);
}

/* Cut to what a reader of ours takes, between characters if it is UTF-8. NULL: no option. */
static void put_text_option(struct kd_pcapng_writer *w, uint16_t code, const char *text)
{
	size_t size;

	if (!text)
		return;
	size = strlen(text);
	if (size > KD_PCAPNG_TEXT_MAX) {
		size = KD_PCAPNG_TEXT_MAX;
		while (size && ((uint8_t)text[size] & 0xC0) == 0x80)
			size--;
	}
	put_option(w, code, text, size);
}

static void begin_block(struct kd_pcapng_writer *w, uint32_t type)
{
	w->block_at = w->n;
	w->overflow = false;
	put32(w, type);
	put32(w, 0); /* end_block() knows */
}

/* KD_E_FULL: it did not fit, and is taken out again. */
static enum kd_status end_block(struct kd_pcapng_writer *w)
{
	uint32_t size = (uint32_t)(w->n - w->block_at + 4);

	put32(w, size);
	if (w->overflow) {
		w->n = w->block_at;
		return KD_E_FULL;
	}
	kd_put32(w->buffer + w->block_at + 4, size);
	w->counters.bytes += size;
	return KD_OK;
}

/* --- handing them over --- */

static enum kd_status broken(const struct kd_pcapng_writer *w, struct kd_error *err)
{
	if (w->broken.status != KD_OK && err)
		*err = w->broken;
	return w->broken.status;
}

static enum kd_status break_off(struct kd_pcapng_writer *w, int number, struct kd_error *err)
{
	if (number == EPIPE)
		kd_error_set(&w->broken, KD_E_CLOSED, 0,
			     "the reader of the recording is gone: recording ended");
	else
		kd_error_set(&w->broken, KD_E_IO, 0, "recording ended: %s", strerror(number));
	w->from = w->n = 0;
	return broken(w, err);
}

/*
 * write() to a FIFO without a reader raises SIGPIPE, which would end programs that never asked for
 * FIFOs. It is blocked in this thread, and taken away if it was not pending before.
 */
static ssize_t write_quietly(int fd, const void *bytes, size_t size)
{
	const struct timespec no_time = { 0 };
	sigset_t pipe_only, before, pending;
	bool was_pending;
	ssize_t n;
	int number;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	n = write(fd, bytes, size);
	number = errno;
	if (n < 0 && number == EPIPE && !was_pending)
		while (sigtimedwait(&pipe_only, NULL, &no_time) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return n;
}

/* Whatever the system takes now. What a FIFO does not take stays in the buffer. */
static enum kd_status hand_over(struct kd_pcapng_writer *w, struct kd_error *err)
{
	int number = 0;

	if (w->broken.status != KD_OK)
		return broken(w, err);
	while (w->from < w->n) {
		const uint8_t *at = w->buffer + w->from;
		ssize_t n = w->is_direct ? write_quietly(w->fd, at, w->n - w->from)
					 : write(w->fd, at, w->n - w->from);

		if (n > 0)
			w->from += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else {
			number = n < 0 ? errno : ENOSPC;
			break;
		}
	}
	if (w->from == w->n)
		w->from = w->n = 0;
	if (number && number != EAGAIN && number != EWOULDBLOCK)
		return break_off(w, number, err);
	return KD_OK;
}

static enum kd_status finish_block(struct kd_pcapng_writer *w, struct kd_error *err)
{
	if (end_block(w) != KD_OK)
		return kd_error_set(err, KD_E_FULL, 0, "the reader of the recording is too slow");
	return w->is_direct || w->n >= FLUSH_AT ? hand_over(w, err) : KD_OK;
}

/* --- opening --- */

static bool is_direct(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

/* Without a reader, opening a FIFO for writing fails with ENXIO: try until somebody comes. */
static enum kd_status open_direct(struct kd_pcapng_writer *w, const char *path, uint32_t timeout_ms,
				  struct kd_error *err)
{
	uint64_t deadline = kd_deadline_after_ms(timeout_ms);

	w->is_direct = true;
	while ((w->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) < 0 &&
	       (errno == ENXIO || errno == EINTR)) {
		if (kd_now_ns() >= deadline)
			return kd_error_set(err, KD_E_TIMEOUT, 0,
					    "nobody reads the FIFO %.120s: start the reader first",
					    path);
		kd_wait(NULL, 0, KD_MIN(deadline, kd_deadline_after_ms(FIFO_RETRY_MS)), NULL, NULL);
	}
	if (w->fd < 0)
		return kd_error_set(err, errno == EACCES ? KD_E_DENIED : KD_E_IO, 0,
				    "cannot write %.150s: %s", path, strerror(errno));
	return KD_OK;
}

static enum kd_status open_output(struct kd_pcapng_writer *w, const char *path, uint32_t timeout_ms,
				  struct kd_error *err)
{
	enum kd_status s;

	if (is_direct(path))
		return open_direct(w, path, timeout_ms, err);
	s = kd__file_replace_begin(&w->file, path, err);
	w->fd = w->file.fd;
	return s;
}

static enum kd_status write_section(struct kd_pcapng_writer *w, const char *application,
				    const char *comment, struct kd_error *err)
{
	begin_block(w, KD__PCAPNG_SHB);
	put32(w, KD__PCAPNG_MAGIC);
	put16(w, 1);
	put16(w, 0);
	put32(w, UINT32_MAX); /* length of the section: not known */
	put32(w, UINT32_MAX);
	put_text_option(w, KD__PCAPNG_OPT_COMMENT, comment);
	put_text_option(w, KD__PCAPNG_SHB_APPLICATION, application);
	put_option(w, KD__PCAPNG_OPT_END, NULL, 0);
	return finish_block(w, err);
}

/* With its output open. On failure the writer is gone. */
static enum kd_status begin(struct kd_pcapng_writer *w, enum kd_status opened,
			    const char *application, const char *comment,
			    struct kd_pcapng_writer **w_ret, struct kd_error *err)
{
	enum kd_status s = opened == KD_OK ? write_section(w, application, comment, err) : opened;

	if (s == KD_OK)
		*w_ret = w;
	else
		kd_pcapng_writer_abort(w);
	return s;
}

static struct kd_pcapng_writer *allocate(struct kd_error *err)
{
	struct kd_pcapng_writer *w = calloc(1, sizeof *w);

	if (!w || !(w->buffer = malloc(BUFFER_SIZE))) {
		kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		free(w);
		return NULL;
	}
	w->size = BUFFER_SIZE;
	w->fd = w->file.fd = -1;
	return w;
}

enum kd_status kd_pcapng_writer_create(const char *path, const char *application,
				       const char *comment, uint32_t timeout_ms,
				       struct kd_pcapng_writer **w_ret, struct kd_error *err)
{
	struct kd_pcapng_writer *w = allocate(err);

	if (!w)
		return KD_E_NO_MEMORY;
	return begin(w, open_output(w, path, timeout_ms, err), application, comment, w_ret, err);
}

enum kd_status kd_pcapng_writer_create_fd(int fd, const char *application, const char *comment,
					  struct kd_pcapng_writer **w_ret, struct kd_error *err)
{
	struct kd_pcapng_writer *w = allocate(err);
	int flags = fcntl(fd, F_GETFL);

	if (!w) {
		close(fd);
		return KD_E_NO_MEMORY;
	}
	w->fd = fd;
	w->is_direct = true;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		kd_pcapng_writer_abort(w);
		return kd_error_set(err, KD_E_INVALID, 0, "descriptor %d: %s", fd, strerror(errno));
	}
	return begin(w, KD_OK, application, comment, w_ret, err);
}

/* --- writing --- */

enum kd_status kd_pcapng_add_interface(struct kd_pcapng_writer *w, uint16_t link_type,
				       const char *name, const char *description, uint32_t *id_ret,
				       struct kd_error *err)
{
	const uint8_t nanoseconds = 9;
	enum kd_status s;

	if (w->broken.status != KD_OK)
		return broken(w, err);
	if (w->n_interfaces == KD_PCAPNG_INTERFACES_MAX)
		return kd_error_set(err, KD_E_FULL, 0, "more than %d interfaces in a recording",
				    KD_PCAPNG_INTERFACES_MAX);
	begin_block(w, KD__PCAPNG_IDB);
	put16(w, link_type);
	put16(w, 0);
	put32(w, KD_PCAPNG_DATA_MAX);
	put_text_option(w, KD__PCAPNG_IF_NAME, name);
	put_text_option(w, KD__PCAPNG_IF_DESCRIPTION, description);
	put_option(w, KD__PCAPNG_IF_TSRESOL, &nanoseconds, 1);
	put_option(w, KD__PCAPNG_OPT_END, NULL, 0);
	s = finish_block(w, err);
	if (s == KD_OK)
		*id_ret = w->n_interfaces++;
	return s;
}

static void put_option64(struct kd_pcapng_writer *w, uint16_t code, uint64_t value)
{
	uint8_t bytes[8];

	kd_put64(bytes, value);
	if (value)
		put_option(w, code, bytes, sizeof bytes);
}

static void put_packet(struct kd_pcapng_writer *w, const struct kd_pcapng_packet *p)
{
	uint8_t flags[4];

	begin_block(w, KD__PCAPNG_EPB);
	put32(w, p->interface_id);
	put32(w, (uint32_t)(p->time_ns >> 32));
	put32(w, (uint32_t)p->time_ns);
	put32(w, (uint32_t)p->size);
	put32(w, (uint32_t)KD_MAX(p->original_size, p->size));
	put_padded(w, p->data, p->size);
	put_text_option(w, KD__PCAPNG_OPT_COMMENT, p->comment);
	put_text_option(w, KD__PCAPNG_OPT_COMMENT, p->comment2);
	kd_put32(flags, (uint32_t)p->direction);
	put_option(w, KD__PCAPNG_EPB_FLAGS, flags, sizeof flags);
	put_option64(w, KD__PCAPNG_EPB_DROPS, p->drops + w->counters.left_out - w->left_out_told);
	put_option64(w, KD__PCAPNG_EPB_PACKET_ID, p->packet_id);
	put_option(w, KD__PCAPNG_OPT_END, NULL, 0);
}

enum kd_status kd_pcapng_write(struct kd_pcapng_writer *w, const struct kd_pcapng_packet *packet,
			       struct kd_error *err)
{
	enum kd_status s;

	if (w->broken.status != KD_OK)
		return broken(w, err);
	/* A backlog is left only by a slow reader: it may have caught up. */
	if (w->is_direct && w->n > 0 && hand_over(w, err) != KD_OK)
		return broken(w, err);
	if (packet->size > KD_PCAPNG_DATA_MAX || packet->interface_id >= w->n_interfaces)
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "a packet of %zu bytes at interface %u can't be recorded",
				    packet->size, packet->interface_id);
	put_packet(w, packet);
	s = finish_block(w, err);
	if (s == KD_E_FULL)
		w->counters.left_out++;
	else if (s == KD_OK) {
		w->left_out_told = w->counters.left_out;
		w->counters.packets++;
	}
	return s;
}

enum kd_status kd_pcapng_flush(struct kd_pcapng_writer *w, struct kd_error *err)
{
	return hand_over(w, err);
}

void kd_pcapng_writer_counters(const struct kd_pcapng_writer *w, struct kd_pcapng_counters *ret)
{
	*ret = w->counters;
}

/* --- closing --- */

/* A reader that is a little late gets the last blocks too. */
static enum kd_status hand_over_rest(struct kd_pcapng_writer *w, struct kd_error *err)
{
	uint64_t deadline = kd_deadline_after_ms(LAST_WORDS_MS);
	enum kd_status s = hand_over(w, err);

	while (s == KD_OK && w->n > 0) {
		struct kd_wait_fd fd = { .fd = w->fd, .want_write = true };

		if (kd_wait(&fd, 1, deadline, NULL, NULL) != KD_OK)
			return kd_error_set(err, KD_E_TIMEOUT, 0,
					    "the reader of the recording did not take the end");
		s = hand_over(w, err);
	}
	return s;
}

/* A full disk: what was recorded may be worth a lot, but it must not replace a whole recording. */
static enum kd_status leave_aside(struct kd_pcapng_writer *w, struct kd_error *err)
{
	enum kd_status s = kd_error_set(err, w->broken.status, 0,
					"%.80s; the beginning is in %.120s", w->broken.text,
					w->file.aside);

	kd__file_replace_leave(&w->file);
	return s;
}

enum kd_status kd_pcapng_writer_close(struct kd_pcapng_writer *w, struct kd_error *err)
{
	enum kd_status s = hand_over_rest(w, err);

	if (s == KD_OK && !w->is_direct)
		s = kd__file_replace_commit(&w->file, err);
	else if (s != KD_OK && !w->is_direct)
		s = leave_aside(w, err);
	kd_pcapng_writer_abort(w);
	return s;
}

void kd_pcapng_writer_abort(struct kd_pcapng_writer *w)
{
	if (!w)
		return;
	if (w->is_direct && w->fd >= 0)
		close(w->fd);
	kd__file_replace_abort(&w->file);
	free(w->buffer);
	free(w);
}
