/* SPDX-License-Identifier: MIT */
/* The two halves of the demo guest's ndis.sys. */
#ifndef KD_DEMO_NDIS_H
#define KD_DEMO_NDIS_H

#define KD_GUEST_DRIVER
#define KD_GUEST_NDIS
#include "guest/common/ndis_buffers.h"

/** CurrentMdl and CurrentMdlOffset from MdlChain and DataOffset. */
VOID NdispFindCurrentMdl(PNET_BUFFER NetBuffer);

DRIVER_INITIALIZE DriverEntry;

#endif
