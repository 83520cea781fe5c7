/* SPDX-License-Identifier: MIT */
#include "lib/engine/process_layout.h"

#include <string.h>

struct source {
	const char *type, *field;       /* in the kernel's PDB */
	const char *inner_type, *inner; /* added: a field of a member structure */
	const char *kdbg;               /* offset field of KDBG */
};

static const struct source process_sources[KD__P_COUNT] = {
	[KD__P_LINKS] = { "_EPROCESS", "ActiveProcessLinks", NULL, NULL, NULL },
	[KD__P_PID] = { "_EPROCESS", "UniqueProcessId", NULL, NULL, NULL },
	[KD__P_PARENT] = { "_EPROCESS", "InheritedFromUniqueProcessId", NULL, NULL,
			   "OffsetEprocessParentCID" },
	[KD__P_DTB] = { "_KPROCESS", "DirectoryTableBase", NULL, NULL,
			"OffsetEprocessDirectoryTableBase" },
	[KD__P_PEB] = { "_EPROCESS", "Peb", NULL, NULL, "OffsetEprocessPeb" },
	[KD__P_OBJECT_TABLE] = { "_EPROCESS", "ObjectTable", NULL, NULL, NULL },
	[KD__P_IMAGE] = { "_EPROCESS", "ImageFileName", NULL, NULL, NULL },
	[KD__P_SESSION] = { "_EPROCESS", "Session", NULL, NULL, NULL },
	[KD__P_THREADS] = { "_EPROCESS", "ThreadListHead", NULL, NULL, NULL },
	[KD__P_N_THREADS] = { "_EPROCESS", "ActiveThreads", NULL, NULL, NULL },
};

static const struct source thread_sources[KD__T_COUNT] = {
	[KD__T_CID] = { "_ETHREAD", "Cid", NULL, NULL, NULL },
	[KD__T_PROCESS] = { "_KTHREAD", "Process", NULL, NULL, NULL },
	[KD__T_APC_PROCESS] = { "_KTHREAD", "ApcState", "_KAPC_STATE", "Process",
				"OffsetKThreadApcProcess" },
	[KD__T_TEB] = { "_KTHREAD", "Teb", NULL, NULL, "OffsetKThreadTeb" },
	[KD__T_STATE] = { "_KTHREAD", "State", NULL, NULL, "OffsetKThreadState" },
	[KD__T_WAIT_REASON] = { "_KTHREAD", "WaitReason", NULL, NULL, "OffsetKThreadWaitReason" },
	[KD__T_PRIORITY] = { "_KTHREAD", "Priority", NULL, NULL, NULL },
	[KD__T_PROCESSOR] = { "_KTHREAD", "NextProcessor", NULL, NULL,
			      "OffsetKThreadNextProcessor" },
	[KD__T_START] = { "_ETHREAD", "StartAddress", NULL, NULL, NULL },
	[KD__T_WIN32_START] = { "_ETHREAD", "Win32StartAddress", NULL, NULL, NULL },
	[KD__T_STACK_BASE] = { "_KTHREAD", "StackBase", NULL, NULL, "OffsetKThreadStackBase" },
	[KD__T_STACK_LIMIT] = { "_KTHREAD", "StackLimit", NULL, NULL, "OffsetKThreadStackLimit" },
	[KD__T_KERNEL_STACK] = { "_KTHREAD", "KernelStack", NULL, NULL,
				 "OffsetKThreadKernelStack" },
	[KD__T_INITIAL_STACK] = { "_KTHREAD", "InitialStack", NULL, NULL,
				  "OffsetKThreadInitialStack" },
	[KD__T_SWITCHES] = { "_KTHREAD", "ContextSwitches", NULL, NULL, NULL },
	[KD__T_LINK] = { "_ETHREAD", "ThreadListEntry", NULL, NULL, NULL },
};

/*
 * The last resort, by build and pointer size (facts kd-protocol 3.8, symbols 4.3, 4.4): ranges of
 * builds whose layout is known to be the same.
 */
static const struct row {
	uint16_t first, last;
	uint8_t pointer_size;
	int32_t links, pid, peb, image, threads, link, win32_start, cid;
} rows[] = {
	{ 2600, 2600, 4, 0x88, 0x84, 0x1B0, 0x174, 0x190, 0x22C, 0x228, 0x1EC },
	{ 3790, 3790, 4, 0x98, 0x94, 0x1A0, 0x164, 0x180, 0x224, 0x220, 0x1E4 },
	{ 3790, 3790, 8, 0xE0, 0xD8, 0x2C0, 0x268, 0x290, 0x3D0, 0x3C8, 0x358 },
	{ 6000, 6003, 4, 0xA0, 0x9C, 0x188, 0x14C, 0x168, 0x248, 0x240, 0x20C },
	{ 6000, 6003, 8, 0xE8, 0xE0, 0x290, 0x238, 0x260, 0x3F0, 0x3E0, 0x380 },
	{ 7600, 7601, 4, 0xB8, 0xB4, 0x1A8, 0x16C, 0x188, 0x268, 0x260, 0x22C },
	{ 7600, 7601, 8, 0x188, 0x180, 0x338, 0x2E0, 0x308, 0x420, 0x410, 0x3B0 },
	{ 9200, 9200, 4, 0xB8, 0xB4, 0x140, 0x170, 0x194, 0x24C, 0x244, 0x214 },
	{ 9200, 9200, 8, 0x2E8, 0x2E0, 0x3E8, 0x438, 0x470, 0x400, 0x3F0, 0x398 },
	{ 9600, 9600, 4, 0xB8, 0xB4, 0x140, 0x170, 0x194, 0x39C, 0x394, 0x364 },
	{ 9600, 9600, 8, 0x2E8, 0x2E0, 0x3E8, 0x438, 0x470, 0x688, 0x678, 0x620 },
	{ 14393, 14393, 8, 0x2F0, 0x2E8, 0x3F8, 0x450, 0x488, 0x698, 0x688, 0x630 },
	{ 17134, 17134, 8, 0x2E8, 0x2E0, 0x3F8, 0x450, 0x488, 0x6A8, 0x690, 0x638 },
	{ 18362, 18363, 8, 0x2F0, 0x2E8, 0x3F8, 0x450, 0x488, 0x6B8, 0x6A0, 0x648 },
	{ 19041, 19045, 8, 0x448, 0x440, 0x550, 0x5A8, 0x5E0, 0x4E8, 0x4D0, 0x478 },
};

static int32_t by_pdb(struct kd_session *s, const struct source *from)
{
	int64_t outer = kd__kernel_offset(s, from->type, from->field), inner = 0;

	if (outer >= 0 && from->inner)
		inner = kd__kernel_offset(s, from->inner_type, from->inner);
	return outer < 0 || inner < 0 ? -1 : (int32_t)(outer + inner);
}

static int32_t by_kdbg(struct kd_session *s, const struct source *from)
{
	uint64_t value = from->kdbg ? kd__kdbg(s, from->kdbg) : 0;

	return value && value < 0x4000 ? (int32_t)value : -1;
}

static const struct row *find_row(struct kd_session *s)
{
	struct kd_target_info info;

	if (kd_session_target(s, &info, NULL) != KD_OK)
		return NULL;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++)
		if (info.build >= rows[i].first && info.build <= rows[i].last &&
		    info.pointer_size == rows[i].pointer_size)
			return &rows[i];
	return NULL;
}

static void fill(struct kd_session *s, const struct source *sources, int32_t *offsets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		offsets[i] = by_pdb(s, &sources[i]);
		if (offsets[i] < 0)
			offsets[i] = by_kdbg(s, &sources[i]);
	}
}

static void guess(int32_t *at, int32_t value, bool *is_guess)
{
	if (*at >= 0)
		return;
	*at = value;
	*is_guess = true;
}

void kd__layout_find(struct kd_session *s, struct kd__layout *ret)
{
	const struct row *row;

	fill(s, process_sources, ret->process, KD__P_COUNT);
	fill(s, thread_sources, ret->thread, KD__T_COUNT);
	ret->session_id = (int32_t)kd__kernel_offset(s, "_MM_SESSION_SPACE", "SessionId");
	ret->handle_count = (int32_t)kd__kernel_offset(s, "_HANDLE_TABLE", "HandleCount");
	ret->is_guess = false;
	if (ret->process[KD__P_LINKS] >= 0)
		return;
	row = find_row(s);
	if (!row)
		return;
	guess(&ret->process[KD__P_LINKS], row->links, &ret->is_guess);
	guess(&ret->process[KD__P_PID], row->pid, &ret->is_guess);
	guess(&ret->process[KD__P_PEB], row->peb, &ret->is_guess);
	guess(&ret->process[KD__P_IMAGE], row->image, &ret->is_guess);
	guess(&ret->process[KD__P_THREADS], row->threads, &ret->is_guess);
	guess(&ret->thread[KD__T_LINK], row->link, &ret->is_guess);
	guess(&ret->thread[KD__T_WIN32_START], row->win32_start, &ret->is_guess);
	guess(&ret->thread[KD__T_CID], row->cid, &ret->is_guess);
}
