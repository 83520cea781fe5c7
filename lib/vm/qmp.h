/* SPDX-License-Identifier: MIT */
/*
 * A client of QEMU's monitor for programs (QMP) over a unix socket, or through libvirt: one
 * connection, commands one at a time, events kept until they are fetched. One thread at a time uses
 * a connection.
 *
 * A monitor socket serves one client: whoever holds it should let go soon, or have a socket of its
 * own (QEMU takes any number of -qmp). Whoever may open it owns the VM: treat it as a credential.
 */
#ifndef KD_LIB_VM_QMP_H
#define KD_LIB_VM_QMP_H

#include <jansson.h>
#include <sys/types.h>

#include "lib/base.h"
#include "lib/wait.h"

struct kd_qmp;

/*
 * Connect to the socket at `path` and negotiate. Waits until `deadline` (KD_TIME_NEVER: no end) or
 * until `cancel` (may be NULL) is triggered. To be closed with kd_qmp_close().
 *
 * KD_E_NOT_FOUND no such socket; KD_E_CLOSED nobody listens, or QEMU hung up; KD_E_DENIED;
 * KD_E_TIMEOUT no greeting: another client holds the monitor, the text says what to do;
 * KD_E_MALFORMED, KD_E_TOO_BIG not a QMP socket; KD_E_CANCELLED; KD_E_IO; KD_E_NO_MEMORY.
 */
enum kd_status kd_qmp_open(const char *path, uint64_t deadline, const struct kd_cancel *cancel,
			   struct kd_qmp **qmp_ret, struct kd_error *err);

/*
 * The monitor that libvirt holds of its domain (UUID or name): each command goes through libvirt's
 * connection `uri`, which marks the domain as tainted. There are no events: kd_qmp_next_event()
 * returns KD_E_UNSUPPORTED.
 *
 * KD_E_UNSUPPORTED no libvirt here; KD_E_NOT_FOUND no such domain; KD_E_CLOSED, KD_E_DENIED no
 * connection; KD_E_TIMEOUT; KD_E_NO_MEMORY; else as kd_qmp_execute().
 */
enum kd_status kd_qmp_open_libvirt(const char *uri, const char *domain, uint64_t deadline,
				   struct kd_qmp **qmp_ret, struct kd_error *err);

/* NULL is fine. Commands that were not answered are not undone. */
void kd_qmp_close(struct kd_qmp *q);

/* "7.2.22"; valid as long as the connection. */
const char *kd_qmp_version(const struct kd_qmp *q);
const char *kd_qmp_path(const struct kd_qmp *q);

/*
 * Who made the socket listen: QEMU, or who handed it to QEMU (libvirt does). `pid` is 0 for a
 * process in a PID namespace that we can't see. See lib/vm/qemu_process.h.
 */
struct kd_qmp_peer {
	pid_t pid;
	uid_t uid;
};
struct kd_qmp_peer kd_qmp_peer(const struct kd_qmp *q);

/*
 * Run a command and wait for its answer.
 *
 * @param arguments    an object; taken over, on failure too. NULL: none.
 * @param return_ret   the answer, the caller's (json_decref()); may be NULL.
 *
 * KD_E_UNSUPPORTED QEMU does not know the command; KD_E_NOT_FOUND or KD_E_TARGET it refused, the
 * text is QEMU's; KD_E_TIMEOUT, KD_E_CANCELLED no answer yet: the command may still be carried out,
 * its answer will be thrown away; KD_E_FULL earlier commands wait to be sent; KD_E_CLOSED,
 * KD_E_MALFORMED, KD_E_TOO_BIG, KD_E_IO: the connection is over, each later call says the same.
 */
enum kd_status kd_qmp_execute(struct kd_qmp *q, const char *command, json_t *arguments,
			      uint64_t deadline, const struct kd_cancel *cancel,
			      json_t **return_ret, struct kd_error *err);

/*
 * A line for the human monitor; its output (lines end with CR LF), to be free()d. The output is
 * the only sign of failure that there is. Errors as kd_qmp_execute().
 */
enum kd_status kd_qmp_monitor_command(struct kd_qmp *q, const char *line, uint64_t deadline,
				      const struct kd_cancel *cancel, char **text_ret,
				      struct kd_error *err);

enum { KD_QMP_EVENTS_MAX = 256, KD_QMP_EVENT_NAME_SIZE = 48 };

struct kd_qmp_event {
	char name[KD_QMP_EVENT_NAME_SIZE]; /* "RESET", "STOP", ... */
	uint64_t time_us;                  /* since 1970; 0: not told */
	json_t *data;                      /* an object, owned by the event; NULL: none */
};

/*
 * The next event: one that came while commands ran, or else what comes until `deadline` (0: only
 * what is there already). To be given to kd_qmp_event_deinit().
 * KD_E_TIMEOUT none came; KD_E_CANCELLED; else as kd_qmp_execute(): the connection is over.
 */
enum kd_status kd_qmp_next_event(struct kd_qmp *q, uint64_t deadline,
				 const struct kd_cancel *cancel, struct kd_qmp_event *ret,
				 struct kd_error *err);
void kd_qmp_event_deinit(struct kd_qmp_event *e);

/* Events that were thrown away, oldest first, because KD_QMP_EVENTS_MAX waited already. */
uint64_t kd_qmp_n_lost_events(const struct kd_qmp *q);

/* For a poll() of the caller's: readable means kd_qmp_next_event(q, 0, ...) may have something. */
int kd_qmp_fd(const struct kd_qmp *q);

#endif
