/* SPDX-License-Identifier: MIT */
/* !wireshark: the stream in a FIFO, Wireshark at its other end. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/kd/console.h"
#include "apps/kd/program_path.h"
#include "apps/kd/serve.h"
#include "apps/kd/traffic.h"

extern char **environ;

/* Wireshark holds the reading end from its first moment: what comes before it looks is not lost. */
enum { INHERITED_FD = 3 };

/* In the background, on its own; the FIFO goes with it. */
#define LIVE_COMMAND "(wireshark -k -i \"$1\"; rm -f \"$1\") &"
#define FILE_COMMAND "wireshark -r \"$1\" &"

/* NULL: Wireshark can be started. */
static const char *obstacle(void)
{
	const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

	if (!(x && *x) && !(wayland && *wayland))
		return "there is no display here";
	return program_is_in_path("wireshark") ? NULL : "Wireshark is not installed here";
}

static enum kd_status spawn(struct call *call, const char *command, const char *path, int reader)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	const char *const argv[] = { "sh", "-c", command, "sh", path, NULL };
	int failed, status;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	if (reader >= 0)
		posix_spawn_file_actions_adddup2(&files, reader, INHERITED_FD);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	failed = posix_spawn(&pid, "/bin/sh", &files, &attributes, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (failed)
		return call_fail(call, KD_E_IO, "Wireshark: %s", strerror(failed));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return KD_OK;
}

/* --- live --- */

static enum kd_status make_fifo(struct call *call, char *path, size_t size, int *reader_ret,
				int *writer_ret)
{
	static unsigned number;
	char folder[256], message[300];

	if (!server_runtime_folder(folder, sizeof(folder), message, sizeof(message)))
		return call_fail(call, KD_E_DENIED, "%s", message);
	snprintf(path, size, "%s/wireshark-%d-%u.fifo", folder, (int)getpid(), ++number);
	if (mkfifo(path, 0600) != 0)
		return call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
	*reader_ret = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	*writer_ret = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (*reader_ret >= 0 && *writer_ret >= 0)
		return KD_OK;
	return call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static enum kd_status stream_to_wireshark(struct call *call, struct kd_traffic *t)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	char path[300] = "";
	int reader = -1;
	unsigned id;
	enum kd_status s = make_fifo(call, path, sizeof(path), &reader, &options.fd);

	if (s == KD_OK)
		s = spawn(call, LIVE_COMMAND, path, reader);
	if (s == KD_OK) {
		s = kd_traffic_add_stream(t, &options, &id, call->err);
		options.fd = -1;
	}
	close_fd(reader);
	close_fd(options.fd);
	if (s == KD_OK)
		out_printf(call->out, "Stream %u: Wireshark starts, reading %s\n", id, path);
	else if (*path)
		unlink(path);
	return s;
}

static void tell_live(struct call *call, const char *why)
{
	const char *path = server_path(call->con->server), *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int n = (int)strlen(name);

	n = n > 5 ? n - 5 : 0; /* .sock */
	out_printf(call->out, "Wireshark cannot be started: %s. Instead:\n", why);
	if (n)
		out_printf(
			call->out,
			"  kd-extcap --install                 once: tshark and Wireshark list "
			"this "
			"session\n"
			"  tshark -i openkd-%.*s               packets as text, on this machine\n"
			"  ssh HOST kd-extcap --capture --extcap-interface openkd-%.*s --fifo - "
			"| wireshark -k -i -\n"
			"                                      on a machine with a display, HOST "
			"being "
			"this one\n",
			n, name, n, name);
	out_printf(call->out, "  mkfifo F; tshark -i F               and here: !traffic stream F\n"
			      "  !traffic stream FILE                to look at it elsewhere\n");
}

static enum kd_status show_live(struct call *call)
{
	struct kd_traffic_options options = KD_TRAFFIC_OPTIONS_INIT;
	struct kd_traffic *t;
	const char *why = obstacle();
	enum kd_status s = KD_OK;

	if (why) {
		tell_live(call, why);
		return KD_OK;
	}
	if (!call->con->traffic.t)
		s = traffic_start(call, &options);
	if (s == KD_OK)
		s = traffic_get(call, &t);
	return s == KD_OK ? stream_to_wireshark(call, t) : s;
}

/* --- what there was --- */

static enum kd_status show_file(struct call *call)
{
	APP_CLEANUP(app_freep) char *path = args_string(&call->args);
	const char *why = obstacle();
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_traffic_save(t, path, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Saved the last traffic to %s\n", path);
	if (!why)
		return spawn(call, FILE_COMMAND, path, -1);
	out_printf(call->out, "Wireshark cannot be started: %s. Instead: tshark -r %s\n", why,
		   path);
	return KD_OK;
}

enum kd_status traffic_run_wireshark(struct call *call)
{
	enum kd_status s;

	if (!args_take(&call->args, "live") && !args_at_end(&call->args))
		return show_file(call);
	s = args_done(&call->args);
	return s == KD_OK ? show_live(call) : s;
}
