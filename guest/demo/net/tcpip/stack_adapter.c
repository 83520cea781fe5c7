/* SPDX-License-Identifier: MIT */
/* The network card as lwIP's interface: frames in without a copy, out with one that sums up TCP. */
#include "guest/demo/net/tcpip/stack.h"
#include "core/bytes.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "netif/ethernet.h"

enum {
	ETHERNET_HEADER = 14,
	TYPE_OFFSET = 12,
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86DD,
	IPV6_HEADER = 40,
	TCP_CHECKSUM_OFFSET = 16,
	MTU = 1500,
	FEW_BUFFERS = 192,
	FLUSH_EVERY = 16, /* frames: the card works while we do */
	ROUND = 256,      /* frames before others get the processor */
};

static PNET_ADAPTER adapter;
static struct netif card;

volatile ULONG NetFramesCopied, NetFramesDropped;

/* --- out --- */

static ULONG sum_of(const UCHAR *bytes, ULONG length)
{
	ULONG sum = 0;

	for (ULONG i = 0; i + 1 < length; i += 2)
		sum += (ULONG)bytes[i] | (ULONG)bytes[i + 1] << 8;
	return sum;
}

/* Where in a frame TCP begins, 0: it is something else. *Pseudo: sum of the pseudo header. */
static ULONG tcp_offset(const UCHAR *frame, ULONG length, PULONG pseudo)
{
	ULONG type = (ULONG)frame[TYPE_OFFSET] << 8 | frame[TYPE_OFFSET + 1];
	const UCHAR *ip = frame + ETHERNET_HEADER;
	ULONG header, size;

	if (type == TYPE_IPV4 && ip[9] == AFD_TCP) {
		header = (ip[0] & 15u) * 4;
		*pseudo = sum_of(ip + 12, 8);
	} else if (type == TYPE_IPV6 && ip[6] == AFD_TCP) {
		header = IPV6_HEADER;
		*pseudo = sum_of(ip + 8, 32);
	} else {
		return 0;
	}
	size = length - ETHERNET_HEADER - header;
	*pseudo += AFD_TCP << 8;
	*pseudo += (size & 0xFF) << 8 | size >> 8;
	return ETHERNET_HEADER + header;
}

static USHORT finish(ULONG64 sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (USHORT)~sum;
}

/* One pass over everything: headers lie in the first pbuf. */
static err_t send_frame(struct netif *netif, struct pbuf *p)
{
	PUCHAR to = p->tot_len > NET_FRAME_SIZE ? NULL : adapter->TransmitBuffer(adapter->Context);
	ULONG64 total = 0;
	ULONG pseudo = 0, at = 0, skip;

	if (to == NULL) {
		NetFramesDropped++;
		return ERR_BUF;
	}
	skip = tcp_offset(p->payload, p->tot_len, &pseudo);
	for (struct pbuf *q = p; q != NULL; q = q->next) {
		const UCHAR *from = q->payload;
		ULONG n = q->len, sum;

		if (skip == 0) {
			__builtin_memcpy(to + at, from, n);
			at += n;
			continue;
		}
		if (q == p) {
			__builtin_memcpy(to, from, skip);
			at = skip;
			from += skip;
			n -= skip;
		}
		sum = NetCopyAndSum(to + at, from, n);
		total += ((at - skip) & 1) != 0 ? ((ULONG64)sum << 8) : sum;
		at += n;
	}
	if (skip != 0)
		kd_put16(to + skip + TCP_CHECKSUM_OFFSET, finish(total + pseudo));
	adapter->Transmit(adapter->Context, at);
	return ERR_OK;
}

/* --- in --- */

static void return_frame(struct pbuf *p)
{
	/* The pbuf is the first thing in the frame's area of ours. */
	adapter->Return(adapter->Context, (PNET_FRAME)(PVOID)p);
}

static struct pbuf *lend(PNET_FRAME frame)
{
	struct pbuf_custom *custom = (struct pbuf_custom *)frame->StackArea;

	C_ASSERT(sizeof(struct pbuf_custom) <= NET_STACK_AREA);
	custom->custom_free_function = return_frame;
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)frame->Length, PBUF_REF, custom, frame->Data,
				   (u16_t)frame->Length);
}

static struct pbuf *copy(PNET_FRAME frame)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)frame->Length, PBUF_RAM);

	if (p != NULL)
		__builtin_memcpy(p->payload, frame->Data, frame->Length);
	adapter->Return(adapter->Context, frame);
	NetFramesCopied++;
	return p;
}

VOID NetAdapterPoll(VOID)
{
	PNET_FRAME frame;
	ULONG n = 0;

	while (n++ < ROUND && (frame = adapter->Receive(adapter->Context)) != NULL) {
		BOOLEAN scarce = adapter->BuffersLeft(adapter->Context) < FEW_BUFFERS;
		struct pbuf *p = scarce ? copy(frame) : lend(frame);

		if (p != NULL && card.input(p, &card) != ERR_OK)
			pbuf_free(p);
		if (n % FLUSH_EVERY == 0)
			NetAdapterFlush();
	}
	if (n > ROUND)
		NetAdapterInterrupt(); /* go on after what else is to be done */
}

VOID NetAdapterFlush(VOID)
{
	if (adapter != NULL)
		adapter->Flush(adapter->Context);
}

/* --- start --- */

static err_t initialize(struct netif *netif)
{
	netif->name[0] = 'v';
	netif->name[1] = 'n';
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	netif->mtu = MTU;
	netif->mtu6 = MTU;
	netif->hwaddr_len = sizeof(adapter->Address);
	for (ULONG i = 0; i < sizeof(adapter->Address); i++)
		netif->hwaddr[i] = adapter->Address[i];
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	return ERR_OK;
}

/* The addresses of a guest on QEMU's user network; its host is 10.0.2.2 and fec0::2. */
NTSTATUS NetAddAdapter(PNET_ADAPTER Adapter)
{
	ip4_addr_t address, mask, gateway;
	ip6_addr_t site;

	if (adapter != NULL)
		return STATUS_NOT_SUPPORTED;
	adapter = Adapter;
	IP4_ADDR(&address, 10, 0, 2, 15);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	IP4_ADDR(&gateway, 10, 0, 2, 2);
	netif_add(&card, &address, &mask, &gateway, NULL, initialize, ethernet_input);
	netif_create_ip6_linklocal_address(&card, 1);
	netif_ip6_addr_set_state(&card, 0, IP6_ADDR_PREFERRED);
	IP6_ADDR(&site, PP_HTONL(0xFEC00000), 0, 0, PP_HTONL(0x15));
	netif_ip6_addr_set(&card, 1, &site);
	netif_ip6_addr_set_state(&card, 1, IP6_ADDR_PREFERRED);
	netif_set_default(&card);
	netif_set_link_up(&card);
	netif_set_up(&card);
	return STATUS_SUCCESS;
}
