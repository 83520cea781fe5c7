/* SPDX-License-Identifier: MIT */
#include "guest/transport/uart.h"

#include "guest/transport/ports.h"

enum {
	DATA = 0,
	DIVISOR_LOW = 0,
	INTERRUPT_ENABLE = 1,
	DIVISOR_HIGH = 1,
	FIFO_CONTROL = 2,
	INTERRUPT_ID = 2,
	LINE_CONTROL = 3,
	MODEM_CONTROL = 4,
	LINE_STATUS = 5,
	SCRATCH = 7,

	FCR_TRIGGER_14 = 0xC7, /* enable, empty both, level 14 */
	FCR_STOCK = 0x07,      /* the same with level 1 */
	IIR_FIFO_WORKS = 0xC0,
	LCR_8N1 = 0x03,
	LCR_DIVISOR = 0x80,
	MCR_READY = 0x03, /* DTR, RTS; OUT2 off: no interrupts */
	LSR_DATA_READY = 0x01,
	LSR_EMPTY = 0x20,
	BURST = 16,
	MAX_RATE = 115200,
};

uint16_t uart_base_of(unsigned com_port)
{
	static const uint16_t bases[] = { 0x3F8, 0x2F8, 0x3E8, 0x2E8 };

	return bases[(com_port - 1) & 3];
}

/* The scratch register keeps what is written to it; nothing at all reads as ones. */
static bool is_there(uint16_t base)
{
	port_write8(base + SCRATCH, 0x5A);
	if (port_read8(base + SCRATCH) != 0x5A)
		return false;
	port_write8(base + SCRATCH, 0xA5);
	return port_read8(base + SCRATCH) == 0xA5;
}

bool uart_open(struct uart *u, uint16_t base, uint32_t baud_rate, bool has_stock_fifo)
{
	const uint32_t divisor = MAX_RATE / baud_rate;

	if (!is_there(base))
		return false;
	u->base = base;
	port_write8(base + INTERRUPT_ENABLE, 0);
	port_write8(base + LINE_CONTROL, LCR_DIVISOR);
	port_write8(base + DIVISOR_LOW, (uint8_t)divisor);
	port_write8(base + DIVISOR_HIGH, (uint8_t)(divisor >> 8));
	port_write8(base + LINE_CONTROL, LCR_8N1);
	port_write8(base + MODEM_CONTROL, MCR_READY);
	port_write8(base + FIFO_CONTROL, has_stock_fifo ? FCR_STOCK : FCR_TRIGGER_14);
	u->burst = 1;
	if (!has_stock_fifo && (port_read8(base + INTERRUPT_ID) & IIR_FIFO_WORKS) == IIR_FIFO_WORKS)
		u->burst = BURST;
	return true;
}

unsigned uart_status(const struct uart *u)
{
	const uint8_t status = port_read8(u->base + LINE_STATUS);

	return (status & LSR_DATA_READY ? UART_CAN_READ : 0u) |
	       (status & LSR_EMPTY ? UART_CAN_WRITE : 0u);
}

uint8_t uart_read(const struct uart *u)
{
	return port_read8(u->base + DATA);
}

size_t uart_write(const struct uart *u, const uint8_t *bytes, size_t size)
{
	size_t n = size < u->burst ? size : u->burst;

	for (size_t i = 0; i < n; i++)
		port_write8(u->base + DATA, bytes[i]);
	return n;
}
