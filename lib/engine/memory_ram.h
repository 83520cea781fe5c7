/* SPDX-License-Identifier: MIT */
/*
 * The direct road to a target's memory: guest RAM of a VM on this machine, virtual addresses by our
 * own page walk. It carries what is present; for the rest there is KD, while the target stands.
 * Before it is used in a boot, what it gives is held against what KD gives. Never for writing.
 */
#ifndef KD_LIB_ENGINE_MEMORY_RAM_H
#define KD_LIB_ENGINE_MEMORY_RAM_H

#include "lib/engine/engine.h"

/* Read from the start as far as the road carries: bytes, 0 when it can't be taken at all. */
size_t kd__ram_read(struct kd_session *s, uint64_t address, void *buffer, size_t size);
size_t kd__ram_read_physical(struct kd_session *s, uint64_t address, void *buffer, size_t size);

/*
 * The same while the target runs, by the tables of the processor that stopped last, for as long as
 * the kernel is found through them.
 */
bool kd__ram_is_live(struct kd_session *s);
size_t kd__ram_read_live(struct kd_session *s, uint64_t address, void *buffer, size_t size);

/* KD_E_NOT_FOUND: only RAM may be read (KD_MEMORY_BY_RAM), and cannot be; err says why. */
enum kd_status kd__ram_judge(struct kd_session *s, struct kd_error *err);

/* The same for a target that runs: KD_E_RUNNING says why it cannot be looked at. */
enum kd_status kd__ram_judge_live(struct kd_session *s, struct kd_error *err);

/* Translations are as old as the last of these. */
void kd__ram_forget_walks(struct kd_session *s);
/* For `.status`: "guest RAM (mapped)", "KD: why not RAM". */
void kd__ram_describe(const struct kd_session *s, char *text, size_t size);

#endif
