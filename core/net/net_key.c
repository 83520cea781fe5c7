/* SPDX-License-Identifier: MIT */
#include "core/net/net_key.h"

enum { BASE = 36 };

/* 36: no digit. */
static uint32_t digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A') + 10;
	return BASE;
}

/* value * 36 + digit; false: it does not fit into 64 bits. */
static bool append(uint64_t *value, uint32_t digit)
{
	/* (2^64 - 1) / 36, written out: core divides no 64-bit numbers. */
	const uint64_t most = 0x071C71C71C71C71Cu;
	uint64_t shifted;

	if (*value > most)
		return false;
	shifted = *value * BASE;
	*value = shifted + digit;
	return *value >= shifted;
}

/* The word that begins at *at; *at is behind it afterwards. */
static enum kd_net_key_problem parse_word(const char *text, size_t size, size_t *at,
					  uint64_t *value_ret)
{
	size_t begin = *at;

	*value_ret = 0;
	for (; *at < size && text[*at] != '.'; (*at)++) {
		uint32_t digit = digit_of(text[*at]);

		if (digit == BASE)
			return KD_NET_KEY_BAD_DIGIT;
		if (*at - begin == KD_NET_WORD_MAX || !append(value_ret, digit))
			return KD_NET_KEY_TOO_LARGE;
	}
	return *at == begin ? KD_NET_KEY_EMPTY_WORD : KD_NET_KEY_GOOD;
}

static enum kd_net_key_problem parse(const char *text, size_t size, uint8_t control[32],
				     size_t *word)
{
	size_t at = 0;

	for (*word = 0; *word < KD_NET_KEY_WORDS; (*word)++) {
		uint64_t value;
		enum kd_net_key_problem problem;

		if (*word && at == size)
			return KD_NET_KEY_FEW_WORDS;
		at += *word ? 1 : 0; /* the dot */
		problem = parse_word(text, size, &at, &value);
		if (problem != KD_NET_KEY_GOOD)
			return problem;
		kd_put64(control + 8 * *word, value);
	}
	*word = KD_NET_KEY_WORDS - 1;
	return at == size ? KD_NET_KEY_GOOD : KD_NET_KEY_MANY_WORDS;
}

enum kd_status kd_net_key_parse(const char *text, size_t size, struct kd_net_keys *keys_ret,
				enum kd_net_key_problem *problem_ret, size_t *word_ret)
{
	uint8_t control[KD_NET_KEY_SIZE] = { 0 };

	*problem_ret = parse(text, size, control, word_ret);
	if (*problem_ret != KD_NET_KEY_GOOD)
		return KD_E_SYNTAX;
	kd_net_keys_init(keys_ret, control);
	return KD_OK;
}

void kd_net_keys_init(struct kd_net_keys *keys, const uint8_t control[KD_AT_LEAST(32)])
{
	kd_copy(keys->cipher, control, KD_NET_KEY_SIZE);
	for (size_t i = 0; i < KD_NET_KEY_SIZE; i++)
		keys->hmac[i] = (uint8_t)~control[i];
}
