/* SPDX-License-Identifier: MIT */
/*
 * An image whose PDB holds what lib/sym must cope with: nested and unnamed structs, unions, bit
 * fields, enums, typedefs, arrays, function pointers, INIT and PAGE sections, and on x86 a public
 * of exactly eight characters, which lld files under the wrong hash.
 */
typedef unsigned long ULONG;
typedef unsigned char UCHAR;
typedef struct _LIST {
	struct _LIST *next, *previous;
} LIST;
enum color { RED, GREEN = 7, BLUE = -1 };

typedef struct _SHAPE {
	LIST links;
	union {
		ULONG whole;
		struct {
			ULONG low : 3;
			ULONG middle : 1;
			ULONG rest : 28;
		};
	} flags;
	enum color color;
	UCHAR name[16];
	ULONG grid[2][3];
	int (*handler)(struct _SHAPE *shape, int event);
	const char *const *names;
	short wide;
} SHAPE;

SHAPE shapes[4];
volatile int counter;
static int hidden = 3;

__attribute__((section("INIT"))) int initialise(int n)
{
	for (int i = 0; i < n; i++)
		shapes[i & 3].color = GREEN;
	return n;
}

__attribute__((section("PAGE"), noinline)) int paged(SHAPE *shape, int event)
{
	counter += event;
	if (shape->handler)
		return shape->handler(shape, event + hidden);
	return counter;
}

__attribute__((noinline)) int SelfMap(int x)
{
	hidden += x;
	return hidden * 3;
}

__attribute__((noinline)) static long long deep(int n, long long a, long long b, long long c)
{
	volatile char room[256];

	room[n & 255] = (char)a;
	return n ? deep(n - 1, b, c, a + room[3]) + 1 : a;
}

int NtEntry(void *driver, void *path)
{
	shapes[0].handler = paged;
	(void)driver;
	(void)path;
	return initialise(3) + SelfMap(counter) + paged(&shapes[1], 2) +
	       (int)deep(counter, 1, 2, 3);
}
