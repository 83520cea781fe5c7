/* SPDX-License-Identifier: MIT */
/* Memory as the other parts of the engine need it. */
#ifndef KD_LIB_ENGINE_MEMORY_H
#define KD_LIB_ENGINE_MEMORY_H

#include "lib/engine/engine.h"

/* A packet was lost during a request (request.c tells): ask for less at a time for a while. */
void kd__memory_note_loss(struct kd_session *s);

/* Which address space user addresses are looked at in: 0 = the stopped processor's own. */
void kd__memory_set_directory(struct kd_session *s, uint64_t directory_base);
uint64_t kd__memory_directory(const struct kd_session *s);
/* The tables by which this address is looked at; 0: the stopped processor's own. */
uint64_t kd__memory_directory_of(const struct kd_session *s, uint64_t address);
/* One request, whatever road is chosen otherwise: bytes read, at most KD_READ_MAX. */
size_t kd__memory_read_by_kd(struct kd_session *s, uint64_t address, void *buffer, uint32_t size,
			     struct kd_error *err);
/* kd_memory_read() as the stopped processor sees it, whatever process the user looks at. */
enum kd_status kd__memory_read_here(struct kd_session *s, uint64_t address, void *buffer,
				    size_t size, size_t *done_ret, struct kd_error *err);

#endif
