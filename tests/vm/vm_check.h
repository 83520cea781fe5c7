/* SPDX-License-Identifier: MIT */
/* What the tests of lib/vm share: a scripted monitor, and real QEMU processes that stand still. */
#ifndef KD_TESTS_VM_CHECK_H
#define KD_TESTS_VM_CHECK_H

#include "lib/vm/qmp.h"
#include "tests/io/io_check.h"

enum { QEMU_MS = 20000, VM_ARGS_MAX = 48 };

/* --- a monitor that follows a script, in a thread --- */

struct monitor_step {
	const char *expect;  /* NULL: read nothing. Else a line comes that holds this */
	const char *send;    /* NULL: nothing. "$ID" becomes the id of the last line */
	void (*act)(int fd); /* NULL: nothing; after sending */
};

#define MONITOR_GREETING                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
	"\"package\": \"\"}, \"capabilities\": []}}\r\n"
#define MONITOR_OK "{\"return\": {}, \"id\": \"$ID\"}\r\n"
/* The first two steps of every script that gets somewhere. */
#define MONITOR_HELLO                                \
	{ NULL, MONITOR_GREETING, NULL },            \
	{                                            \
		"qmp_capabilities", MONITOR_OK, NULL \
	}

/* Listens at the path that is returned; the script runs with the first client, then it hangs up. */
const char *monitor_start(const struct monitor_step *steps, size_t n);
#define MONITOR_START(steps) monitor_start(steps, KD_ARRAY_LEN(steps))
/* Joins the thread. How many lines were not what the script expected. */
unsigned monitor_stop(void);

/* --- QEMU --- */

struct vm {
	struct io_child child;
	const char *qmp_path;
	struct kd_qmp *qmp;
};

/*
 * qemu-system-x86_64 under TCG, stopped before its first instruction (-S), without devices beyond
 * the machine's own; `args` (NULL-terminated, may be NULL) are added. Connected to its monitor.
 */
struct vm vm_start(const char *const *args);
#define VM_START(...) vm_start((const char *const[]){ __VA_ARGS__, NULL })
void vm_stop(struct vm *vm);
bool vm_has_qemu(void);
/* At the head of each test that needs it. */
#define NEED_QEMU()                                                   \
	do {                                                          \
		if (!vm_has_qemu()) {                                 \
			print_message("qemu-system-x86_64 needed\n"); \
			skip();                                       \
		}                                                     \
	} while (0)

#endif
