/* SPDX-License-Identifier: MIT */
/*
 * The decoder of recordings over any bytes in any chunks: every byte is reported once and in order,
 * texts are clean ASCII, JSON is well-formed.
 *
 * Input: a byte of options, then chunks: direction and size in one byte, that many bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <openkd/sys/decode.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t reported[2];

#define CHECK(condition)                                                  \
	do {                                                              \
		if (!(condition)) {                                       \
			fprintf(stderr, "fuzz_decode: " #condition "\n"); \
			abort();                                          \
		}                                                         \
	} while (0)

static void check_ascii(const char *text)
{
	for (; *text; text++)
		CHECK(*text >= 0x20 && *text <= 0x7E);
}

static void see_field(void *ctx, const struct kd_decode_field *field)
{
	size_t *end = ctx;

	CHECK(field->offset == *end && field->size > 0);
	*end += field->size;
	check_ascii(field->text);
}

static void check_json(const struct kd_decode_record *r)
{
	char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);
	json_t *object;

	CHECK(kd_decode_write_json(out, r) == KD_OK);
	CHECK(kd_decode_write_text(out, r, true) == KD_OK);
	fclose(out);
	CHECK(memchr(line, '\n', size));
	object = json_loadb(line, (size_t)((char *)memchr(line, '\n', size) - line), JSON_ALLOW_NUL,
			    NULL);
	CHECK(object);
	json_decref(object);
	free(line);
}

static void see(void *ctx, const struct kd_decode_record *r)
{
	size_t end = 0;

	(void)ctx;
	CHECK(r->stream_offset == reported[r->direction]);
	CHECK(r->size > 0);
	reported[r->direction] += r->size;
	check_ascii(r->summary);
	kd_decode_fields(r, see_field, &end);
	if (r->kind == KD_DECODE_PACKET)
		CHECK(end == r->size || end + 1 == r->size);
	else
		CHECK(end == 0);
	check_json(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t machines[] = { 0, 0x014C, 0x8664, 0xAA64, 0x01C4 };
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_decoder *d = NULL;
	uint64_t fed[2] = { 0, 0 };

	if (size < 1)
		return 0;
	config.is_datagrams = data[0] & 1;
	config.machine = machines[(data[0] >> 1) % 5];
	config.fn = see;
	memset(reported, 0, sizeof(reported));
	CHECK(kd_decoder_create(&config, &d, NULL) == KD_OK);
	for (data++, size--; size > 0;) {
		enum kd_decode_direction direction = data[0] & 0x80 ? KD_DECODE_FROM_TARGET
								    : KD_DECODE_TO_TARGET;
		size_t n = 4u * (data[0] & 0x7Fu) + 1;

		data++;
		size--;
		n = n < size ? n : size;
		kd_decoder_feed(d, direction, size, data, n);
		fed[direction] += n;
		data += n;
		size -= n;
	}
	kd_decoder_finish(d);
	CHECK(fed[0] == reported[0] && fed[1] == reported[1]);
	kd_decoder_destroy(d);
	return 0;
}
