/* SPDX-License-Identifier: MIT */
/*
 * Machines of VirtualBox and VMware by their files: what is registered for this user, and which of
 * them a process runs. Nothing of either product is called.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vm/vm_found.h"
#include "lib/vm/xml_walk.h"

enum { CMDLINE_MAX = 16 << 10, PATH_SIZE = KD_QEMU_PATH_SIZE };

typedef enum kd_status parse_fn(const char *text, size_t size, const char *path,
				struct kd_vm_found *ret, struct kd_error *err);

/* The whole file, terminated; NULL: it can't be read, or is above KD_VM_FILE_MAX. */
static char *read_file(const char *path, size_t *size_ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= KD_VM_FILE_MAX)
		text = malloc((size_t)st.st_size + 1);
	if (text)
		n = read(fd, text, (size_t)st.st_size);
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*size_ret = (size_t)n;
	return text;
}

static bool is_known(const struct kd_vm_rows *rows, const char *path)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->row[i].connection, path) == 0)
			return true;
	return false;
}

static void add_file(struct kd_vm_rows *rows, const char *path, parse_fn *parse)
{
	size_t size;
	char *text;
	struct kd_vm_found *vm;

	if (is_known(rows, path) || rows->n >= KD_VM_FILES_MAX)
		return;
	text = read_file(path, &size);
	if (!text)
		return;
	vm = kd__vm_rows_add(rows);
	if (vm && parse(text, size, path, vm, NULL) != KD_OK)
		rows->n--; /* damaged, or being written */
	free(text);
}

/* --- which of them run --- */

/* The process whose command line begins with one of `programs` and has `word` in an argument. */
static pid_t find_process(const char *const *programs, const char *word)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char text[CMDLINE_MAX + 1], path[64];
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		const char *slash;
		ssize_t n;
		int fd;

		if (*end || pid <= 0)
			continue;
		snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd >= 0 ? read(fd, text, CMDLINE_MAX) : -1;
		if (fd >= 0)
			close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		slash = strrchr(text, '/');
		for (size_t i = 0; programs[i] && !found; i++)
			if (strcmp(slash ? slash + 1 : text, programs[i]) == 0 &&
			    memmem(text, (size_t)n, word, strlen(word)))
				found = (pid_t)pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

static void find_running(struct kd_vm_rows *rows, const char *const *programs)
{
	for (size_t i = 0; i < rows->n; i++) {
		struct kd_vm_found *vm = &rows->row[i];
		pid_t pid = find_process(programs, vm->id);

		if (!pid)
			continue;
		vm->process.pid = pid;
		vm->state = KD_VM_RUNNING; /* or paused: the files don't tell */
	}
}

/* A source's own rows first: files are told apart among them only. */
static enum kd_status append(struct kd_vm_rows *to, struct kd_vm_rows *from, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	for (size_t i = 0; i < from->n && s == KD_OK; i++) {
		struct kd_vm_found *row = kd__vm_rows_add(to);

		if (row)
			*row = from->row[i];
		else
			s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	kd__vm_rows_deinit(from);
	return s;
}

static bool home_path(const char *rest, char path[PATH_SIZE])
{
	const char *home = getenv("HOME");

	return home && home[0] == '/' && snprintf(path, PATH_SIZE, "%s/%s", home, rest) < PATH_SIZE;
}

/* --- VirtualBox --- */

struct registry {
	struct kd_vm_rows *rows;
	char folder[PATH_SIZE];
};

static void on_entry(void *context, const char *path, const char *const *a)
{
	struct registry *r = context;
	const char *src = kd__xml_attribute(a, "src");
	char whole[2 * PATH_SIZE];

	if (strcmp(path, "VirtualBox/Global/MachineRegistry/MachineEntry") != 0 || !*src)
		return;
	if (src[0] == '/')
		snprintf(whole, sizeof whole, "%s", src);
	else
		snprintf(whole, sizeof whole, "%s/%s", r->folder, src);
	if (strlen(whole) < PATH_SIZE)
		add_file(r->rows, whole, kd__vbox_parse);
}

enum kd_status kd__vm_find_virtualbox(struct kd_vm_rows *rows, struct kd_error *err)
{
	static const char *const programs[] = { "VirtualBoxVM", "VBoxHeadless", "VirtualBox",
						NULL };
	struct kd_vm_rows own = { .n = 0 };
	struct registry r = { .rows = &own };
	const struct kd__xml_visitor visitor = { on_entry, NULL, &r };
	const char *home = getenv("VBOX_USER_HOME");
	char path[PATH_SIZE + 16];
	char *text;
	size_t size;

	if (home && home[0] == '/')
		snprintf(r.folder, sizeof r.folder, "%s", home);
	else if (!home_path(".config/VirtualBox", r.folder))
		return KD_OK;
	snprintf(path, sizeof path, "%s/VirtualBox.xml", r.folder);
	text = read_file(path, &size);
	if (!text)
		return KD_OK;
	kd__xml_walk(text, size, &visitor, NULL); /* damaged: what stood before counts */
	free(text);
	find_running(&own, programs);
	return append(rows, &own, err);
}

/* --- VMware --- */

/* Lines `vmlist1.config = "/path/x.vmx"` */
static void read_inventory(struct kd_vm_rows *rows, const char *path)
{
	size_t size;
	char *text = read_file(path, &size), *line, *rest = text;

	while (rest && (line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '"'), *end = value ? strchr(value + 1, '"') : NULL;

		if (!end || strncmp(line, "vmlist", 6) != 0 || !strstr(line, ".config"))
			continue;
		*end = '\0';
		if (end - value > 4 && strlen(value + 1) < PATH_SIZE && value[1] == '/' &&
		    strcmp(end - 4, ".vmx") == 0)
			add_file(rows, value + 1, kd__vmx_parse);
	}
	free(text);
}

static void add_vmx_of(struct kd_vm_rows *rows, const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	char path[PATH_SIZE];

	for (int i = 0; d && i < KD_VM_FILES_MAX && (entry = readdir(d)); i++) {
		size_t n = strlen(entry->d_name);

		if (n > 4 && strcmp(entry->d_name + n - 4, ".vmx") == 0 &&
		    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < PATH_SIZE)
			add_file(rows, path, kd__vmx_parse);
	}
	if (d)
		closedir(d);
}

/* ~/vmware/NAME/NAME.vmx is where new machines go. */
static void read_default_folder(struct kd_vm_rows *rows, const char *top)
{
	DIR *d = opendir(top);
	struct dirent *entry;
	char path[PATH_SIZE];

	for (int i = 0; d && i < KD_VM_FILES_MAX && (entry = readdir(d)); i++)
		if (entry->d_name[0] != '.' &&
		    snprintf(path, sizeof path, "%s/%s", top, entry->d_name) < PATH_SIZE)
			add_vmx_of(rows, path);
	if (d)
		closedir(d);
}

enum kd_status kd__vm_find_vmware(struct kd_vm_rows *rows, struct kd_error *err)
{
	static const char *const programs[] = { "vmware-vmx", NULL };
	struct kd_vm_rows own = { .n = 0 };
	char path[PATH_SIZE];

	if (home_path(".vmware/inventory.vmls", path))
		read_inventory(&own, path);
	if (home_path("vmware", path))
		read_default_folder(&own, path);
	find_running(&own, programs);
	return append(rows, &own, err);
}
