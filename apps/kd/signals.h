/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C and being told to end. What Ctrl-C does depends on what kd is doing just then:
 *
 *	AT_PROMPT   the line is dropped
 *	COMMAND     the command is cancelled
 *	RUNNING     the target is stopped (break-in)
 *	CONNECTING  attaching is given up
 */
#ifndef APPS_KD_SIGNALS_H
#define APPS_KD_SIGNALS_H

#include <stdbool.h>

struct kd_session;

enum doing { DOING_NOTHING, DOING_CONNECT, DOING_PROMPT, DOING_COMMAND, DOING_RUN };

/* Install the handlers. Signals make signals_fd() readable. */
void signals_start(void);
int signals_fd(void);
/* Empties the descriptor. */
void signals_drain(void);

/* The session that handlers act on; NULL: none, Ctrl-C ends the program. */
void signals_set_session(struct kd_session *session);
void signals_set_doing(enum doing what);

/* Ctrl-C since the last signals_take_interrupts(): how often. */
unsigned signals_take_interrupts(void);
/* Someone pressed Ctrl-C (not taken yet) or wants us to end: loops of scripts ask this. */
bool signals_pending(void);
/* SIGTERM or SIGHUP, 0: none. */
int signals_ending(void);

#endif
