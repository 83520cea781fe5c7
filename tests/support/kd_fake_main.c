/* SPDX-License-Identifier: MIT */
/*
 * kd-fake-target: the fake target on a unix socket, for tests that need a second process.
 *
 * It listens, serves one debugger after the other (the machine goes on between them), and ends
 * after --seconds or with the last line of standard input if --stdin is given. With --stdin each
 * line is something to do: print TEXT, prompt TEXT, load N, unload N, command TEXT, file NAME,
 * bugcheck, restart, quit.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

enum { MAX_LOADS = 16 };

struct options {
	const char *path;
	struct kd_fake_config fake;
	const char *modules[KD_FAKE_N_MODULES];
	size_t n_modules;
	const char *prints[KD_FAKE_N_TASKS / 2];
	size_t n_prints;
	const char *loads[MAX_LOADS]; /* FILE@ADDRESS */
	size_t n_loads;
	unsigned seconds;
	bool commands;
};

struct server {
	struct kd_fake *fake;
	int listener, peer;
	char line[1024];
	size_t line_size;
	bool quit, commands;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void usage(FILE *to)
{
	fputs("usage: kd-fake-target --listen PATH [--machine amd64|x86] [--processors N]\n"
	      "       [--stop-at-boot] [--stop-on-exception] [--max-api N] [--module "
	      "NAME[:SIZE]]...\n"
	      "       [--print TEXT]... [--map FILE@ADDRESS]... [--seconds N] [--stdin]\n",
	      to);
}

static bool add(const char **list, size_t *n, size_t max, const char *value)
{
	if (*n == max)
		return false;
	list[(*n)++] = value;
	return true;
}

static bool take_option(struct options *o, int c)
{
	switch (c) {
	case 'l': o->path = optarg; return true;
	case 'a':
		o->fake.machine = strcmp(optarg, "x86") == 0 ? KD_MACHINE_X86 : KD_MACHINE_AMD64;
		return true;
	case 'n':
		o->fake.n_processors = (uint16_t)atoi(optarg);
		return o->fake.n_processors > 0 && o->fake.n_processors <= KD_FAKE_N_PROCESSORS;
	case 'b': o->fake.stop_at_boot = true; return true;
	case 'e': o->fake.stop_on_exception = true; return true;
	case 'A': o->fake.max_manipulate = (uint8_t)strtoul(optarg, NULL, 0); return true;
	case 'm': return add(o->modules, &o->n_modules, KD_FAKE_N_MODULES - 1, optarg);
	case 'p': return add(o->prints, &o->n_prints, KD_FAKE_N_TASKS / 2, optarg);
	case 'M': return add(o->loads, &o->n_loads, MAX_LOADS, optarg);
	case 's': o->seconds = (unsigned)atoi(optarg); return true;
	case 'i': o->commands = true; return true;
	default: return false;
	}
}

static bool take_options(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "machine", required_argument, NULL, 'a' },
		{ "processors", required_argument, NULL, 'n' },
		{ "stop-at-boot", no_argument, NULL, 'b' },
		{ "stop-on-exception", no_argument, NULL, 'e' },
		{ "max-api", required_argument, NULL, 'A' },
		{ "module", required_argument, NULL, 'm' },
		{ "print", required_argument, NULL, 'p' },
		{ "map", required_argument, NULL, 'M' },
		{ "seconds", required_argument, NULL, 's' },
		{ "stdin", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!take_option(o, c))
			return false;
	return o->path && optind == argc;
}

/* FILE@ADDRESS: the file's bytes, at an address of the kernel or of a process. */
static bool map_file(struct kd_fake *f, const char *spec)
{
	const char *at = strrchr(spec, '@');
	uint64_t address = at ? strtoull(at + 1, NULL, 0) : 0;
	char path[512];
	uint8_t page[4096];
	size_t n;
	FILE *file;

	if (!at || (size_t)(at - spec) >= sizeof(path) || (address & 0xFFF))
		return false;
	memcpy(path, spec, (size_t)(at - spec));
	path[at - spec] = 0;
	file = fopen(path, "rb");
	if (!file)
		return false;
	while ((n = fread(page, 1, sizeof(page), file)) > 0) {
		kd_fake_map(f, address, sizeof(page), address >> 63 == 0);
		kd_fake_write(f, address, page, n);
		address += sizeof(page);
	}
	fclose(file);
	return true;
}

static struct kd_fake *make_fake(const struct options *o)
{
	struct kd_fake *f = kd_fake_create(&o->fake);

	for (size_t i = 0; i < o->n_modules; i++) {
		char name[64];
		const char *colon = strchr(o->modules[i], ':');
		unsigned long size = colon ? strtoul(colon + 1, NULL, 0) : 0x6000;

		snprintf(name, sizeof(name), "%.*s",
			 colon ? (int)(colon - o->modules[i]) : (int)strlen(o->modules[i]),
			 o->modules[i]);
		kd_fake_add_module(f, name, (uint32_t)size);
	}
	for (size_t i = 0; i < o->n_loads; i++) {
		if (map_file(f, o->loads[i]))
			continue;
		fprintf(stderr, "kd-fake-target: cannot map %s\n", o->loads[i]);
		kd_fake_destroy(f);
		return NULL;
	}
	for (size_t i = 0; i < o->n_prints; i++)
		kd_fake_do(f, KD_FAKE_PRINT, o->prints[i]);
	return f;
}

static int open_listener(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void drop_peer(struct server *s)
{
	if (s->peer >= 0)
		close(s->peer);
	s->peer = -1;
}

/* Like a UART: what nobody takes is lost. */
static void write_output(struct server *s, uint64_t now)
{
	const uint8_t *out;
	size_t size;

	while ((out = kd_fake_next_output(s->fake, &size)) != NULL) {
		ssize_t n = (ssize_t)size;

		if (s->peer >= 0) {
			n = send(s->peer, out, size, MSG_NOSIGNAL);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (n < 0) {
				drop_peer(s);
				n = (ssize_t)size;
			}
		}
		kd_fake_output_done(s->fake, (size_t)n, now);
	}
}

static void read_peer(struct server *s, uint64_t now)
{
	uint8_t bytes[4096];
	ssize_t n = recv(s->peer, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0)
		kd_fake_feed(s->fake, bytes, (size_t)n, now);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		drop_peer(s);
}

static void obey(struct server *s, const char *line)
{
	static const struct {
		const char *word;
		enum kd_fake_task_kind kind;
	} tasks[] = {
		{ "print ", KD_FAKE_PRINT },      { "prompt ", KD_FAKE_PROMPT },
		{ "command ", KD_FAKE_COMMAND },  { "file ", KD_FAKE_CREATE_FILE },
		{ "load ", KD_FAKE_LOAD },        { "unload ", KD_FAKE_UNLOAD },
		{ "bugcheck", KD_FAKE_BUGCHECK }, { "restart", KD_FAKE_RESTART },
	};

	if (strcmp(line, "quit") == 0) {
		s->quit = true;
		return;
	}
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		const size_t n = strlen(tasks[i].word);

		if (strncmp(line, tasks[i].word, n) != 0)
			continue;
		if (tasks[i].kind == KD_FAKE_LOAD || tasks[i].kind == KD_FAKE_UNLOAD) {
			const size_t module = strtoul(line + n, NULL, 0);

			if (module < s->fake->n_modules)
				kd_fake_do_module(s->fake, tasks[i].kind, module);
		} else {
			kd_fake_do(s->fake, tasks[i].kind, line + n);
		}
		return;
	}
	fprintf(stderr, "kd-fake-target: what is \"%s\"?\n", line);
}

static void read_commands(struct server *s)
{
	ssize_t n = read(0, s->line + s->line_size, sizeof(s->line) - 1 - s->line_size);
	char *end;

	if (n <= 0) {
		s->quit = true;
		return;
	}
	s->line_size += (size_t)n;
	while ((end = memchr(s->line, '\n', s->line_size)) != NULL) {
		*end = 0;
		obey(s, s->line);
		s->line_size -= (size_t)(end + 1 - s->line);
		memmove(s->line, end + 1, s->line_size);
	}
	if (s->line_size == sizeof(s->line) - 1)
		s->line_size = 0;
}

static int wait_ms(const struct server *s, bool busy, uint64_t now)
{
	const uint64_t deadline = kd_fake_deadline(s->fake);
	uint64_t ms = 50;

	if (busy || deadline <= now)
		return 0;
	if (deadline - now < ms * KD_NS_PER_MS)
		ms = (deadline - now) / KD_NS_PER_MS + 1;
	return (int)ms;
}

static void serve(struct server *s, uint64_t until)
{
	uint64_t now = now_ns();

	while (!s->quit && now < until) {
		bool busy = kd_fake_run(s->fake, now);
		struct pollfd fds[3] = {
			{ .fd = s->peer, .events = POLLIN },
			{ .fd = s->listener, .events = s->peer < 0 ? POLLIN : 0 },
			{ .fd = s->commands ? 0 : -1, .events = POLLIN },
		};

		write_output(s, now);
		poll(fds, 3, wait_ms(s, busy, now));
		now = now_ns();
		if (fds[0].revents && s->peer >= 0)
			read_peer(s, now);
		if (fds[1].revents & POLLIN)
			s->peer = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fds[2].revents)
			read_commands(s);
	}
}

int main(int argc, char **argv)
{
	struct options o = { .seconds = 600 };
	struct server s = { .peer = -1, .listener = -1 };

	if (!take_options(&o, argc, argv)) {
		usage(stderr);
		return 2;
	}
	s.fake = make_fake(&o);
	if (!s.fake)
		return 1;
	s.commands = o.commands;
	s.listener = open_listener(o.path);
	if (s.listener < 0) {
		fprintf(stderr, "kd-fake-target: cannot listen on %s: %s\n", o.path,
			strerror(errno));
		return 1;
	}
	puts("listening");
	fflush(stdout);
	serve(&s, now_ns() + o.seconds * (uint64_t)1000000000);
	drop_peer(&s);
	close(s.listener);
	unlink(o.path);
	kd_fake_destroy(s.fake);
	return 0;
}
