/* SPDX-License-Identifier: MIT */
/*
 * The system's screen: VGA text memory, and the same text on QEMU's debug console (port 0xE9). COM1
 * is the debugger's and never written to from here.
 */
#include "guest/demo/hal/hal.h"

enum {
	COLUMNS = 80,
	ROWS = 25,
	ATTRIBUTE = 0x1F00, /* white on blue, as it has always been */
};

static volatile USHORT *const screen = (volatile USHORT *)(KSEG_PHYSICAL + 0xB8000);
static ULONG column, row;
static KSPIN_LOCK display_lock;

VOID HalpDisplayInitialize(VOID)
{
	for (ULONG i = 0; i < COLUMNS * ROWS; i++)
		screen[i] = ATTRIBUTE | ' ';
}

static VOID new_line(VOID)
{
	column = 0;
	if (++row < ROWS)
		return;
	row = ROWS - 1;
	for (ULONG i = 0; i < COLUMNS * (ROWS - 1); i++)
		screen[i] = screen[i + COLUMNS];
	for (ULONG i = 0; i < COLUMNS; i++)
		screen[COLUMNS * (ROWS - 1) + i] = ATTRIBUTE | ' ';
}

static VOID put(CHAR c)
{
	__outbyte(0xE9, (UCHAR)c);
	if (c == '\n') {
		new_line();
		return;
	}
	screen[row * COLUMNS + column] = (USHORT)(ATTRIBUTE | (UCHAR)c);
	if (++column == COLUMNS)
		new_line();
}

VOID HalDisplayString(PCSTR Text)
{
	BOOLEAN enable = KeDisableInterrupts();
	ULONG spins = 0;

	/* A crash may come in the middle of a line: do not wait for ever for the one that died. */
	while (__atomic_exchange_n(&display_lock, 1, __ATOMIC_ACQUIRE) != 0 && spins++ < 1000000)
		KiPause();
	while (*Text != '\0')
		put(*Text++);
	__atomic_store_n(&display_lock, 0, __ATOMIC_RELEASE);
	KeRestoreInterrupts(enable);
}
