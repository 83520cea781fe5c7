/* SPDX-License-Identifier: MIT */
/* The demo guest in QEMU with a debugger (tests/support/kd_client.h) at its serial port. */
#ifndef KD_TESTS_KD_MACHINE_H
#define KD_TESTS_KD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/kd_client.h"

enum { KD_MACHINE_N_PDBS = 4 };

/* Set once by main(): folder of the images, path of run-demo, number of processors. */
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
