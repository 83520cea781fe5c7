/* SPDX-License-Identifier: MIT */
/*
 * Where commands come from: a terminal with editing, history and completion, or a pipe. Lines
 * become jobs of the console.
 */
#ifndef APPS_KD_INPUT_H
#define APPS_KD_INPUT_H

#include <stdbool.h>

struct console;
struct input;

/* Reads standard input. */
struct input *input_create(struct console *c);
void input_destroy(struct input *in);
bool input_is_terminal(const struct input *in);

/* Show the prompt and take lines (the target is stopped, or a terminal waits); idempotent. */
void input_show(struct input *in);
/* Take the prompt away before something is printed; what was typed comes back with input_show(). */
void input_hide(struct input *in);
/* Ctrl-C at the prompt. */
void input_drop_line(struct input *in);

#endif
