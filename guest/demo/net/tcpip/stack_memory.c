/* SPDX-License-Identifier: MIT */
/*
 * lwIP's memory: blocks by size class, cut from large pieces of pool that are never given back. All
 * under the stack's lock. And copying in words: what an emulator runs, it runs an instruction at a
 * time, and `rep movs` is one turn for each word.
 */
#include "guest/demo/net/tcpip/stack.h"

#define TAG_NET 0x5074654Eu /* NetP */

enum {
	HEADER = 16,
	SLAB = 128 * 1024 - 64,
};

static const ULONG class_sizes[] = { 64, 128, 256, 512, 1664, 4096, 9216, 16384, 65536 + 1024 };

struct block {
	ULONG Class;
	struct block *Next; /* of a free one */
};

static struct {
	struct block *Free;
	PUCHAR Slab, SlabEnd;
} classes[RTL_NUMBER_OF(class_sizes)];

volatile ULONG64 NetMemoryInUse; /* bytes of blocks given out */

static struct block *cut(ULONG class)
{
	ULONG size = class_sizes[class] + HEADER;
	struct block *block;

	if ((SIZE_T)(classes[class].SlabEnd - classes[class].Slab) < size) {
		PUCHAR slab = ExAllocatePoolWithTag(NonPagedPool, SLAB, TAG_NET);

		if (slab == NULL)
			return NULL;
		classes[class].Slab = slab;
		classes[class].SlabEnd = slab + SLAB;
	}
	block = (struct block *)classes[class].Slab;
	classes[class].Slab += size;
	block->Class = class;
	return block;
}

void *NetAllocate(size_t n)
{
	struct block *block;
	ULONG class = 0;

	while (class < RTL_NUMBER_OF(class_sizes) && class_sizes[class] < n)
		class ++;
	if (class == RTL_NUMBER_OF(class_sizes))
		return NULL;
	block = classes[class].Free;
	if (block != NULL)
		classes[class].Free = block->Next;
	else
		block = cut(class);
	if (block == NULL)
		return NULL;
	NetMemoryInUse += class_sizes[class];
	return (PUCHAR)block + HEADER;
}

void *NetAllocateZeroed(size_t n, size_t size)
{
	void *block = NetAllocate(n * size);

	if (block != NULL)
		__builtin_memset(block, 0, n * size);
	return block;
}

void NetFree(void *memory)
{
	struct block *block = (struct block *)((PUCHAR)memory - HEADER);

	if (memory == NULL)
		return;
	NetMemoryInUse -= class_sizes[block->Class];
	block->Next = classes[block->Class].Free;
	classes[block->Class].Free = block;
}

/* --- what lwIP calls of the C library --- */

size_t strlen(const char *text);
int strncmp(const char *a, const char *b, size_t n);
int atoi(const char *text);

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i] || a[i] == '\0')
			return (UCHAR)a[i] - (UCHAR)b[i];
	}
	return 0;
}

int atoi(const char *text)
{
	int value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (*text++ - '0');
	return value;
}

size_t strlen(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}

/* --- copies --- */

typedef ULONG_PTR __attribute__((may_alias, aligned(1))) word;

static ULONG fold(ULONG64 sum)
{
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	return (ULONG)((sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32));
}

ULONG NetCopyAndSum(PVOID To, const VOID *From, SIZE_T Length)
{
	word *d = To;
	const word *s = From;
	UCHAR tail[sizeof(word)] = { 0 };
	ULONG64 sum = 0;

#ifdef __i386__
#define ADD(w) sum += (w)
#else
#define ADD(w) sum += ((w)&0xFFFFFFFF) + ((w) >> 32)
#endif
	for (; Length >= 4 * sizeof(word); Length -= 4 * sizeof(word), d += 4, s += 4) {
		ULONG_PTR a = s[0], b = s[1], c = s[2], e = s[3];

		d[0] = a;
		d[1] = b;
		d[2] = c;
		d[3] = e;
		ADD(a);
		ADD(b);
		ADD(c);
		ADD(e);
	}
	for (; Length >= sizeof(word); Length -= sizeof(word)) {
		ULONG_PTR a = *s++;

		*d++ = a;
		ADD(a);
	}
	for (SIZE_T i = 0; i < Length; i++)
		((PUCHAR)d)[i] = tail[i] = ((const UCHAR *)s)[i];
	ADD(*(word *)tail);
#undef ADD
	return fold(sum);
}
