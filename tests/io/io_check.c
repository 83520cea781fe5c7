/* SPDX-License-Identifier: MIT */
#include "tests/io/io_check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CHILDREN = 32, N_TEXTS = 64, TEXT_SIZE = 512 };

static char folder[64];
static pid_t children[MAX_CHILDREN];

void io_assert_says(const struct kd_error *err, const char *part, const char *file, int line)
{
	if (strstr(err->text, part))
		return;
	print_error("\"%s\" is not in: %s\n", part, err->text);
	_fail(file, line);
}

/* --- folder --- */

int io_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_DFL); /* the library must not raise it */
	alarm(120);
	umask(022);
	strcpy(folder, "/tmp/kd-io-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	setenv("XDG_RUNTIME_DIR", folder, 1);
	setenv("XDG_STATE_HOME", io_path("state"), 1);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path);
}

int io_teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (!children[i])
			continue;
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		children[i] = 0;
	}
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *io_text(const char *fmt, ...)
{
	static char texts[N_TEXTS][TEXT_SIZE];
	static size_t next;
	char *text = texts[next++ % N_TEXTS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, TEXT_SIZE, fmt, ap);
	va_end(ap);
	return text;
}

const char *io_path(const char *name)
{
	return io_text("%s/%s", folder, name);
}

/* --- children --- */

static void remember(pid_t pid)
{
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (!children[i]) {
			children[i] = pid;
			return;
		}
	}
	fail_msg("too many children");
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < MAX_CHILDREN; i++)
		if (children[i] == pid)
			children[i] = 0;
}

struct io_child io_spawn(const char *const *argv)
{
	int in[2], out[2];
	struct io_child c;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	remember(c.pid);
	return c;
}

const char *io_child_line(struct io_child *c, const char *start)
{
	static char line[1024];
	size_t n = 0;

	for (;;) {
		struct kd_wait_fd fd = { .fd = c->out, .want_read = true };

		assert_int_equal(kd_wait(&fd, 1, kd_deadline_after_ms(LIMIT_MS), NULL, NULL),
				 KD_OK);
		if (read(c->out, line + n, 1) != 1)
			fail_msg("the child ended without saying \"%s\"", start);
		if (line[n] != '\n') {
			n += n + 2 < sizeof line;
			continue;
		}
		line[n] = '\0';
		if (strncmp(line, start, strlen(start)) == 0)
			return line;
		n = 0;
	}
}

void io_child_say(struct io_child *c, const char *line)
{
	assert_int_equal(write(c->in, line, strlen(line)), strlen(line));
	assert_int_equal(write(c->in, "\n", 1), 1);
}

void io_child_kill(struct io_child *c, int signal_number)
{
	if (c->pid <= 0)
		return;
	kill(c->pid, signal_number);
	waitpid(c->pid, NULL, 0);
	forget(c->pid);
	close(c->in);
	close(c->out);
	c->pid = 0;
}

bool io_has_program(const char *program)
{
	return system(io_text("command -v %s >/dev/null 2>&1", program)) == 0;
}

const char *io_shell(const char *command, int *status_ret)
{
	static char out[65536];
	FILE *p = popen(command, "re");
	size_t n;
	int status;

	assert_non_null(p);
	n = fread(out, 1, sizeof out - 1, p);
	out[n] = '\0';
	status = pclose(p);
	if (status_ret)
		*status_ret = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return out;
}

/* --- peers --- */

int io_unix_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof a.sun_path);
	strcpy(a.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

int io_accept(int listener)
{
	struct kd_wait_fd fd = { .fd = listener, .want_read = true };
	int peer;

	assert_int_equal(kd_wait(&fd, 1, kd_deadline_after_ms(LIMIT_MS), NULL, NULL), KD_OK);
	peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(peer >= 0);
	return peer;
}

/* --- transports --- */

struct kd_transport *io_open(const char *endpoint)
{
	struct kd_transport *t = NULL;
	struct kd_error err;

	assert_status(KD_OK, kd_transport_open_text(endpoint, NULL, &t, &err));
	return t;
}

void io_read_all(struct kd_transport *t, uint8_t *buf, size_t size)
{
	uint64_t deadline = kd_deadline_after_ms(LIMIT_MS);
	struct kd_error err;

	while (size) {
		size_t n;
		enum kd_status s = kd_transport_read(t, buf, size, &n, &err);

		if (s == KD_E_AGAIN) {
			assert_status(KD_OK, kd_transport_wait(t, deadline, NULL, &err));
			continue;
		}
		assert_status(KD_OK, s);
		assert_in_range(n, 1, size);
		buf += n;
		size -= n;
	}
}

void io_write_all(struct kd_transport *t, const uint8_t *buf, size_t size)
{
	uint64_t deadline = kd_deadline_after_ms(LIMIT_MS);
	struct kd_error err;

	while (size) {
		size_t n;
		enum kd_status s = kd_transport_write(t, buf, size, &n, &err);

		if (s == KD_E_AGAIN) {
			assert_status(KD_OK, kd_transport_wait(t, deadline, NULL, &err));
			continue;
		}
		assert_status(KD_OK, s);
		assert_in_range(n, 1, size);
		buf += n;
		size -= n;
	}
}

enum kd_status io_read_to_end(struct kd_transport *t, struct kd_error *err)
{
	uint64_t deadline = kd_deadline_after_ms(LIMIT_MS);
	uint8_t buf[4096];

	for (;;) {
		size_t n;
		enum kd_status s = kd_transport_read(t, buf, sizeof buf, &n, err);

		if (s == KD_E_AGAIN)
			s = kd_transport_wait(t, deadline, NULL, err);
		if (s != KD_OK)
			return s;
	}
}

void io_until_up(struct kd_transport *t, bool is_up)
{
	uint64_t deadline = kd_deadline_after_ms(LIMIT_MS);
	struct kd_error err;
	uint8_t byte;
	size_t n;

	for (;;) {
		enum kd_status s = kd_transport_read(t, &byte, 1, &n, &err);

		assert_int_not_equal(s, KD_OK);
		if (kd_transport_info(t)->is_up == is_up)
			return;
		assert_status(KD_OK, kd_transport_wait(t, deadline, NULL, &err));
	}
}

/* --- cancels --- */

struct cancel_later {
	struct kd_cancel *cancel;
	_Atomic uint64_t at; /* when it was triggered */
};

static void *cancel_later(void *argument)
{
	struct cancel_later *later = argument;

	usleep(20000);
	atomic_store(&later->at, kd_now_ns());
	kd_cancel_trigger(later->cancel);
	return NULL;
}

static uint64_t cancel_latency_ns(struct kd_cancel *c, enum kd_status (*wait)(void *context),
				  void *context)
{
	struct cancel_later later = { .cancel = c };
	pthread_t thread;
	uint64_t end;

	kd_cancel_clear(c);
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, &later), 0);
	assert_int_equal(wait(context), KD_E_CANCELLED);
	end = kd_now_ns();
	pthread_join(thread, NULL);
	assert_true(end >= atomic_load(&later.at));
	return end - atomic_load(&later.at);
}

void io_assert_cancel_is_quick(struct kd_cancel *c, enum kd_status (*wait)(void *context),
			       void *context)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5 && best >= SOON_MS * UINT64_C(1000000); i++)
		best = KD_MIN(best, cancel_latency_ns(c, wait, context));
	assert_in_range(best, 0, SOON_MS * UINT64_C(1000000));
}

void io_pattern(uint8_t *buf, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13 + (i >> 16));
}

/* --- files --- */

void io_write_file(const char *path, const void *bytes, size_t size)
{
	FILE *f = fopen(path, "wbe");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

uint8_t *io_read_file(const char *path, size_t *size_ret)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *bytes;
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	*size_ret = (size_t)st.st_size;
	return bytes;
}
