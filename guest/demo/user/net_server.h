/* SPDX-License-Identifier: MIT */
/* A server of many connections in one thread. */
#ifndef KD_DEMO_NET_SERVER_H
#define KD_DEMO_NET_SERVER_H

#include "guest/demo/user/net_program.h"

/** What a server does with bytes of a connection: answer with SocketSendAll, FALSE: close it. */
typedef BOOLEAN SERVER_ANSWER(SOCKET *Socket, ULONG Slot, const UCHAR *Bytes, ULONG Length);
/** Listen at the job's port until the job is stopped. */
VOID ServeAll(SERVER_ANSWER *Answer);

#endif
