/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM on both roads, against bytes that QEMU loaded and against what QEMU itself says of
 * them; windows; files that shrink, VMs that end, and rights that are missing.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm/fault_guard.h"
#include "lib/vm/guest_window.h"
#include "lib/vm/ram_backing.h"
#include "tests/vm/vm_check.h"

#define MB(n) ((uint64_t)(n) << 20)
#define GB(n) ((uint64_t)(n) << 30)

enum { PATTERN = 1 << 20, NOBODY = 65534 };

static struct kd_error err;
static struct kd_ram_refusals why;
static uint8_t pattern[PATTERN];

static uint64_t soon(void)
{
	return kd_deadline_after_ms(LIMIT_MS);
}

static struct kd_qemu_id id_of(const struct vm *vm)
{
	struct kd_qemu_process *p = calloc(1, sizeof *p);
	struct kd_qemu_id id;

	assert_non_null(p);
	assert_status(KD_OK, kd_qemu_process_of_socket(kd_qmp_fd(vm->qmp), vm->qmp_path, p, &err));
	id = p->id;
	free(p);
	return id;
}

static enum kd_status try_open(const struct vm *vm, unsigned roads, struct kd_guest_ram **ram)
{
	struct kd_qemu_id id = id_of(vm);

	*ram = NULL;
	return kd_guest_ram_open(vm->qmp, &id, roads, soon(), NULL, &why, ram, &err);
}

static struct kd_guest_ram *open_ram(const struct vm *vm, unsigned roads)
{
	struct kd_guest_ram *ram;

	assert_status(KD_OK, try_open(vm, roads, &ram));
	return ram;
}

/* Tracing a child is always allowed, but not below Yama's scope 2. */
static bool may_trace(const struct vm *vm)
{
	struct kd_guest_ram *ram;
	bool may = try_open(vm, KD_RAM_PROCESS, &ram) == KD_OK;

	kd_guest_ram_close(ram);
	return may;
}

/* --- machines --- */

enum memory { MEMFD, FILE_BACKED, PRIVATE };

static const char *memory_object(enum memory kind, const char *megabytes)
{
	switch (kind) {
	case MEMFD: return io_text("memory-backend-memfd,id=m0,size=%sM", megabytes);
	case FILE_BACKED:
		return io_text("memory-backend-file,id=m0,size=%sM,share=on,mem-path=%s", megabytes,
			       io_path("guest-ram"));
	default: return io_text("memory-backend-ram,id=m0,size=%sM", megabytes);
	}
}

/* The pattern lies at 2 MB, and at 4 GB when there is so much RAM. */
static struct vm start(enum memory kind, const char *megabytes)
{
	bool is_large = atoi(megabytes) > 3584;
	const char *file = io_path("pattern");

	io_pattern(pattern, sizeof pattern, 7);
	io_write_file(file, pattern, sizeof pattern);
	unlink(io_path("guest-ram"));
	return VM_START("-machine", "pc,memory-backend=m0", "-m", megabytes, "-object",
			memory_object(kind, megabytes), "-device",
			io_text("loader,file=%s,addr=0x200000,force-raw=on", file),
			is_large ? "-device" : NULL,
			io_text("loader,file=%s,addr=0x100000000,force-raw=on", file));
}

static void check_bytes(struct kd_guest_ram *ram, uint64_t base)
{
	static uint8_t got[PATTERN + 2];
	static const size_t sizes[] = { 1, 2, 3, 7, 8, 4095, 4096, 4097, 65536, PATTERN };
	size_t done;

	for (size_t i = 0; i < KD_ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i], at = n == PATTERN ? 0 : 12345 * i;

		memset(got, 0xEE, sizeof got);
		assert_status(KD_OK, kd_guest_ram_read(ram, base + at, got + 1, n, &done, &err));
		assert_int_equal(done, n);
		assert_memory_equal(got + 1, pattern + at, n);
		assert_int_equal(got[0], 0xEE);
		assert_int_equal(got[n + 1], 0xEE);
	}
}

/* What lies in a hole, over an edge, and at the end of all addresses. */
static void check_edges(struct kd_guest_ram *ram, uint64_t low)
{
	uint8_t got[16];
	size_t done;

	assert_status(KD_OK, kd_guest_ram_read(ram, low - 6, got, 16, &done, &err));
	assert_int_equal(done, 6);
	assert_status(KD_E_UNREADABLE, kd_guest_ram_read(ram, low - 6, got, 16, NULL, &err));
	assert_int_equal(err.where, low);
	assert_status(KD_E_UNREADABLE, kd_guest_ram_read(ram, low, got, 16, &done, &err));
	assert_int_equal(done, 0);
	assert_int_equal(err.where, low);
	assert_status(KD_E_UNREADABLE,
		      kd_guest_ram_read(ram, UINT64_MAX - 3, got, 16, &done, &err));
	assert_status(KD_OK, kd_guest_ram_read(ram, low, got, 0, &done, &err));
	/* ROM that is not of the RAM's backend. */
	assert_status(KD_E_UNREADABLE, kd_guest_ram_read(ram, 0xE0000, got, 16, &done, &err));
}

/* QEMU's word for it: pmemsave writes physical memory to a file. */
static void check_against_qemu(const struct vm *vm, struct kd_guest_ram *ram, uint64_t gpa)
{
	const char *path = io_path("saved");
	uint8_t *saved, *got = malloc(PATTERN);
	size_t size;

	assert_non_null(got);
	assert_status(KD_OK, kd_qmp_execute(vm->qmp, "pmemsave",
					    json_pack("{s:I, s:i, s:s}", "val", (json_int_t)gpa,
						      "size", PATTERN, "filename", path),
					    soon(), NULL, NULL, &err));
	saved = io_read_file(path, &size);
	assert_int_equal(size, PATTERN);
	assert_status(KD_OK, kd_guest_ram_read(ram, gpa, got, PATTERN, NULL, &err));
	assert_memory_equal(got, saved, PATTERN);
	free(saved);
	free(got);
}

static void test_both_roads(void **state)
{
	static const struct {
		enum memory kind;
		const char *megabytes;
		uint64_t low;
		enum kd_ram_road best;
	} rows[] = {
		{ MEMFD, "64", MB(64), KD_RAM_MAPPED },
		{ MEMFD, "4096", GB(3), KD_RAM_MAPPED },
		{ FILE_BACKED, "64", MB(64), KD_RAM_MAPPED },
		{ PRIVATE, "64", MB(64), KD_RAM_PROCESS },
		{ PRIVATE, "4096", GB(3), KD_RAM_PROCESS },
	};

	(void)state;
	NEED_QEMU();
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct vm vm = start(rows[i].kind, rows[i].megabytes);
		bool traces = may_trace(&vm);

		for (unsigned road = KD_RAM_MAPPED; road <= KD_RAM_ANY_ROAD; road++) {
			enum kd_ram_road want = road == KD_RAM_ANY_ROAD ? rows[i].best
									: (enum kd_ram_road)road;
			struct kd_guest_ram *ram;

			if (want == KD_RAM_PROCESS && !traces) {
				print_message("may not trace: %s\n", why.process);
				continue;
			}
			if (want == KD_RAM_MAPPED && rows[i].best == KD_RAM_PROCESS)
				continue;
			ram = open_ram(&vm, road);
			assert_int_equal(kd_guest_ram_info(ram).road, want);
			check_bytes(ram, MB(2));
			check_edges(ram, rows[i].low);
			check_against_qemu(&vm, ram, MB(2) + 4096 * 3 + 5);
			if (rows[i].low == GB(3)) {
				check_bytes(ram, GB(4));
				check_against_qemu(&vm, ram, GB(4) + 4096);
			}
			kd_guest_ram_close(ram);
		}
		vm_stop(&vm);
	}
}

static void test_private_ram_is_explained(void **state)
{
	struct kd_guest_ram *ram;
	struct vm vm;

	(void)state;
	NEED_QEMU();
	vm = start(PRIVATE, "64");
	assert_status(KD_E_UNSUPPORTED, try_open(&vm, KD_RAM_MAPPED, &ram));
	assert_says("share=on,size=64M -machine memory-backend=ram");
	assert_string_equal(why.mapped, err.text);
	assert_string_equal(why.process, "");
	if (may_trace(&vm)) {
		ram = open_ram(&vm, KD_RAM_ANY_ROAD);
		assert_string_equal(why.mapped, err.text);
		assert_string_equal(why.process, "");
		kd_guest_ram_close(ram);
	}
	assert_status(KD_E_INVALID, try_open(&vm, 0, &ram));
	vm_stop(&vm);

	/* Shared, but in no file. */
	vm = VM_START("-machine", "pc,memory-backend=m0", "-m", "64", "-object",
		      "memory-backend-ram,id=m0,size=64M,share=on");
	assert_status(KD_E_UNSUPPORTED, try_open(&vm, KD_RAM_MAPPED, &ram));
	assert_says("no file");
	vm_stop(&vm);
}

/* Two backends of one kind and size: names and sizes don't tell them apart, mappings do. */
static void test_twins(void **state)
{
	struct kd_guest_ram *ram;
	uint8_t got[4096];
	struct vm vm;

	(void)state;
	NEED_QEMU();
	io_pattern(pattern, sizeof pattern, 7);
	io_write_file(io_path("pattern"), pattern, sizeof pattern);
	vm = VM_START("-machine", "q35", "-m", "128", "-object",
		      "memory-backend-memfd,id=n0,size=64M", "-object",
		      "memory-backend-memfd,id=n1,size=64M", "-object",
		      "memory-backend-memfd,id=sh,size=64M", "-numa", "node,memdev=n0", "-numa",
		      "node,memdev=n1", "-device", "ivshmem-plain,memdev=sh", "-device",
		      io_text("loader,file=%s,addr=0x5000000,force-raw=on", io_path("pattern")));
	ram = open_ram(&vm, KD_RAM_MAPPED);
	assert_int_equal(kd_guest_ram_info(ram).size, MB(128) - 0x40000);
	check_bytes(ram, 0x5000000);
	assert_status(KD_OK, kd_guest_ram_read(ram, MB(16), got, sizeof got, NULL, &err));
	for (size_t i = 0; i < sizeof got; i++)
		assert_int_equal(got[i], 0);
	kd_guest_ram_close(ram);
	vm_stop(&vm);
}

/* 512-byte blocks that the memfd of the VM's RAM has. */
static uint64_t blocks_of_memfd(pid_t pid)
{
	uint64_t blocks = 0;

	for (int fd = 3; fd < 64 && !blocks; fd++) {
		const char *path = io_text("/proc/%d/fd/%d", (int)pid, fd);
		char target[128] = "";
		struct stat st;

		if (readlink(path, target, sizeof target - 1) > 0 && stat(path, &st) == 0 &&
		    !strncmp(target, "/memfd:", 7))
			blocks = (uint64_t)st.st_blocks;
	}
	return blocks;
}

/* A look at all of RAM does not make the pages that the guest never touched. */
static void test_untouched_pages_stay_so(void **state)
{
	static uint8_t got[PATTERN], zero[PATTERN];
	struct kd_guest_ram *ram;
	uint64_t before;
	struct vm vm;

	(void)state;
	NEED_QEMU();
	vm = start(MEMFD, "512");
	ram = open_ram(&vm, KD_RAM_MAPPED);
	before = blocks_of_memfd(vm.child.pid);
	assert_in_range(before, PATTERN / 512, MB(16) / 512);
	for (uint64_t at = MB(1); at < MB(512); at += PATTERN) {
		assert_status(KD_OK, kd_guest_ram_read(ram, at, got, PATTERN, NULL, &err));
		assert_memory_equal(got, at == MB(2) ? pattern : zero, PATTERN);
	}
	/* Pieces of what is there and what is not, in any order. */
	assert_status(KD_OK, kd_guest_ram_read(ram, MB(2) - 70000, got, 140000, NULL, &err));
	assert_memory_equal(got, zero, 70000);
	assert_memory_equal(got + 70000, pattern, 70000);
	assert_status(KD_OK, kd_guest_ram_read(ram, MB(3) - 70000, got, 140000, NULL, &err));
	assert_memory_equal(got, pattern + PATTERN - 70000, 70000);
	assert_memory_equal(got + 70000, zero, 70000);
	assert_int_equal(blocks_of_memfd(vm.child.pid), before);
	kd_guest_ram_close(ram);
	vm_stop(&vm);
}

/* --- life --- */

static void test_the_vm_ends(void **state)
{
	struct kd_guest_ram *mapped, *process = NULL;
	uint8_t byte;
	struct vm vm;

	(void)state;
	NEED_QEMU();
	vm = start(MEMFD, "64");
	mapped = open_ram(&vm, KD_RAM_MAPPED);
	if (may_trace(&vm))
		process = open_ram(&vm, KD_RAM_PROCESS);
	assert_true(kd_guest_ram_is_alive(mapped));
	kill(vm.child.pid, SIGKILL);
	for (int i = 0; kd_guest_ram_is_alive(mapped) && i < LIMIT_MS; i++)
		usleep(1000);
	assert_false(kd_guest_ram_is_alive(mapped));
	/* The last bytes are still there; and a process that ended has none. */
	check_bytes(mapped, MB(2));
	if (process)
		assert_status(KD_E_CLOSED, kd_guest_ram_read(process, MB(2), &byte, 1, NULL, &err));
	assert_status(KD_E_CLOSED, kd_guest_ram_refresh(mapped, vm.qmp, soon(), NULL, &err));
	check_bytes(mapped, MB(2));
	kd_guest_ram_close(mapped);
	kd_guest_ram_close(process);
	vm_stop(&vm);
}

static void test_refresh_after_the_firmware_ran(void **state)
{
	struct kd_guest_ram *ram;
	uint64_t generation;
	uint8_t shadow[64], zero[64] = { 0 };
	struct vm vm;

	(void)state;
	NEED_QEMU();
	vm = VM_START("-machine", "pc,memory-backend=m0", "-m", "64", "-object",
		      memory_object(MEMFD, "64"));
	ram = open_ram(&vm, KD_RAM_MAPPED);
	generation = kd_guest_ram_info(ram).generation;
	assert_status(KD_OK, kd_guest_ram_refresh(ram, vm.qmp, soon(), NULL, &err));
	assert_int_equal(kd_guest_ram_info(ram).generation, generation);
	/* Before, there is only the ROM. */
	assert_status(KD_E_UNREADABLE, kd_guest_ram_read(ram, 0xF0000, shadow, 64, NULL, &err));
	assert_status(KD_OK, kd_qmp_execute(vm.qmp, "cont", NULL, soon(), NULL, NULL, &err));
	for (int i = 0; kd_guest_ram_info(ram).generation == generation && i < 500; i++) {
		usleep(20000);
		assert_status(KD_OK, kd_guest_ram_refresh(ram, vm.qmp, soon(), NULL, &err));
	}
	assert_int_not_equal(kd_guest_ram_info(ram).generation, generation);
	assert_status(KD_OK, kd_guest_ram_read(ram, 0xFFFC0, shadow, 64, NULL, &err));
	assert_memory_not_equal(shadow, zero, sizeof zero);
	kd_guest_ram_close(ram);
	vm_stop(&vm);
}

static void touch(void *context)
{
	*(volatile uint8_t *)context = 1;
}

static void test_the_file_shrinks(void **state)
{
	struct kd_guest_run run = { MB(2), 4096 };
	struct kd_guest_window *w;
	struct kd_guest_ram *ram;
	static uint8_t got[PATTERN];
	struct vm vm;
	size_t done;

	(void)state;
	NEED_QEMU();
	vm = start(FILE_BACKED, "64");
	ram = open_ram(&vm, KD_RAM_MAPPED);
	assert_status(KD_OK, kd_guest_window_open(ram, &run, 1, &w, &err));
	check_bytes(ram, MB(2));
	assert_int_equal(truncate(io_path("guest-ram"), (off_t)MB(2) + 8192), 0);
	for (int i = 0; i < 2; i++) {
		assert_status(KD_E_IO,
			      kd_guest_ram_read(ram, MB(2) + 100, got, PATTERN, &done, &err));
		assert_says("truncated");
		assert_int_equal(done, 8192 - 100);
		assert_int_equal(err.where, MB(2) + 8192);
		assert_memory_equal(got, pattern + 100, done);
	}
	assert_true(kd_guest_window_guarded(w, touch, kd_guest_window_memory(w)));
	assert_int_equal(truncate(io_path("guest-ram"), 0), 0);
	assert_status(KD_E_IO, kd_guest_ram_read(ram, MB(2), got, 1, NULL, &err));
	assert_false(kd_guest_window_guarded(w, touch, kd_guest_window_memory(w)));
	assert_status(KD_E_IO, kd_guest_window_read(w, 0, got, 16, &err));
	assert_status(KD_E_IO, kd_guest_window_write(w, 0, got, 16, &err));
	kd_guest_window_close(w);
	kd_guest_ram_close(ram);
	/* Somebody who opens it now is told before the first byte. */
	assert_status(KD_E_MISMATCH, try_open(&vm, KD_RAM_MAPPED, &ram));
	assert_says("shorter");
	vm_stop(&vm);
}

/* A SIGBUS that is not ours ends the process as ever: with the default action, and by a handler. */
static void handler_of_ours(int number)
{
	_exit(number == SIGBUS ? 42 : 1);
}

static int status_of_a_fault(bool with_handler)
{
	char *path = strdup(io_path("short"));
	pid_t child = fork();
	int status;

	if (child == 0) {
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		uint8_t *p, *q;

		signal(SIGBUS, with_handler ? handler_of_ours : SIG_DFL);
		kd__fault_guard_install();
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		/* Guarded: a result. Not guarded, and with a guard over other memory: the end. */
		if (kd__fault_guarded(p, 4096, touch, p))
			_exit(2);
		kd__fault_guarded(q, 4096, touch, p);
		_exit(3);
	}
	waitpid(child, &status, 0);
	free(path);
	return status;
}

static void test_other_faults_stay_what_they_are(void **state)
{
	int status;

	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	skip(); /* which takes SIGBUS itself */
#endif
	status = status_of_a_fault(false);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = status_of_a_fault(true);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* --- windows --- */

static void test_window(void **state)
{
	static const struct kd_guest_run runs[] = { { MB(2) + 0x5000, 0x2000 },
						    { MB(2) + 0x1000, 0x1000 },
						    { MB(2) + 0x20000, 0x3000 } };
	static const size_t from[] = { 0x5000, 0x6000, 0x1000, 0x20000, 0x21000, 0x22000 };
	struct vm vm;

	(void)state;
	NEED_QEMU();
	for (int kind = 0; kind < 3; kind++) {
		unsigned road = kind == PRIVATE ? KD_RAM_PROCESS : KD_RAM_MAPPED;
		struct kd_guest_window *w;
		struct kd_guest_ram *ram;
		uint8_t got[0x6000], again[0x6000];

		vm = start((enum memory)kind, "64");
		if (kind == PRIVATE && !may_trace(&vm)) {
			vm_stop(&vm);
			continue;
		}
		ram = open_ram(&vm, road);
		assert_status(KD_OK, kd_guest_window_open(ram, runs, 3, &w, &err));
		assert_int_equal(kd_guest_window_size(w), sizeof got);
		assert_int_equal(kd_guest_window_memory(w) == NULL, kind == PRIVATE);
		assert_status(KD_OK, kd_guest_window_read(w, 0, got, sizeof got, &err));
		for (size_t i = 0; i < 6; i++)
			assert_memory_equal(got + i * 0x1000, pattern + from[i], 0x1000);

		/* Across the border of two runs, and seen by QEMU. */
		memset(got, 0xA5, 32);
		assert_status(KD_OK, kd_guest_window_write(w, 0x2FF0, got, 32, &err));
		assert_status(KD_OK, kd_guest_ram_read(ram, MB(2) + 0x1FF0, again, 32, NULL, &err));
		assert_memory_equal(again, got, 16);
		assert_memory_equal(again + 16, pattern + 0x2000, 16);
		check_against_qemu(&vm, ram, MB(2));
		if (kd_guest_window_memory(w)) {
			assert_memory_equal((uint8_t *)kd_guest_window_memory(w) + 0x2FF0, got, 32);
			((uint8_t *)kd_guest_window_memory(w))[0x5FFF] = 0x77;
			assert_status(KD_OK, kd_guest_ram_read(ram, MB(2) + 0x22FFF, again, 1, NULL,
							       &err));
			assert_int_equal(again[0], 0x77);
		}
		assert_status(KD_E_INVALID, kd_guest_window_read(w, 0x5FFF, got, 2, &err));
		assert_status(KD_E_INVALID, kd_guest_window_write(w, SIZE_MAX, got, 2, &err));
		/* It outlives a new look at the layout. */
		assert_status(KD_OK, kd_guest_ram_refresh(ram, vm.qmp, soon(), NULL, &err));
		assert_status(KD_OK, kd_guest_window_read(w, 0x2FF0, again, 32, &err));
		assert_memory_equal(again, got, 32);
		kd_guest_window_close(w);
		kd_guest_ram_close(ram);
		vm_stop(&vm);
	}
}

static void test_windows_that_are_refused(void **state)
{
	static const struct {
		struct kd_guest_run runs[2];
		size_t n;
		enum kd_status status;
	} rows[] = {
		{ { { 0, 0 } }, 0, KD_E_INVALID },
		{ { { MB(2), 0 } }, 1, KD_E_INVALID },
		{ { { MB(2) + 1, 4096 } }, 1, KD_E_INVALID },
		{ { { MB(2), 4095 } }, 1, KD_E_INVALID },
		{ { { MB(80), 4096 } }, 1, KD_E_UNREADABLE },
		{ { { MB(80) - 4096, 8192 } }, 1, KD_E_UNREADABLE },
		{ { { UINT64_MAX - 4095, 4096 } }, 1, KD_E_UNREADABLE },
		{ { { UINT64_MAX - 4095, UINT64_MAX - 4095 } }, 1, KD_E_UNREADABLE },
		{ { { MB(2), UINT64_MAX - 4095 } }, 1, KD_E_UNREADABLE },
		{ { { 0xE0000, 4096 } }, 1, KD_E_UNREADABLE },
		{ { { MB(2), KD_GUEST_WINDOW_MAX + 4096 } }, 1, KD_E_TOO_BIG },
		{ { { MB(2), KD_GUEST_WINDOW_MAX }, { MB(1), 4096 } }, 2, KD_E_TOO_BIG },
		{ { { MB(2), 8192 }, { MB(2) + 4096, 4096 } }, 2, KD_E_INVALID },
		{ { { MB(2) + 4096, 4096 }, { MB(2), 8192 } }, 2, KD_E_INVALID },
	};
	struct kd_guest_run many[KD_GUEST_RUNS_MAX + 1];
	struct kd_guest_window *w = NULL;
	struct kd_guest_ram *ram;
	struct vm vm;

	(void)state;
	NEED_QEMU();
	vm = start(MEMFD, "80"); /* more than a window can have */
	ram = open_ram(&vm, KD_RAM_MAPPED);
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++)
		assert_status(rows[i].status,
			      kd_guest_window_open(ram, rows[i].runs, rows[i].n, &w, &err));
	for (size_t i = 0; i < KD_ARRAY_LEN(many); i++)
		many[i] = (struct kd_guest_run){ MB(4) + i * 8192, 4096 };
	assert_status(KD_E_TOO_BIG,
		      kd_guest_window_open(ram, many, KD_GUEST_RUNS_MAX + 1, &w, &err));
	assert_null(w);
	assert_status(KD_OK, kd_guest_window_open(ram, many, KD_GUEST_RUNS_MAX, &w, &err));
	kd_guest_window_close(w);
	kd_guest_ram_close(ram);
	vm_stop(&vm);
}

/* What is not in a window can't be written, whatever the process does. */
static void test_the_rest_is_read_only(void **state)
{
	struct kd_guest_ram *ram;
	unsigned n_writable = 0, n_read_only = 0;
	char line[512];
	struct vm vm;
	FILE *f;

	(void)state;
	NEED_QEMU();
	vm = start(FILE_BACKED, "64");
	ram = open_ram(&vm, KD_RAM_MAPPED);
	f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (!strstr(line, io_path("guest-ram")))
			continue;
		n_writable += strstr(line, " rw") != NULL;
		n_read_only += strstr(line, " r--s ") != NULL;
	}
	fclose(f);
	assert_int_equal(n_writable, 0);
	assert_int_equal(n_read_only, 1);
	kd_guest_ram_close(ram);
	vm_stop(&vm);
}

/* --- rights --- */

static void test_remedies(void **state)
{
	static const struct {
		uid_t uid, ours;
		int scope;
		const char *says;
	} rows[] = {
		{ 64055, 1000, 0, "uid 64055" },
		{ 64055, 1000, 1, "run as that user" },
		{ 1000, 1000, 1, "sysctl kernel.yama.ptrace_scope=0" },
		{ 1000, 1000, 2, "ptrace_scope=2" },
		{ 1000, 1000, 3, "shared memory backend" },
		{ 1000, 1000, 0, "not dumpable" },
		{ 1000, 0, -1, "not dumpable" },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		assert_status(KD_E_DENIED, kd__ptrace_refusal(77, rows[i].uid, rows[i].ours,
							      rows[i].scope, &err));
		assert_says(rows[i].says);
		assert_says("77");
	}
}

/* In a child that is nobody. Its exit status is 0 when all was said as it should be. */
static int as_nobody(const struct vm *vm, const struct kd_qemu_id *id, const char *mapped_says)
{
	struct kd_guest_ram *ram = NULL;

	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		return 1;
	if (kd_guest_ram_open(vm->qmp, id, KD_RAM_ANY_ROAD, soon(), NULL, &why, &ram, &err) !=
	    KD_E_DENIED)
		return 2;
	if (!strstr(why.process, "belongs to uid 0: run as that user"))
		return 3;
	fprintf(stderr, "mapped: %s\nprocess: %s\n", why.mapped, why.process);
	return strstr(why.mapped, mapped_says) ? 0 : 4;
}

static int in_a_child_as_nobody(enum memory kind, const char *mapped_says, mode_t mode)
{
	struct vm vm = start(kind, "64");
	struct kd_qemu_id id = id_of(&vm);
	pid_t child;
	int status;

	if (kind == FILE_BACKED)
		chmod(io_path("guest-ram"), mode);
	chmod(io_path("."), 0755);
	child = fork();
	if (child == 0)
		_exit(as_nobody(&vm, &id, mapped_says));
	waitpid(child, &status, 0);
	vm_stop(&vm);
	return status;
}

static void test_another_user(void **state)
{
	(void)state;
	NEED_QEMU();
	if (geteuid() != 0) {
		print_message("needs root, to become another user\n");
		skip();
	}
	assert_int_equal(in_a_child_as_nobody(MEMFD, "belongs to uid 0", 0), 0);
	assert_int_equal(in_a_child_as_nobody(FILE_BACKED, "is not open to you", 0600), 0);
	assert_int_equal(in_a_child_as_nobody(PRIVATE, "is private", 0), 0);
}

/* The file is open to all, the process is not: QEMU's word for the file's name is taken. */
static int reads_as_nobody(const struct vm *vm, const struct kd_qemu_id *id)
{
	const struct kd_guest_run run = { MB(2), 4096 };
	struct kd_guest_window *w = NULL;
	struct kd_guest_ram *ram = NULL;
	uint8_t got[4096];

	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		return 1;
	if (kd_guest_ram_open(vm->qmp, id, KD_RAM_ANY_ROAD, soon(), NULL, &why, &ram, &err) !=
	    KD_OK)
		return 2;
	if (kd_guest_ram_read(ram, MB(2), got, sizeof got, NULL, &err) != KD_OK ||
	    memcmp(got, pattern, sizeof got) != 0)
		return 3;
	if (!kd_guest_ram_is_alive(ram))
		return 4;
	if (kd_guest_window_open(ram, &run, 1, &w, &err) != KD_E_DENIED ||
	    !strstr(err.text, "not written"))
		return 5;
	kd_guest_ram_close(ram);
	return 0;
}

static void test_a_file_that_may_be_read_only(void **state)
{
	struct kd_qemu_id id;
	struct vm vm;
	pid_t child;
	int status;

	(void)state;
	NEED_QEMU();
	if (geteuid() != 0) {
		print_message("needs root, to become another user\n");
		skip();
	}
	vm = start(FILE_BACKED, "64");
	id = id_of(&vm);
	chmod(io_path("guest-ram"), 0644);
	chmod(io_path("."), 0755);
	child = fork();
	if (child == 0)
		_exit(reads_as_nobody(&vm, &id));
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	vm_stop(&vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_roads),
		cmocka_unit_test(test_private_ram_is_explained),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_untouched_pages_stay_so),
		cmocka_unit_test(test_the_vm_ends),
		cmocka_unit_test(test_refresh_after_the_firmware_ran),
		cmocka_unit_test(test_the_file_shrinks),
		cmocka_unit_test(test_other_faults_stay_what_they_are),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_windows_that_are_refused),
		cmocka_unit_test(test_the_rest_is_read_only),
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_another_user),
		cmocka_unit_test(test_a_file_that_may_be_read_only),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
