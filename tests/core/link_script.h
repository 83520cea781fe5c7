/* SPDX-License-Identifier: MIT */
/*
 * Conversations with one link, written as text, checked to the last byte and event.
 *
 *   < PACKET          the peer sends               > PACKET     we have sent exactly this next
 *   ! VERB ...        the owner calls a function   = EVENT ...  we have told the owner this next
 *   + N               N milliseconds pass, time-outs are served when they are due
 *   ? NAME N          a counter stands at N
 *
 * PACKET: `data TYPE ID TEXT` (TYPE decimal, ID hex, the rest of the line is the payload, \xNN
 *         allowed), `ack ID`, `resend`, `reset`, `break`, `raw HEX...`, `text TEXT`; behind `<` a
 *         prefix changes what arrives: `cut=N` only the first N bytes, `lose=N` without byte N,
 *         `sum=N` checksum off by N, `trail=HH` that byte as trailer, `junk=HH` all ten bytes
 *         behind the type of a control packet
 * VERB:   `send TYPE TEXT`, `print TYPE TEXT` (abandonable), `busy TYPE TEXT` (send refused),
 *         `cancel`, `break`, `reset`, `resend`, `restart`, `want TYPE`, `poll HH yes|no`
 * EVENT:  `packet TYPE ID TEXT`, `repeat TYPE ID TEXT`, `noise TEXT`, `acked`, `gave-up`,
 *         `resend-asked`, `reset-seen`, `breakin`, `restarted`
 *
 * Nothing may be left unsaid: before the next `<`, `!`, `+` and at the end every output and event
 * must have been named. Lines end with \n; the invariants of the link are asserted throughout.
 */
#ifndef KD_TESTS_CORE_LINK_SCRIPT_H
#define KD_TESTS_CORE_LINK_SCRIPT_H

#include <stdbool.h>

#include "core/link/link.h"

struct link_case {
	const char *name;
	enum kd_link_role role;
	const char *script;
};

/* Runs the script; fails the cmocka test with the offending line. `piece`: feed so many bytes at
 * a time. */
void link_script_run(const struct link_case *c, size_t piece);

#endif
