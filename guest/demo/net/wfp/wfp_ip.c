/* SPDX-License-Identifier: MIT */
/* An IP header in front of a transport packet that is to be injected on the receive path. */
#include "guest/demo/net/wfp/wfp_engine.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, HOP_LIMIT = 128 };

static VOID put16(PUCHAR at, ULONG value)
{
	at[0] = (UCHAR)(value >> 8);
	at[1] = (UCHAR)value;
}

static VOID fill_ipv4(PUCHAR header, SIZE_T payload, const UCHAR *from, const UCHAR *to,
		      ULONG protocol)
{
	ULONG sum = 0;

	__builtin_memset(header, 0, IPV4_HEADER);
	header[0] = 0x45;
	put16(header + 2, (ULONG)(IPV4_HEADER + payload));
	header[8] = HOP_LIMIT;
	header[9] = (UCHAR)protocol;
	__builtin_memcpy(header + 12, from, 4);
	__builtin_memcpy(header + 16, to, 4);
	for (ULONG i = 0; i < IPV4_HEADER; i += 2)
		sum += (ULONG)header[i] << 8 | header[i + 1];
	sum = (sum & 0xFFFF) + (sum >> 16);
	put16(header + 10, ~(sum + (sum >> 16)));
}

static VOID fill_ipv6(PUCHAR header, SIZE_T payload, const UCHAR *from, const UCHAR *to,
		      ULONG protocol)
{
	__builtin_memset(header, 0, IPV6_HEADER);
	header[0] = 0x60;
	put16(header + 4, (ULONG)payload);
	header[6] = (UCHAR)protocol;
	header[7] = HOP_LIMIT;
	__builtin_memcpy(header + 8, from, 16);
	__builtin_memcpy(header + 24, to, 16);
}

static NTSTATUS put_header(NET_BUFFER *nb, USHORT family, const UCHAR *from, const UCHAR *to,
			   ULONG protocol)
{
	const ULONG size = family == AF_INET ? IPV4_HEADER : IPV6_HEADER;
	const SIZE_T payload = nb->DataLength;
	NTSTATUS status;
	PUCHAR header;

	if (payload + IPV4_HEADER > 0xFFFF)
		return STATUS_INVALID_PARAMETER;
	status = NdisRetreatNetBufferDataStart(nb, size, 0, NULL);
	if (!NT_SUCCESS(status))
		return status;
	header = NdisGetDataBuffer(nb, size, NULL, 1, 0);
	if (header == NULL) { /* it would lie in two pieces */
		NdisAdvanceNetBufferDataStart(nb, size, TRUE, NULL);
		return STATUS_NOT_SUPPORTED;
	}
	(family == AF_INET ? fill_ipv4 : fill_ipv6)(header, payload, from, to, protocol);
	return STATUS_SUCCESS;
}

/** The header that is there (headerIncludeHeaderLength bytes) goes first. Transport checksums are
 * the caller's, no options are written. */
NTSTATUS NTAPI FwpsConstructIpHeaderForTransportPacket0(
	NET_BUFFER_LIST *netBufferList, ULONG headerIncludeHeaderLength, USHORT addressFamily,
	const UCHAR *sourceAddress, const UCHAR *remoteAddress, ULONG nextProtocol,
	ULONG64 endpointHandle, const VOID *controlData, ULONG controlDataLength, ULONG flags,
	PVOID reserved, ULONG interfaceIndex, ULONG subInterfaceIndex)
{
	if (!WfpCheckIrql("FwpsConstructIpHeaderForTransportPacket0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (netBufferList == NULL || sourceAddress == NULL || remoteAddress == NULL ||
	    (addressFamily != AF_INET && addressFamily != WFP_AF_INET6) || reserved != NULL ||
	    flags != 0)
		return STATUS_INVALID_PARAMETER;
	for (NET_BUFFER *nb = netBufferList->FirstNetBuffer; nb != NULL; nb = nb->Next) {
		NTSTATUS status;

		if (headerIncludeHeaderLength != 0)
			NdisAdvanceNetBufferDataStart(nb, headerIncludeHeaderLength, FALSE, NULL);
		status = put_header(nb, addressFamily, sourceAddress, remoteAddress, nextProtocol);
		if (!NT_SUCCESS(status))
			return status;
	}
	return STATUS_SUCCESS;
}
