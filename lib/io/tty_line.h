/* SPDX-License-Identifier: MIT */
/* Terminal settings for byte transport: what serial lines and pseudo-terminals have in common. */
#ifndef KD_LIB_IO_TTY_LINE_H
#define KD_LIB_IO_TTY_LINE_H

#include <stdint.h>

/* The settings before ours, to be put back. Opaque: struct termios2 clashes with <termios.h>. */
struct kd__tty_saved {
	uint8_t bytes[64];
};

/*
 * Raw 8N1, no echo, no translation, no flow control, modem lines ignored; reads return what is
 * there. `baud` 0: as it is. Returns 0 or an errno value: ENOTTY: no terminal; ERANGE: the device
 * can't do that speed, *baud_ret (may be NULL) is what it offers instead.
 */
int kd__tty_make_raw(int fd, uint32_t baud, struct kd__tty_saved *saved_ret, uint32_t *baud_ret);
void kd__tty_restore(int fd, const struct kd__tty_saved *saved);

/* Throw away what was received and not read. */
void kd__tty_discard_input(int fd);

#endif
