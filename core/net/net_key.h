/* SPDX-License-Identifier: MIT */
/*
 * The key of a KDNET target: four numbers in base 36 with dots between, "1.2.3.4", as `bcdedit
 * /dbgsettings net` takes and prints it. Whoever has it reads and writes the target's memory: no
 * function here puts it, or a part of it, into a text.
 */
#ifndef KD_CORE_NET_NET_KEY_H
#define KD_CORE_NET_NET_KEY_H

#include <openkd/status.h>

#include "core/bytes.h"
#include "core/net/net_crypto.h"

enum { KD_NET_KEY_WORDS = 4, KD_NET_WORD_MAX = 13 /* digits: "3w5e11264sgsf" is 2^64 - 1 */ };

struct kd_net_keys {
	uint8_t cipher[KD_NET_KEY_SIZE]; /* of the channel: the control key or a session's */
	uint8_t hmac[KD_NET_KEY_SIZE];   /* bitwise NOT of the control key, on both channels */
};

/* Why a text is no key, and in which of its words (0..3). */
enum kd_net_key_problem {
	KD_NET_KEY_GOOD,
	KD_NET_KEY_EMPTY_WORD,
	KD_NET_KEY_BAD_DIGIT,  /* neither 0-9 nor a-z */
	KD_NET_KEY_TOO_LARGE,  /* 2^64 or more, or more than 13 digits */
	KD_NET_KEY_FEW_WORDS,  /* the text ends before the fourth word */
	KD_NET_KEY_MANY_WORDS, /* something follows the fourth word */
};

/*
 * `size` bytes of text. KD_OK: *keys_ret are the keys of the control channel; KD_E_SYNTAX:
 * *problem_ret and *word_ret say what is wrong.
 */
enum kd_status kd_net_key_parse(const char *text, size_t size, struct kd_net_keys *keys_ret,
				enum kd_net_key_problem *problem_ret, size_t *word_ret);

/* The keys of the control channel from its 32 bytes. */
void kd_net_keys_init(struct kd_net_keys *keys, const uint8_t control[KD_AT_LEAST(32)]);

#endif
