/* SPDX-License-Identifier: MIT */
/* The demo guest in QEMU with a debugger (tests/support/kd_client.h) at its serial port. */
#ifndef KD_TESTS_KD_MACHINE_H
#define KD_TESTS_KD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/kd_client.h"

enum { KD_MACHINE_N_PDBS = 4 };

/* What differs between the machines of the demo guest; which one is KD_DEMO_ARCH's word. */
struct kd_machine_arch {
	const char *name, *option[4]; /* of run-demo; NULL ends them */
	uint16_t machine;
	bool is_64, has_pae;
	uint16_t build, secondary, version_flags;
	const char *pc, *status; /* registers: program counter, status of a break-in */
	uint16_t kernel_cs, user_cs;
	uint32_t data_block_size;
	uint64_t pte_base, shared_data;
	uint32_t kpcr_version_block;
	/* Control space: the special registers, and in them CR3, KernelDr0, KernelDr3. */
	uint64_t special_address;
	uint32_t special_size, cr3, dr0, dr3;
	/* KLDR_DATA_TABLE_ENTRY */
	uint32_t entry_size, dll_base, name_length, name_buffer;
};

extern const struct kd_machine_arch *kd_machine_arch;

/* A control report, of any machine. */
struct kd_machine_report {
	uint64_t dr6, dr7;
	uint16_t flags, cs, count;
	uint8_t stream[16];
};

/* Set once by main() with kd_machine_choose(): folder of the images, path of run-demo, number of
 * processors. */
extern const char *kd_machine_images, *kd_machine_run_demo;
extern unsigned kd_machine_processors;

struct kd_machine {
	pid_t pid;
	char folder[64], socket[96], console[96];
	bool is_connected;
	struct kd_client client;
	struct {
		const char *name;
		struct kd_pdb *pdb;
		uint64_t base;
	} images[KD_MACHINE_N_PDBS];
	uint64_t module_list, data_block; /* from GetVersion, after kd_machine_look() */
};

/* The machine and the arguments every test has. False: no such KD_DEMO_ARCH. */
bool kd_machine_choose(const char *images, const char *run_demo, const char *processors);

/* Start it with these boot options; "" : no debugging. False: QEMU did not start. */
bool kd_machine_start(struct kd_machine *m, const char *options);
void kd_machine_stop(struct kd_machine *m);

/* Connect and ask for what the target has to say (RESET); does not wait for a stop. */
bool kd_machine_connect(struct kd_machine *m);
/* Hang up, as a debugger that was killed. */
void kd_machine_disconnect(struct kd_machine *m);

/* Read version and module list of the stopped target, for kd_machine_symbol(). */
bool kd_machine_look(struct kd_machine *m);
/* Address of "nt!KiBugCheckData"; nt, hal, demo, null are known. 0: none. */
uint64_t kd_machine_symbol(struct kd_machine *m, const char *name);
/* A pointer of the target's, sign-extended as every address on the wire. */
uint64_t kd_machine_pointer(struct kd_machine *m, uint64_t at);
uint64_t kd_machine_extend(uint64_t value);
void kd_machine_report(const struct kd_machine *m, struct kd_machine_report *ret);
/* Special registers; a field of them. */
bool kd_machine_read_special(struct kd_machine *m, uint16_t processor, uint8_t *bytes);
bool kd_machine_write_special(struct kd_machine *m, uint16_t processor, const uint8_t *bytes);
uint64_t kd_machine_get(const uint8_t *bytes, uint32_t at);
void kd_machine_put(uint8_t *bytes, uint32_t at, uint64_t value);
/* Base of a module by its file name in the target's list, 0: not there. */
uint64_t kd_machine_find_module(struct kd_machine *m, const char *name);

/* Start with /DEBUG, connect, continue through the boot, and stop it when demo.sys ticks. */
bool kd_machine_boot(struct kd_machine *m);

/* Continue by the PC rule: step over a hard-coded breakpoint, then go. */
bool kd_machine_go(struct kd_machine *m);
/* Make demo.sys do something (see guest/demo/drivers/demo_driver.h), and go. */
bool kd_machine_do(struct kd_machine *m, uint32_t command, uint64_t argument);
/* Break in and see whether `DemoCounter` reached `count`, for a while; stopped on return. */
bool kd_machine_wait_done(struct kd_machine *m, uint32_t count);

/* The console's text so far; valid until the next call. */
const char *kd_machine_console_text(struct kd_machine *m);
bool kd_machine_wait_console(struct kd_machine *m, const char *text, unsigned limit_ms);

#endif
