/* SPDX-License-Identifier: MIT */
/* What a dump tells beside memory: its header, and the processors' contexts where they belong. */
#ifndef KD_LIB_ENGINE_DUMP_FACTS_H
#define KD_LIB_ENGINE_DUMP_FACTS_H

#include "lib/dump/dump_header.h"
#include "lib/engine/engine.h"

enum { KD__DUMP_PATCHES = 512 };

/* Bytes that belong over the target's memory; in one page. */
struct kd__dump_patch {
	uint64_t physical;
	uint16_t size;
	uint8_t bytes[KD_CONTEXT_MAX];
};

struct kd__dump_facts {
	struct kd_dump_header header;
	size_t n_patches;
	struct kd__dump_patch patches[KD__DUMP_PATCHES];
};

/* Of the stopped target. See kd_dump_create(). */
enum kd_status kd__dump_facts_gather(struct kd_session *s, struct kd__dump_facts *ret,
				     struct kd_error *err);

#endif
