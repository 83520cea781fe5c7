/* SPDX-License-Identifier: MIT */
#include "guest/transport/transport_packet.h"

#include "core/bytes.h"
#include "core/wire/api.h"
#include "core/wire/packet.h"

bool transport_is_abandonable(uint16_t type, const STRING *header)
{
	const uint8_t *bytes = (const uint8_t *)header->Buffer;
	const uint32_t number = header->Length >= 4 ? kd_get32(bytes) : 0;

	switch (type) {
	case KD_PACKET_DEBUG_IO: return number == KD_IO_PRINT_STRING;
	case KD_PACKET_STATE_CHANGE32:
	case KD_PACKET_STATE_CHANGE64: return number == KD_STATE_LOAD_SYMBOLS;
	case KD_PACKET_FILE_IO: return number == KD_FILE_CREATE;
	default: return false;
	}
}

bool transport_deliver(const uint8_t *payload, size_t size, PSTRING header, PSTRING data,
		       PULONG data_length)
{
	const size_t fixed = header->MaximumLength;
	const size_t rest = size > fixed ? size - fixed : 0;

	if (size < fixed || (rest && (!data || rest > data->MaximumLength)))
		return false;
	kd_copy(header->Buffer, payload, fixed);
	header->Length = (USHORT)fixed;
	if (data) {
		kd_copy(data->Buffer, payload + fixed, rest);
		data->Length = (USHORT)rest;
	}
	if (data_length)
		*data_length = (ULONG)rest;
	return true;
}
