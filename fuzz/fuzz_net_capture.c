/* SPDX-License-Identifier: MIT */
/*
 * Captured frames: link, IP and UDP headers of any kind, and what the listener makes of their
 * payload. Oracle: what is found lies inside the frame; a refusal has a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/io/net_crypto.h"
#include "lib/io/net_listen.h"
#include "lib/io/udp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void listen_to(const uint8_t *bytes, size_t size)
{
	static struct kd_net_crypto crypto;
	static struct kd__net_listener listener;
	struct kd__heard heard;
	const char *why = NULL;
	enum kd_status s;

	if (!crypto.context) {
		struct kd_net_keys keys;

		must(kd__net_crypto_create(&crypto, NULL) == KD_OK);
		must(kd_net_key_from_text("8.8.8.8", &keys, NULL) == KD_OK);
		kd__listen_init(&listener, &crypto, &keys);
	}
	s = kd__listen(&listener, bytes, size, &heard, &why);
	must(s == KD_OK || s == KD_E_NOT_FOUND || why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { 1, 101, 113, 276, 229, 0, 195, 147 };
	char text[KD__ADDRESS_TEXT];
	const char *why = NULL;
	struct kd__udp udp;

	if (!size)
		return 0;
	if (kd__udp_frame(types[data[0] % 8], data + 1, size - 1, &udp, &why) != KD_OK) {
		must(why);
		listen_to(data + 1, size - 1);
		return 0;
	}
	must(udp.payload >= data + 1 && udp.payload + udp.size <= data + size);
	must(strlen(kd__net_address_text(&udp.from, text)) < sizeof(text));
	listen_to(udp.payload, udp.size);
	return 0;
}
