/* SPDX-License-Identifier: MIT */
/* A question and its answer in DNS's message format: one question, type A, one answer. */
#ifndef KD_DEMO_NAME_MESSAGE_H
#define KD_DEMO_NAME_MESSAGE_H

#include "guest/common/nt_base.h"

enum { NAME_HEADER = 12, NAME_TAIL = 4, NAME_ANSWER = 16, NAME_MESSAGE_MAX = 512 };

#endif
