/* SPDX-License-Identifier: MIT */
/*
 * Where a target is, as text: `unix:/path`, `tcp:host:port`, `serial:/dev/ttyS0,baud=115200`,
 * `replay:file`, ... and the strings WinDbg takes after -k. Parsing touches nothing: no file, no
 * socket. The table of schemes is in transports.c.
 *
 *   unix:PATH[,OPTION...]            connect to a socket
 *   unix-listen:PATH[,OPTION...]     make a socket and wait for a peer
 *   tcp:HOST:PORT[,OPTION...]        HOST may be [IPv6]
 *   tcp-listen:HOST:PORT[,OPTION...] PORT 0: any
 *   serial:DEVICE[,baud=N][,OPTION...]
 *   pty:[,OPTION...]                 make a pseudo-terminal
 *   pty:DEVICE[,OPTION...]           open one
 *   replay:FILE                      a recording
 *   com:port=DEVICE|comN[,baud=N]    WinDbg: a serial line
 *   com:pipe,port=PATH|\\.\pipe\N    WinDbg: a unix socket; \\.\pipe\N is N in the runtime folder
 *   com:ipport=PORT,port=HOST        WinDbg: TCP
 *   net:port=N,key=W.X.Y.Z[,bind=ADDRESS]  KDNET: wait for the target at a UDP port
 *   usb: usb2: 1394: exdi:           recognised, KD_E_UNSUPPORTED
 *
 *   OPTION: reconnect[=0|1], resets=N. A comma inside a value is written twice.
 */
#ifndef KD_LIB_IO_ENDPOINT_H
#define KD_LIB_IO_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

enum kd_endpoint_kind {
	KD_ENDPOINT_UNIX,
	KD_ENDPOINT_UNIX_LISTEN,
	KD_ENDPOINT_TCP,
	KD_ENDPOINT_TCP_LISTEN,
	KD_ENDPOINT_SERIAL,
	KD_ENDPOINT_PTY,
	KD_ENDPOINT_REPLAY,
	KD_ENDPOINT_NET, /* packets, not bytes: kd_transport_net_host() */
};

enum {
	KD_ENDPOINT_PATH_SIZE = 1024, /* path or host name, NUL included */
	KD_ENDPOINT_TEXT_SIZE = 2 * KD_ENDPOINT_PATH_SIZE + 128,
	KD_BAUD_DEFAULT = 115200,
	KD_ENDPOINT_KEY_SIZE = 4 * 13 + 3 + 1, /* four words of 13 digits, dots, NUL */
};

struct kd_endpoint {
	enum kd_endpoint_kind kind;
	char path[KD_ENDPOINT_PATH_SIZE]; /* path, device, file or host; "" for a new pty; net: the
					   * address to bind to, "" for all */
	uint16_t port;                    /* tcp, net */
	uint32_t baud;                    /* serial; else 0 */
	uint32_t max_resets;              /* RESETs while synchronising; 0: no limit */
	bool reconnect;                   /* connect again when the connection ends */
	char key[KD_ENDPOINT_KEY_SIZE];   /* net: as it was written; never shown */
};

/*
 * KD_OK; KD_E_SYNTAX: *err says what is wrong, err->where is the offset of the offending part and
 * the text names its column (from 1), and quotes nothing of a net: endpoint, for it may be of the
 * key; KD_E_UNSUPPORTED: a WinDbg transport that OpenKD does not
 * have, *err says what to use instead. *ep_ret is written on KD_OK only.
 */
enum kd_status kd_endpoint_parse(const char *text, struct kd_endpoint *ep_ret,
				 struct kd_error *err);

/*
 * The canonical form: parses to the same endpoint, but for net:, which shows no key. Cut to `size`,
 * always terminated; fits into KD_ENDPOINT_TEXT_SIZE. Returns the length of the whole text.
 */
size_t kd_endpoint_text(const struct kd_endpoint *ep, char *text, size_t size);

/*
 * The forms for help texts, `FORM  what it is`, a few lines each: index 0, 1, ... until NULL.
 * Static.
 */
const char *kd_endpoint_help(size_t index);

#endif
