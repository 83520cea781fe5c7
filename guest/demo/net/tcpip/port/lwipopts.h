/* SPDX-License-Identifier: MIT */
/* How lwIP is built into tcpip.sys: no threads of its own, everything under tcpip.sys's one lock.
 */
#ifndef KD_DEMO_LWIPOPTS_H
#define KD_DEMO_LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TIMERS          1

/* Memory: stack_memory.c, without limits of lwIP's own. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT   8
#define mem_clib_malloc NetAllocate
#define mem_clib_free   NetFree
#define mem_clib_calloc NetAllocateZeroed

#define LWIP_IPV4                     1
#define LWIP_IPV6                     1
#define LWIP_ARP                      1
#define LWIP_ICMP                     1
#define LWIP_RAW                      0
#define LWIP_DHCP                     0
#define LWIP_AUTOIP                   0
#define LWIP_DNS                      0
#define LWIP_IGMP                     0
#define LWIP_IPV6_MLD                 0
#define LWIP_IPV6_DHCP6               0
#define LWIP_IPV6_AUTOCONFIG          0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_ND6_QUEUEING             1
#define ARP_QUEUEING                  1
#define IP_REASSEMBLY                 1
#define IP_FRAG                       1
#define LWIP_IPV6_FRAG                1
#define LWIP_IPV6_REASS               1
#define IPV6_FRAG_COPYHEADER          1

#define LWIP_HAVE_LOOPIF                   1
#define LWIP_NETIF_LOOPBACK                1
#define LWIP_LOOPBACK_MAX_PBUFS            0
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0

#define LWIP_TCP                   1
#define LWIP_UDP                   1
#define TCP_MSS                    8960 /* on loopback; an adapter's MTU makes it smaller there */
#define LWIP_WND_SCALE             1
#define TCP_RCV_SCALE              5
#define TCP_WND                    (1024 * 1024)
#define TCP_SND_BUF                (256 * 1024)
#define TCP_SND_QUEUELEN           2048
#define TCP_SNDLOWAT               (24 * 1024)
#define TCP_SNDQUEUELOWAT          1024
#define MEMP_NUM_TCP_SEG           2048
#define TCP_LISTEN_BACKLOG         1
#define TCP_DEFAULT_LISTEN_BACKLOG 0xff
#define TCP_MSL                    2000 /* ms: ports come back soon, the wire is short */
#define SO_REUSE                   1
#define LWIP_TCP_KEEPALIVE         0

/* TCP's checksum is made while a frame is copied for the adapter (stack_adapter.c), and nowhere on
 * loopback. What arrives came through memory of the host: it is not summed again. */
#define CHECKSUM_GEN_TCP     0
#define CHECKSUM_CHECK_IP    0
#define CHECKSUM_CHECK_TCP   0
#define CHECKSUM_CHECK_UDP   0
#define CHECKSUM_CHECK_ICMP  0
#define CHECKSUM_CHECK_ICMP6 0

#define LWIP_STATS               0
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_NETIF_HOSTNAME      0

void *NetAllocate(size_t n);
void *NetAllocateZeroed(size_t n, size_t size);
void NetFree(void *block);

#endif
