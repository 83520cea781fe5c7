/* SPDX-License-Identifier: MIT */
/*
 * kd-lossy-proxy: passes bytes between two endpoints over a bad line (lib/io/proxy.h).
 *
 *	kd-lossy-proxy --seed 7 --command 'loss 0.1%' unix-listen:/tmp/bad.sock,reconnect \
 *		unix:/tmp/vm.sock,reconnect
 *
 * Prints "ready" when both endpoints are open (or are being tried, with `reconnect`). Obeys lines
 * of standard input, which may end; ends by `quit`, SIGTERM, SIGINT or after --seconds and prints
 * its counters then. "up" is from the first endpoint to the second.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/io/proxy.h"

enum { MAX_COMMANDS = 32, LINE_SIZE = 256 };

static const char help[] =
	"usage: kd-lossy-proxy [--seed N] [--seconds N] [--command LINE]... FIRST SECOND\n"
	"commands (also lines of standard input):\n"
	"  loss RATE [up|down]       bytes that vanish; RATE as 0.001 or 0.1%\n"
	"  flip RATE [up|down]       bytes with one bit flipped\n"
	"  duplicate RATE [up|down]  bytes that come twice\n"
	"  delay MS [up|down]        how long bytes are held\n"
	"  counters                  what happened so far, as a line of JSON\n"
	"  quit\n";

static const char *const direction_names[] = { "up", "down" };

struct program {
	struct kd_proxy *proxy;
	struct kd_impair_rates rates[KD_PROXY_DIRECTIONS];
	bool quit, input_ended;
	char line[LINE_SIZE];
	size_t line_size;
};

static struct kd_cancel stop;

static void on_signal(int number)
{
	(void)number;
	kd_cancel_trigger(&stop);
}

static void print_counters(const struct program *p)
{
	printf("{");
	for (int d = 0; d < KD_PROXY_DIRECTIONS; d++) {
		struct kd_proxy_counters c;

		kd_proxy_counters(p->proxy, (enum kd_proxy_direction)d, &c);
		printf("%s\"%s\": {\"in\": %llu, \"out\": %llu, \"lost\": %llu, \"flipped\": %llu, "
		       "\"duplicated\": %llu, \"dropped\": %llu, \"connections\": %llu}",
		       d ? ", " : "", direction_names[d], (unsigned long long)c.bytes.in,
		       (unsigned long long)c.bytes.out, (unsigned long long)c.bytes.lost,
		       (unsigned long long)c.bytes.flipped, (unsigned long long)c.bytes.duplicated,
		       (unsigned long long)c.dropped, (unsigned long long)c.connections);
	}
	printf("}\n");
	fflush(stdout);
}

/* --- commands --- */

/* "0.001" or "0.1%" to parts per million. */
static bool parse_rate(const char *text, uint32_t *ret)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text)
		return false;
	if (*end == '%') {
		value /= 100;
		end++;
	}
	if (*end || !(value >= 0 && value <= 1))
		return false;
	*ret = (uint32_t)(value * KD_IMPAIR_MILLION + 0.5);
	return true;
}

static uint32_t *rate_of(struct kd_impair_rates *r, const char *word)
{
	return strcmp(word, "loss") == 0        ? &r->loss
	       : strcmp(word, "flip") == 0      ? &r->flip
	       : strcmp(word, "duplicate") == 0 ? &r->duplicate
						: NULL;
}

static bool set_delay(struct program *p, enum kd_proxy_direction d, const char *value)
{
	char *end;
	double ms = strtod(value, &end);

	if (end == value || *end || !(ms >= 0 && ms <= 60000))
		return false;
	kd_proxy_set_delay(p->proxy, d, (uint64_t)(ms * KD_NS_PER_MS));
	return true;
}

static bool set(struct program *p, enum kd_proxy_direction d, const char *word, const char *value)
{
	uint32_t *rate = rate_of(&p->rates[d], word);

	if (strcmp(word, "delay") == 0)
		return set_delay(p, d, value);
	if (!rate || !parse_rate(value, rate))
		return false;
	kd_proxy_set_rates(p->proxy, d, &p->rates[d]);
	return true;
}

static bool obey(struct program *p, const char *line)
{
	char word[16], value[32], direction[8] = "";
	int n = sscanf(line, "%15s %31s %7s", word, value, direction);
	bool ok = true;

	if (n < 1)
		return true;
	if (n == 1 && strcmp(word, "counters") == 0)
		print_counters(p);
	else if (n == 1 && strcmp(word, "quit") == 0)
		p->quit = true;
	else if (n >= 2 &&
		 (n == 2 || strcmp(direction, "up") == 0 || strcmp(direction, "down") == 0))
		for (int d = 0; d < KD_PROXY_DIRECTIONS; d++)
			ok = ok && (n == 3 && strcmp(direction, direction_names[d]) != 0
					    ? true
					    : set(p, (enum kd_proxy_direction)d, word, value));
	else
		ok = false;
	if (!ok)
		fprintf(stderr, "kd-lossy-proxy: what is \"%s\"?\n%s", line, help);
	return ok;
}

static void read_input(struct program *p)
{
	ssize_t n = read(0, p->line + p->line_size, sizeof p->line - 1 - p->line_size);
	char *end;

	if (n <= 0) {
		p->input_ended = true;
		return;
	}
	p->line_size += (size_t)n;
	while ((end = memchr(p->line, '\n', p->line_size))) {
		size_t used = (size_t)(end + 1 - p->line);

		*end = '\0';
		obey(p, p->line);
		p->line_size -= used;
		memmove(p->line, p->line + used, p->line_size);
	}
	if (p->line_size == sizeof p->line - 1)
		p->line_size = 0;
}

/* --- the loop --- */

static enum kd_status serve(struct program *p, uint64_t until, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	while (s == KD_OK && !p->quit && kd_now_ns() < until) {
		struct kd_wait_fd fds[3];
		uint64_t deadline;

		s = kd_proxy_step(p->proxy, err);
		if (s != KD_OK)
			break;
		kd_proxy_poll(p->proxy, fds, &deadline);
		fds[2] = (struct kd_wait_fd){ .fd = p->input_ended ? -1 : 0, .want_read = true };
		s = kd_wait(fds, 3, KD_MIN(deadline, until), &stop, err);
		if (s == KD_OK && fds[2].can_read_ret)
			read_input(p);
		if (s == KD_E_TIMEOUT)
			s = KD_OK;
	}
	return s == KD_E_CANCELLED ? KD_OK : s;
}

static enum kd_status open_ends(char **endpoints, uint64_t seed, struct kd_proxy **ret,
				struct kd_error *err)
{
	const struct kd_open_options options = { .may_be_absent = true, .cancel = &stop };
	struct kd_transport *ends[2];
	enum kd_status s = kd_transport_open_text(endpoints[0], &options, &ends[0], err);

	if (s != KD_OK)
		return s;
	s = kd_transport_open_text(endpoints[1], &options, &ends[1], err);
	if (s != KD_OK) {
		kd_transport_destroy(ends[0]);
		return s;
	}
	return kd_proxy_create(ends[0], ends[1], seed, ret, err);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "command", required_argument, NULL, 'c' },
		{ 0 },
	};
	const char *commands[MAX_COMMANDS];
	struct program p = { 0 };
	size_t n_commands = 0;
	uint64_t seed = 1, until = KD_TIME_NEVER;
	struct kd_error err;
	enum kd_status s;
	bool ok = true;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 't')
			until = kd_deadline_after_ms((uint32_t)strtoul(optarg, NULL, 0) * 1000);
		else if (c == 'c' && n_commands < MAX_COMMANDS)
			commands[n_commands++] = optarg;
		else
			ok = false;
	}
	if (!ok || argc - optind != 2) {
		fputs(help, stderr);
		return 2;
	}
	s = kd_cancel_init(&stop, &err);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (s == KD_OK)
		s = open_ends(argv + optind, seed, &p.proxy, &err);
	for (size_t i = 0; i < n_commands && s == KD_OK; i++)
		if (!obey(&p, commands[i]))
			s = kd_error_set(&err, KD_E_INVALID, 0, "a command was not understood");
	if (s == KD_OK) {
		puts("ready");
		fflush(stdout);
		s = serve(&p, until, &err);
		print_counters(&p);
	}
	if (s != KD_OK)
		fprintf(stderr, "kd-lossy-proxy: %s\n", err.text);
	kd_proxy_destroy(p.proxy);
	kd_cancel_deinit(&stop);
	return s == KD_OK ? 0 : 1;
}
