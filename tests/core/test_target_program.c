/* SPDX-License-Identifier: MIT */
/* kd-fake-target, the fake target as a process of its own behind a unix socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/kd_client.h"
#include "tests/support/kd_fake_target.h"

static const char *program;
static char folder[] = "/tmp/openkd-fake-XXXXXX";
static char path[64], map_path[64], map_option[96];
static struct kd_client client;
static pid_t pid;
static int commands = -1;

static void command(const char *line)
{
	assert_int_equal(write(commands, line, strlen(line)), (ssize_t)strlen(line));
}

static int setup(void **state)
{
	int ends[2];
	FILE *f;

	(void)state;
	if (!mkdtemp(folder) || pipe(ends) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/kd", folder);
	snprintf(map_path, sizeof(map_path), "%s/bytes", folder);
	snprintf(map_option, sizeof(map_option), "%s@0x400000", map_path);
	f = fopen(map_path, "wb");
	if (!f || fwrite("mapped", 1, 6, f) != 6 || fclose(f) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[0], 0);
		close(ends[1]);
		execl(program, program, "--listen", path, "--stop-at-boot", "--processors", "2",
		      "--module", "disk.sys:0x4000", "--print", "hello\n", "--map", map_option,
		      "--stdin", "--seconds", "60", (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	commands = ends[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kd_client_deinit(&client);
	close(commands);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
	unlink(map_path);
	rmdir(folder);
	return 0;
}

static void attach(void)
{
	int fd = kd_client_connect(path, 5000);

	assert_true(fd >= 0);
	kd_client_init_fd(&client, fd);
	kd_link_reset(&client.link, client.now);
}

static void test_program(void **state)
{
	char bytes[7] = { 0 };
	int status = -1;

	(void)state;
	attach();
	assert_true(kd_client_wait_stop(&client));
	assert_int_equal(client.stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_int_equal(client.stop.hdr.n_processors, 2);
	assert_true(kd_client_read(&client, 0x400000, bytes, 6));
	assert_string_equal(bytes, "mapped");
	assert_true(kd_client_go(&client, false));
	assert_true(kd_client_wait_text(&client, "hello\n"));
	command("load 1\n");
	assert_true(kd_client_wait_stop(&client));
	assert_string_equal(client.stop.name, "\\SystemRoot\\System32\\disk.sys");
	assert_int_equal(client.stop.u.load_symbols.size_of_image, 0x4000);
	/* The next debugger finds the stop. */
	assert_true(kd_client_idle(&client, 20));
	kd_client_deinit(&client);
	attach();
	assert_true(kd_client_wait_stop(&client));
	assert_string_equal(client.stop.name, "\\SystemRoot\\System32\\disk.sys");
	assert_true(kd_client_go(&client, false));
	command("print again\nquit\n");
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(access(path, F_OK), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_program, setup, teardown),
	};

	if (argc < 2) {
		fprintf(stderr, "usage: %s KD-FAKE-TARGET\n", argv[0]);
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
