/* SPDX-License-Identifier: MIT */
/* A 16550 by polling: no interrupts, and of its status only the line status register. */
#ifndef KD_GUEST_UART_H
#define KD_GUEST_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uart {
	uint16_t base;
	uint8_t burst; /* bytes that may be written when the transmitter is empty */
};

enum { UART_CAN_READ = 1, UART_CAN_WRITE = 2 };

/** I/O address of COM1 to COM4. */
uint16_t uart_base_of(unsigned com_port);

/**
 * Set the line to `baud_rate` 8N1 without interrupts, FIFOs on and emptied.
 *
 * @param has_stock_fifo  receive trigger level 1 and one byte written at a time, as NT's own kdcom
 *        does. Otherwise level 14 and bursts of 16: QEMU hands over no more bytes at once than the
 *        trigger level says, which makes receiving 12 times faster (measured).
 * @return false: there is no UART.
 */
bool uart_open(struct uart *u, uint16_t base, uint32_t baud_rate, bool has_stock_fifo);

/** UART_CAN_* bits. */
unsigned uart_status(const struct uart *u);

/** Only when UART_CAN_READ. */
uint8_t uart_read(const struct uart *u);

/** Only when UART_CAN_WRITE. Returns how many bytes were taken, at least 1 if size is not 0. */
size_t uart_write(const struct uart *u, const uint8_t *bytes, size_t size);

#endif
