/* SPDX-License-Identifier: MIT */
/*
 * A driver that is looked at, never run: static_world.c loads it into the fake target.
 * Outer calls Middle, Middle calls Inner.
 */
typedef unsigned long ULONG;
typedef unsigned char UCHAR;

enum STATIC_STATE { StaticIdle, StaticBusy = 5, StaticBroken = -1 };

typedef struct _STATIC_LINK {
	struct _STATIC_LINK *Next;
	ULONG Key;
} STATIC_LINK;

typedef struct _STATIC_BOX {
	STATIC_LINK Link;
	enum STATIC_STATE State;
	union {
		ULONG Flags;
		struct {
			ULONG Low : 3;
			ULONG High : 29;
		};
	};
	STATIC_LINK Rows[4];
	UCHAR Name[16];
	struct _STATIC_BOX *Parent;
} STATIC_BOX;

STATIC_BOX StaticBox = { { 0, 0x1234 }, StaticBusy, { 0x15 } };
volatile ULONG StaticCounter = 0x11223344;

__attribute__((noinline)) ULONG Inner(ULONG n)
{
	StaticCounter += n;
	return StaticCounter;
}

__attribute__((noinline)) ULONG Middle(ULONG n)
{
	ULONG first = Inner(n + 1);

	return first + Inner(n + 2);
}

__attribute__((noinline, dllexport)) ULONG Outer(ULONG n)
{
	return Middle(n) * 3 + StaticBox.Link.Key;
}

__attribute__((section("INIT"))) ULONG NtEntry(void *driver, void *path)
{
	(void)driver;
	(void)path;
	return Outer(StaticCounter);
}
