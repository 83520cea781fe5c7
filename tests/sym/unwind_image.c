/* SPDX-License-Identifier: MIT */
/*
 * Functions with prologs and epilogs of all kinds, as clang writes them for Windows. The test steps
 * through them instruction by instruction. No libc: what they need comes with them.
 */
typedef unsigned long long u64;

#define NOINLINE __attribute__((noinline))

volatile int sink;
volatile u64 words[64];

NOINLINE int leaf(int a)
{
	return a * 3 + 1;
}

NOINLINE int small_frame(int a)
{
	volatile int room[4] = { a, a + 1, a + 2, a + 3 };

	return leaf(room[a & 3]) + room[1];
}

NOINLINE int large_frame(int a)
{
	volatile char room[70000];

	room[a & 0xFFF] = (char)a;
	return small_frame(a) + room[a & 0xFFF];
}

NOINLINE int huge_frame(int a)
{
	volatile char room[600 * 1024];

	room[a] = (char)a;
	return small_frame(room[a]);
}

/* Keeps so much alive over calls that every saved register is used. */
NOINLINE u64 many_registers(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	u64 x[8];

	for (int i = 0; i < 8; i++)
		x[i] = words[i] + a * (u64)i;
	sink = small_frame((int)a);
	sink += small_frame((int)x[0]);
	return x[0] ^ x[1] ^ x[2] ^ x[3] ^ x[4] ^ x[5] ^ x[6] ^ x[7] ^ a ^ b ^ c ^ d ^ e ^ f;
}

/* A frame register that is really needed: the stack pointer moves by an unknown amount. */
NOINLINE int with_alloca(int n)
{
	volatile char *room = __builtin_alloca((unsigned)n + 16);

	room[n] = (char)n;
	sink = small_frame(room[n]);
	room[0] = (char)sink;
	return (int)many_registers((u64)n, 2, 3, 4, 5, (u64)room[0]);
}

NOINLINE double with_floats(double a, double b)
{
	double x = a * 2, y = b * 3, z = a - b, t = a * b;

	sink = leaf((int)a);
	return x + y * z + t + sink;
}

NOINLINE int recursive(int n)
{
	return n ? recursive(n - 1) + leaf(n) : small_frame(1);
}

NOINLINE int tail_call(int n)
{
	sink = leaf(n);
	return recursive(n & 3);
}

NOINLINE int with_switch(int n)
{
	switch (n) {
	case 0: return leaf(5);
	case 1: sink = 3; return small_frame(1);
	case 2: return leaf(sink);
	case 3: sink++; return 9;
	case 4: return small_frame(sink & 3) + 4;
	case 5: return leaf(n) ^ leaf(4);
	default: return -1;
	}
}

static int (*volatile pointer)(int) = leaf;

NOINLINE int indirect_tail_call(int n)
{
	sink = small_frame(n);
	return pointer(n + sink);
}

/* unwind_entry.S */
int save_with_moves(int n);
int frame_with_offset(int n);
int version_two(int n);
int version_two_middle(int n);

int NtEntry(int n)
{
	int sum = 0;

	for (int i = 0; i < 7; i++)
		sum += with_switch(i) + recursive(i) + tail_call(i) + indirect_tail_call(i);
	sum += large_frame(n) + huge_frame(n) + with_alloca(n) + with_alloca(300 + n);
	sum += (int)many_registers(1, 2, 3, 4, 5, 6) + (int)with_floats(n, 2.5);
	sum += save_with_moves(n) + save_with_moves(0) + frame_with_offset(n);
	sum += version_two(n) + version_two(0) + version_two_middle(n) + version_two_middle(-n);
	return sum;
}

int _fltused;
