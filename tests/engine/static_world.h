/* SPDX-License-Identifier: MIT */
/*
 * A fake target with an image made from static_image.c in its memory, and a stopped session on it.
 * Arguments of the tests: image and PDB for x64, image and PDB for x86.
 */
#ifndef KD_TESTS_ENGINE_STATIC_WORLD_H
#define KD_TESTS_ENGINE_STATIC_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openkd/code.h>
#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/module.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "lib/base.h"
#include "tests/engine/fake_host.h"

struct machine {
	uint16_t number;
	const char *image, *pdb; /* files */
	const char *module;      /* name */
};

struct fixture {
	const struct machine *machine;
	struct fake_host *host;
	struct kd_session *s;
	uint64_t base, unloaded; /* the image; where MmUnloadedDrivers is */
	char folder[64];         /* an empty one, the symbol path */
};

extern struct machine machines[2];
extern struct kd_error err; /* of the last call that failed */

int set_up(void **state);
int set_up_x86(void **state);
int tear_down(void **state);

/* A test on both machines. */
#define BOTH(test)                                              \
	{ #test " x64", test, set_up, tear_down, NULL },        \
	{                                                       \
#test " x86", test, set_up_x86, tear_down, NULL \
	}

int world_main(const char *name, int argc, char **argv, const struct CMUnitTest *tests, size_t n);

/* Fails with err.text. */
void ok(enum kd_status status);
struct kd_event wait_for(struct kd_session *s, enum kd_event_kind kind);
uint64_t requests(const struct fixture *f);
/* A link to `target` in the symbol folder. */
void put_file(const struct fixture *f, const char *name, const char *target);
const struct kd_module *module(const struct fixture *f);
/* The image's PDB into the folder; loaded. */
void with_pdb(const struct fixture *f);
/* One of four buffers in turn. */
const char *text(const char *fmt, ...) KD_PRINTF(1, 2);
uint64_t eval(const struct fixture *f, const char *expression);
uint64_t address_of(const struct fixture *f, const char *name);

#endif
