/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints as the rest of the engine needs them. A *site* is one address in the target where a
 * breakpoint instruction is or should be; several breakpoints and the engine's own temporary one
 * may share it. The target keeps a table of 32, hides them from reads, and deletes by itself those
 * inside the instruction stream of every state change.
 */
#ifndef KD_LIB_ENGINE_BREAKS_H
#define KD_LIB_ENGINE_BREAKS_H

#include "lib/engine/engine.h"

enum {
	KD__TEMPS = 10,  /* the engine's own: g ADDRESS..., step over, gu */
	KD__EXCEPT = 16, /* processors that step off a breakpoint at one time */
};

/* Addresses where nothing is planted for now: a processor has still to step off them. */
struct kd__except {
	uint64_t at[KD__EXCEPT];
	size_t n;
};

bool kd__except_has(const struct kd__except *except, uint64_t address);

/* Plant what should be there, except at `except`. The journal is written first. */
enum kd_status kd__breaks_plant(struct kd_session *s, const struct kd__except *except,
				struct kd_error *err);
/* All code breakpoints out; goes on after a failure and returns the first. */
enum kd_status kd__breaks_unplant_all(struct kd_session *s, struct kd_error *err);
/* Nothing of ours stays in the target: code breakpoints and debug registers (detach). */
enum kd_status kd__breaks_withdraw(struct kd_session *s, struct kd_error *err);
enum kd_status kd__breaks_unplant_range(struct kd_session *s, uint64_t address, uint64_t size,
					struct kd_error *err);
/* Restore handles 1..32 whatever they are: at attach, and when the link lost its step. */
enum kd_status kd__breaks_clear_table(struct kd_session *s, struct kd_error *err);
/* Put original bytes over our breakpoints in bytes read from the target. */
void kd__breaks_hide(const struct kd_session *s, uint64_t address, uint8_t *bytes, size_t size);
/* The target deleted what lies in [pc, pc + count). */
void kd__breaks_note_stream(struct kd_session *s, uint64_t pc, uint32_t count);
/* Another boot: an address that no expression stands behind means something else in it. */
void kd__breaks_disable_unnamed(struct kd_session *s);
/*
 * The connection was opened anew: what was planted may still be. The target is known to hold
 * nothing of ours: a new boot, or its table was cleared.
 */
void kd__breaks_note_lost(struct kd_session *s);
void kd__breaks_note_clean(struct kd_session *s);
/* Something of ours is, or may be, in the target; drop the user's list (after withdrawing). */
bool kd__breaks_any_planted(const struct kd_session *s);
void kd__breaks_forget_all(struct kd_session *s);
/* A code breakpoint (the user's or temporary) wants to be at this address. */
bool kd__breaks_has_site(const struct kd_session *s, uint64_t address);
/* An execute breakpoint in a debug register is at this address. */
bool kd__breaks_has_execute(const struct kd_session *s, uint64_t address);
/* DR7 for Continue2; without execute breakpoints at `except` (NULL: all). */
uint64_t kd__breaks_dr7(const struct kd_session *s, const struct kd__except *except);

/* Temporary sites; at most KD__TEMPS. */
enum kd_status kd__breaks_add_temp(struct kd_session *s, uint64_t address, struct kd_error *err);
bool kd__breaks_is_temp(const struct kd_session *s, uint64_t address);
void kd__breaks_drop_temps(struct kd_session *s);

/*
 * A breakpoint was hit at pc, or dr6 says that a data breakpoint was. Counts it and tells whether
 * to stop (*id_ret) after looking at process, thread, passes and condition.
 */
enum kd_status kd__breaks_hit(struct kd_session *s, uint64_t pc, uint64_t dr6, bool *ours_ret,
			      bool *stop_ret, int *id_ret, struct kd_error *err);
/* Modules came or went: resolve what is deferred; `gone`: a range that is no more. */
void kd__breaks_resolve(struct kd_session *s);
void kd__breaks_module_gone(struct kd_session *s, uint64_t base, uint64_t size);

/* --- journal.c: bytes under planted breakpoints, on disk, for the next debugger --- */

struct kd__journal_entry {
	uint64_t address;
	uint8_t original;
};

/* Replace the journal of this endpoint; n 0 removes it. Failing is told once, not fatal. */
void kd__journal_write(struct kd_session *s, const struct kd__journal_entry *entries, size_t n);
/* Repair what a killed debugger left: entries whose byte is still a breakpoint are written back. */
enum kd_status kd__journal_repair(struct kd_session *s, struct kd_error *err);

#endif
