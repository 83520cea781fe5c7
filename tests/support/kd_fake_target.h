/* SPDX-License-Identifier: MIT */
/*
 * A whole KD target inside the test's process: core/target over some RAM with real page tables,
 * processors that execute a few x86 instructions, a kernel's data structures as far as a debugger
 * walks them, and core/link in target role. Bytes and time go in and out, so a test drives it with
 * a virtual clock, a lossy pipe or a socket (kd-fake-target does the last).
 *
 *	struct kd_fake *f = kd_fake_create(&(struct kd_fake_config){ .stop_at_boot = true });
 *	kd_fake_add_module(f, "disk.sys", 0x6000);
 *	for (;;) {
 *		kd_fake_feed(f, from_debugger, n, now);
 *		kd_fake_run(f, now);
 *		while ((out = kd_fake_next_output(f, &n)))
 *			write out, kd_fake_output_done(f, n, now);
 *	}
 *
 * The kernel image `nt` holds, from its base + KD_FAKE_CODE: an idle loop, and the break-in
 * instruction of KDBG.BreakpointWithStatus. Code of tests goes to kd_fake_alloc()ed memory.
 * Instructions understood (64- or 32-bit): nop hlt int3 int2c ud2 jmp jz jnz call ret push pop
 * mov r,imm inc dec div ecx, mov [rax],cl and mov cl,[rax]. Everything else is illegal.
 */
#ifndef KD_TESTS_FAKE_TARGET_H
#define KD_TESTS_FAKE_TARGET_H

#include "core/target/serve.h"

enum {
	KD_FAKE_N_PROCESSORS = 4,
	KD_FAKE_N_MODULES = 64,
	KD_FAKE_N_TASKS = 64,
	KD_FAKE_N_PORTS = 65536,
	KD_FAKE_N_MSRS = 16,
	KD_FAKE_CODE = 0x1000, /* of nt */
	KD_FAKE_IDLE = 0x1000,
	KD_FAKE_BREAK = 0x1010,
	KD_FAKE_KDBG_SIZE = 0x380,
	KD_FAKE_SLICE = 64, /* instructions a processor executes per kd_fake_run() */
};

struct kd_fake_config {
	uint16_t machine;       /* KD_MACHINE_AMD64 (0), KD_MACHINE_X86 */
	uint16_t n_processors;  /* 0: 1 */
	size_t ram_size;        /* 0: 4 MB */
	uint8_t max_manipulate; /* 0: KD_MAX_API_10 */
	bool stop_at_boot;      /* report nt's symbols and wait before anything runs */
	bool stop_on_exception; /* as FLG_STOP_ON_EXCEPTION: first chances of everything */
	bool is_serial_line;    /* the longer time-outs */
};

/* What the running kernel does next, one thing at a time. */
enum kd_fake_task_kind {
	KD_FAKE_PRINT,
	KD_FAKE_PROMPT,
	KD_FAKE_LOAD,   /* module: index */
	KD_FAKE_UNLOAD, /* module: index; it leaves the list */
	KD_FAKE_COMMAND,
	KD_FAKE_BUGCHECK,
	KD_FAKE_CREATE_FILE,
	KD_FAKE_RESTART, /* unload-all notice, then as after power-on */
};

struct kd_fake_task {
	enum kd_fake_task_kind kind;
	char text[1200];
	size_t module;
};

struct kd_fake_module {
	char name[64];
	uint64_t base, entry; /* KLDR_DATA_TABLE_ENTRY */
	uint32_t size, checksum, timestamp;
	bool is_listed;
};

struct kd_fake_processor {
	uint8_t context[KD_CONTEXT_MAX];
	uint8_t special[KD_SPECIAL_SIZE_AMD64];
	uint64_t kpcr, kprcb, kthread;
	bool is_halted; /* executed hlt, or died of an unhandled exception */
};

struct kd_fake {
	struct kd_fake_config config;
	struct kd_target target;
	struct kd_server server;
	struct kd_w_version version;
	const struct kd_reg_layout *context_layout, *special_layout;
	size_t word; /* 8 or 4 */

	uint8_t *ram;
	size_t ram_size, ram_next; /* bump allocator of pages */
	uint64_t cr3, va_next;
	uint64_t kdbg, module_list, process_list, data_list;
	uint64_t kernel_base, idle, break_instruction;

	struct kd_fake_processor processors[KD_FAKE_N_PROCESSORS];
	struct kd_fake_module modules[KD_FAKE_N_MODULES];
	size_t n_modules;
	struct kd_fake_task tasks[KD_FAKE_N_TASKS];
	size_t task_head, n_tasks;
	uint8_t ports[KD_FAKE_N_PORTS];
	struct {
		uint32_t number;
		uint64_t value;
	} msrs[KD_FAKE_N_MSRS];
	uint8_t bus[256]; /* configuration space of device 0:0.0 */

	/* The stop in progress. */
	uint16_t owner, speaker; /* who stopped; who talks to the debugger */
	uint16_t next_processor; /* whose turn it is to execute */
	struct kd_w_exception exception;
	bool has_exception, second_chance;
	bool restart_wanted;

	char answer[256];     /* to the last prompt */
	uint32_t file_status; /* answer to the last file request */
	uint64_t n_instructions, n_reboots, n_bugchecks, n_stops, n_gone;
	bool debugger_present;
	uint64_t now;
};

/* Aborts when memory runs out: this is for tests. */
struct kd_fake *kd_fake_create(const struct kd_fake_config *config);
void kd_fake_destroy(struct kd_fake *f);

/* --- the machine from outside, without the debugger's knowledge --- */

/* Fresh zeroed kernel memory, page aligned. `executable` and writable. */
uint64_t kd_fake_alloc(struct kd_fake *f, size_t size);
/* 4 KB pages of kernel or user space at `address`, on fresh RAM. */
void kd_fake_map(struct kd_fake *f, uint64_t address, size_t size, bool is_user);
void kd_fake_unmap(struct kd_fake *f, uint64_t address, size_t size);
bool kd_fake_translate(const struct kd_fake *f, uint64_t address, uint64_t *physical_ret);
/* Bytes copied until the first unmapped one; breakpoints are not hidden. */
size_t kd_fake_read(const struct kd_fake *f, uint64_t address, void *out, size_t size);
size_t kd_fake_write(struct kd_fake *f, uint64_t address, const void *bytes, size_t size);
uint64_t kd_fake_get_word(const struct kd_fake *f, uint64_t address);
void kd_fake_put_word(struct kd_fake *f, uint64_t address, uint64_t value);

uint64_t kd_fake_get_register(const struct kd_fake *f, uint16_t processor, const char *name);
void kd_fake_set_register(struct kd_fake *f, uint16_t processor, const char *name, uint64_t value);
uint64_t kd_fake_get_special(const struct kd_fake *f, uint16_t processor, const char *name);
/* Let a processor execute `code` from `pc` on (it may have been halted). */
void kd_fake_go_to(struct kd_fake *f, uint16_t processor, uint64_t pc);

/* A module with a minimal PE header, in the loader's list; NULL: full. Its pages are mapped. */
const struct kd_fake_module *kd_fake_add_module(struct kd_fake *f, const char *name, uint32_t size);
/* As above at a chosen base, with the bytes of an image as the file has them in memory. */
const struct kd_fake_module *kd_fake_add_image(struct kd_fake *f, const char *name, uint64_t base,
					       uint32_t size, const void *bytes, size_t n_bytes);

/* Queue something for the running kernel to do. Text is clipped. */
void kd_fake_do(struct kd_fake *f, enum kd_fake_task_kind kind, const char *text);
void kd_fake_do_module(struct kd_fake *f, enum kd_fake_task_kind kind, size_t module);

/* --- driving it --- */

void kd_fake_feed(struct kd_fake *f, const uint8_t *bytes, size_t size, uint64_t now);
/* Time-outs, events, and a slice of execution if the machine is not stopped. True: it did
 * something, call again; false: it waits for bytes or for kd_fake_deadline(). */
bool kd_fake_run(struct kd_fake *f, uint64_t now);
const uint8_t *kd_fake_next_output(struct kd_fake *f, size_t *size_ret);
void kd_fake_output_done(struct kd_fake *f, size_t size, uint64_t now);
uint64_t kd_fake_deadline(const struct kd_fake *f);
bool kd_fake_is_stopped(const struct kd_fake *f);

/* As if the power had been switched off and on: memory is kept, processors start over. */
void kd_fake_restart(struct kd_fake *f, uint64_t now);

/* --- between its files --- */
enum kd_fake_trap {
	KD_FAKE_TRAP_NONE,
	KD_FAKE_TRAP_EXCEPTION, /* f->exception describes it */
	KD_FAKE_TRAP_HALT,
};
enum kd_fake_trap kd_fake_execute(struct kd_fake *f, uint16_t processor);
void kd_fake_build_kernel(struct kd_fake *f);
void kd_fake_reset_processors(struct kd_fake *f);
extern const struct kd_target_ops kd_fake_ops;

#endif
