/* SPDX-License-Identifier: MIT */
/* Folders that are ours alone, and files that are replaced whole or not at all. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io/private_dir.h"
#include "tests/io/io_check.h"

static struct kd_error err;
static char path[512];

static void test_places(void **state)
{
	static const struct {
		const char *runtime, *state_home, *home;
		enum kd_private_dir which;
		const char *name, *want;
	} rows[] = {
		{ "/r", "/s", "/h", KD_DIR_RUNTIME, NULL, "/r/openkd" },
		{ "/r", "/s", "/h", KD_DIR_RUNTIME, "x.sock", "/r/openkd/x.sock" },
		{ "/r", "/s", "/h", KD_DIR_STATE, "journal", "/s/openkd/journal" },
		{ "/r", NULL, "/h", KD_DIR_STATE, NULL, "/h/.local/state/openkd" },
		{ "/r", "relative", "/h", KD_DIR_STATE, NULL, "/h/.local/state/openkd" },
		{ "/r", "", "/h", KD_DIR_STATE, "a", "/h/.local/state/openkd/a" },
	};
	char *runtime = strdup(getenv("XDG_RUNTIME_DIR")), *home = strdup(getenv("HOME"));

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		setenv("XDG_RUNTIME_DIR", rows[i].runtime, 1);
		if (rows[i].state_home)
			setenv("XDG_STATE_HOME", rows[i].state_home, 1);
		else
			unsetenv("XDG_STATE_HOME");
		setenv("HOME", rows[i].home, 1);
		assert_status(KD_OK, kd_private_dir_path(rows[i].which, rows[i].name, path,
							 sizeof path, &err));
		assert_string_equal(path, rows[i].want);
	}
	unsetenv("XDG_RUNTIME_DIR");
	assert_status(KD_OK, kd_private_dir_path(KD_DIR_RUNTIME, NULL, path, sizeof path, &err));
	assert_non_null(strstr(path, "openkd"));
	assert_non_null(strstr(path, io_text("%u", (unsigned)geteuid())));
	assert_status(KD_E_TOO_BIG, kd_private_dir_path(KD_DIR_RUNTIME, "name", path, 8, &err));
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	setenv("XDG_STATE_HOME", io_path("state"), 1);
	setenv("HOME", home, 1);
	free(runtime);
	free(home);
}

static void test_made_private(void **state)
{
	struct stat st;

	(void)state;
	/* Also the folders above it, when they are not there. */
	setenv("XDG_STATE_HOME", io_path("deep/er/state"), 1);
	assert_status(KD_OK, kd_private_dir_make(KD_DIR_STATE, "j", path, sizeof path, &err));
	assert_string_equal(path, io_path("deep/er/state/openkd/j"));
	assert_int_equal(stat(io_path("deep/er/state/openkd"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(io_path("deep"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* And again. */
	assert_status(KD_OK, kd_private_dir_make(KD_DIR_STATE, NULL, path, sizeof path, &err));
}

static void test_refused(void **state)
{
	const char *folder = io_path("openkd");

	(void)state;
	rmdir(folder);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_status(KD_E_DENIED,
		      kd_private_dir_make(KD_DIR_RUNTIME, NULL, path, sizeof path, &err));
	assert_says("chmod 700");
	assert_int_equal(rmdir(folder), 0);

	/* A link may point anywhere: it is not a folder of ours. */
	assert_int_equal(mkdir(io_path("elsewhere"), 0700), 0);
	assert_int_equal(symlink(io_path("elsewhere"), folder), 0);
	assert_status(KD_E_DENIED,
		      kd_private_dir_make(KD_DIR_RUNTIME, NULL, path, sizeof path, &err));
	assert_int_equal(unlink(folder), 0);

	io_write_file(folder, "x", 1);
	assert_status(KD_E_DENIED,
		      kd_private_dir_make(KD_DIR_RUNTIME, NULL, path, sizeof path, &err));
	assert_says("not a folder");
	assert_int_equal(unlink(folder), 0);
}

/* Only root can give a folder away. */
static void test_somebody_elses(void **state)
{
	const char *folder = io_path("openkd");

	(void)state;
	if (geteuid() != 0)
		skip();
	rmdir(folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_status(KD_E_DENIED,
		      kd_private_dir_make(KD_DIR_RUNTIME, NULL, path, sizeof path, &err));
	assert_says("65534");
	assert_int_equal(rmdir(folder), 0);
}

static void assert_file(const char *name, const char *content)
{
	size_t size;
	uint8_t *bytes = io_read_file(io_path(name), &size);

	assert_string_equal((char *)bytes, content);
	free(bytes);
}

/* No unfinished file stays behind. */
static size_t count_files(void)
{
	return strtoul(io_shell(io_text("ls -A %s | grep -c part", io_path("")), NULL), NULL, 10);
}

static void test_replace(void **state)
{
	struct kd__file_replace f = KD__FILE_REPLACE_INIT;
	struct stat st;

	(void)state;
	io_write_file(io_path("f"), "old", 3);
	assert_status(KD_OK, kd__file_replace_begin(&f, io_path("f"), &err));
	assert_int_equal(write(f.fd, "new!", 4), 4);
	assert_file("f", "old");
	assert_status(KD_OK, kd__file_replace_commit(&f, &err));
	assert_file("f", "new!");
	assert_int_equal(stat(io_path("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	kd__file_replace_abort(&f);
	assert_file("f", "new!");

	assert_status(KD_OK, kd__file_replace_begin(&f, io_path("f"), &err));
	assert_int_equal(write(f.fd, "half", 4), 4);
	kd__file_replace_abort(&f);
	assert_file("f", "new!");
	assert_int_equal(count_files(), 0);

	/* A file that was not there; in the working folder. */
	assert_int_equal(chdir(io_path("")), 0);
	assert_status(KD_OK, kd__file_replace_begin(&f, "g", &err));
	assert_int_equal(access(io_path("g"), F_OK), -1);
	assert_status(KD_OK, kd__file_replace_commit(&f, &err));
	assert_file("g", "");
}

static void test_replace_keeps_links(void **state)
{
	struct kd__file_replace f;
	struct stat st;

	(void)state;
	io_write_file(io_path("real"), "old", 3);
	assert_int_equal(symlink(io_path("real"), io_path("link")), 0);
	assert_status(KD_OK, kd__file_replace_begin(&f, io_path("link"), &err));
	assert_int_equal(write(f.fd, "new", 3), 3);
	assert_status(KD_OK, kd__file_replace_commit(&f, &err));
	assert_int_equal(lstat(io_path("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_file("real", "new");
}

static void test_replace_refuses(void **state)
{
	struct kd__file_replace f;

	(void)state;
	assert_status(KD_E_NOT_FOUND, kd__file_replace_begin(&f, io_path("no/such/f"), &err));
	assert_int_equal(f.fd, -1);
	kd__file_replace_abort(&f);
	assert_status(KD_E_EXISTS, kd__file_replace_begin(&f, io_path(""), &err));
	assert_status(KD_E_EXISTS, kd__file_replace_begin(&f, "/dev/null", &err));
}

/* kill -9 in the middle: the old file is whole. */
static void test_killed_writer(void **state)
{
	struct kd__file_replace f;
	int status;
	pid_t pid;

	(void)state;
	io_write_file(io_path("k"), "old", 3);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (kd__file_replace_begin(&f, io_path("k"), NULL) != KD_OK ||
		    write(f.fd, "ha", 2) != 2)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_file("k", "old");
	assert_int_equal(count_files(), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),          cmocka_unit_test(test_made_private),
		cmocka_unit_test(test_refused),         cmocka_unit_test(test_somebody_elses),
		cmocka_unit_test(test_replace),         cmocka_unit_test(test_replace_keeps_links),
		cmocka_unit_test(test_replace_refuses), cmocka_unit_test(test_killed_writer),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
