/* SPDX-License-Identifier: MIT */
/* What the tests of lib/io share: a folder of their own, child processes, loops with a time limit.
 */
#ifndef KD_TESTS_IO_CHECK_H
#define KD_TESTS_IO_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "lib/io/transport.h"
#include "lib/wait.h"

enum {
	LIMIT_MS = 5000,
	SOON_MS = 50,  /* a cancel takes less */
	LATE_MS = 500, /* how much later than its deadline a wait may end on a busy machine */
};

/* The call returned `want`; prints err->text if not. `call` uses &err of the caller. */
#define assert_status(want, call)                                                  \
	do {                                                                       \
		enum kd_status status_ = (call);                                   \
		if (status_ != (want))                                             \
			print_error("status %d, wanted %d: %s\n", status_, (want), \
				    status_ == KD_OK ? "" : err.text);             \
		assert_int_equal(status_, (want));                                 \
	} while (0)

/* err.text holds `part`. */
#define assert_says(part) io_assert_says(&err, part, __FILE__, __LINE__)
void io_assert_says(const struct kd_error *err, const char *part, const char *file, int line);

/*
 * Group set-up: a new folder, XDG_RUNTIME_DIR and XDG_STATE_HOME in it, SIGALRM after two minutes.
 * Tear-down removes it.
 */
int io_setup(void **state);
int io_teardown(void **state);

/* "FOLDER/name" in static storage, good for the next 64 calls. */
const char *io_path(const char *name);
/* printf into static storage, likewise. */
const char *io_text(const char *fmt, ...) KD_PRINTF(1, 2);

/* A child running `program`, killed by io_teardown if the test forgets. Its stdin and stdout. */
struct io_child {
	pid_t pid;
	int in, out;
};
struct io_child io_spawn(const char *const *argv);
/* Reads its stdout up to and with a line that begins with `start`; the line, static. */
const char *io_child_line(struct io_child *c, const char *start);
void io_child_say(struct io_child *c, const char *line);
void io_child_kill(struct io_child *c, int signal_number);
/* Is `program` to be had? */
bool io_has_program(const char *program);
/* Output of a shell command, static; *status_ret (may be NULL) its exit status. */
const char *io_shell(const char *command, int *status_ret);

/* A listening unix socket at `path`; a connection from it. Non-blocking. */
int io_unix_listen(const char *path);
int io_accept(int listener);

/* Opens or fails the test. */
struct kd_transport *io_open(const char *endpoint);
/* Reads exactly `size` bytes within LIMIT_MS. */
void io_read_all(struct kd_transport *t, uint8_t *buf, size_t size);
void io_write_all(struct kd_transport *t, const uint8_t *buf, size_t size);
/* Reads until something else than KD_OK and KD_E_AGAIN comes. */
enum kd_status io_read_to_end(struct kd_transport *t, struct kd_error *err);
/* Drives reads until the transport is up (or not). */
void io_until_up(struct kd_transport *t, bool is_up);

/*
 * `wait` is called while another thread triggers `c` 20 ms later: it returns KD_E_CANCELLED less
 * than SOON_MS after that, at least in one of five tries (the machine may be busy). `c` stays set.
 */
void io_assert_cancel_is_quick(struct kd_cancel *c, enum kd_status (*wait)(void *context),
			       void *context);

/* Bytes that tell their position. */
void io_pattern(uint8_t *buf, size_t size, unsigned seed);

void io_write_file(const char *path, const void *bytes, size_t size);
/* Whole file, malloc()ed, NUL behind it. */
uint8_t *io_read_file(const char *path, size_t *size_ret);

#endif
