/* SPDX-License-Identifier: MIT */
/* Which exceptions and events stop (the sx table). */
#ifndef KD_LIB_ENGINE_FILTER_H
#define KD_LIB_ENGINE_FILTER_H

#include "lib/engine/engine.h"

struct kd__verdict {
	bool stop;    /* halt for the user */
	bool tell;    /* say what happened */
	bool handled; /* when going on: as handled */
};

struct kd__verdict kd__filter_exception(const struct kd_session *s, uint32_t code,
					bool first_chance);
/* name: "ld" or "ud"; module: matched against the filter's argument. */
struct kd__verdict kd__filter_module(const struct kd_session *s, const char *name,
				     const char *module);

#endif
