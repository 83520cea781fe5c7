/* SPDX-License-Identifier: MIT */
/*
 * The Windows Filtering Platform for kernel mode, in our own words: types, constants and functions
 * of fwpkclnt.sys as traffic facts 2.2 to 2.5 give them. netprobe.sys is compiled against this and
 * runs in Windows 7 to 11; the demo guest's fwpkclnt.sys is an implementation of it.
 *
 * Only the numbered names exist. Where Windows has the same thing for IPv4 and IPv6, with the same
 * values, the name here has no V4 or V6. GUIDs are in wfp_guids.c (guest_wfp_guids_src), which an
 * image links its own copy of.
 */
#ifndef KD_GUEST_WFP_H
#define KD_GUEST_WFP_H

#include "guest/common/ndis_buffers.h"
#include "guest/common/nt_driver_base.h"

#ifdef KD_GUEST_WFP_ENGINE /* fwpkclnt.sys itself */
#define WFPAPI
#else
#define WFPAPI DLLIMPORT
#endif

/* --- layers, sublayers, conditions: GUIDs --------------------------------------------------------
 */
extern const GUID FWPM_LAYER_STREAM_V4, FWPM_LAYER_STREAM_V6;
extern const GUID FWPM_LAYER_DATAGRAM_DATA_V4, FWPM_LAYER_DATAGRAM_DATA_V6;
extern const GUID FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6;
extern const GUID FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWPM_LAYER_ALE_AUTH_CONNECT_V6;
extern const GUID FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4, FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6;
extern const GUID FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V4, FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V6;
extern const GUID FWPM_LAYER_ALE_CONNECT_REDIRECT_V4, FWPM_LAYER_ALE_CONNECT_REDIRECT_V6;
extern const GUID FWPM_LAYER_STREAM_PACKET_V4, FWPM_LAYER_STREAM_PACKET_V6;
extern const GUID FWPM_LAYER_INBOUND_TRANSPORT_V4, FWPM_LAYER_INBOUND_TRANSPORT_V6;
extern const GUID FWPM_LAYER_OUTBOUND_TRANSPORT_V4, FWPM_LAYER_OUTBOUND_TRANSPORT_V6;
extern const GUID FWPM_LAYER_INBOUND_IPPACKET_V4, FWPM_LAYER_INBOUND_IPPACKET_V6;
extern const GUID FWPM_LAYER_OUTBOUND_IPPACKET_V4, FWPM_LAYER_OUTBOUND_IPPACKET_V6;
extern const GUID FWPM_SUBLAYER_UNIVERSAL, FWPM_SUBLAYER_INSPECTION;
extern const GUID FWPM_CONDITION_IP_PROTOCOL;
extern const GUID FWPM_CONDITION_IP_LOCAL_ADDRESS, FWPM_CONDITION_IP_REMOTE_ADDRESS;
extern const GUID FWPM_CONDITION_IP_LOCAL_PORT, FWPM_CONDITION_IP_REMOTE_PORT;
extern const GUID FWPM_CONDITION_DIRECTION, FWPM_CONDITION_FLAGS;
extern const GUID FWPM_CONDITION_ALE_APP_ID, FWPM_CONDITION_ALE_ORIGINAL_APP_ID;

/* layerId: a layer's place in the list every version has (facts 2.2) */
enum {
	FWPS_LAYER_INBOUND_IPPACKET_V4 = 0,
	FWPS_LAYER_INBOUND_IPPACKET_V6 = 2,
	FWPS_LAYER_OUTBOUND_IPPACKET_V4 = 4,
	FWPS_LAYER_OUTBOUND_IPPACKET_V6 = 6,
	FWPS_LAYER_INBOUND_TRANSPORT_V4 = 12,
	FWPS_LAYER_INBOUND_TRANSPORT_V6 = 14,
	FWPS_LAYER_OUTBOUND_TRANSPORT_V4 = 16,
	FWPS_LAYER_OUTBOUND_TRANSPORT_V6 = 18,
	FWPS_LAYER_STREAM_V4 = 20,
	FWPS_LAYER_STREAM_V6 = 22,
	FWPS_LAYER_DATAGRAM_DATA_V4 = 24,
	FWPS_LAYER_DATAGRAM_DATA_V6 = 26,
	FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 = 44,
	FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6 = 46,
	FWPS_LAYER_ALE_AUTH_CONNECT_V4 = 48,
	FWPS_LAYER_ALE_AUTH_CONNECT_V6 = 50,
	FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4 = 52,
	FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6 = 54,
	FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4 = 64, /* from here on Windows 7 */
	FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6 = 65,
	FWPS_LAYER_ALE_CONNECT_REDIRECT_V4 = 66,
	FWPS_LAYER_ALE_CONNECT_REDIRECT_V6 = 67,
	FWPS_LAYER_STREAM_PACKET_V4 = 70,
	FWPS_LAYER_STREAM_PACKET_V6 = 71,
};

/* Indexes into FWPS_INCOMING_VALUES0.incomingValue, the same for both families (facts 2.3) */
enum {
	FWPS_FIELD_STREAM_IP_LOCAL_ADDRESS = 0,
	FWPS_FIELD_STREAM_IP_LOCAL_ADDRESS_TYPE = 1,
	FWPS_FIELD_STREAM_IP_REMOTE_ADDRESS = 2,
	FWPS_FIELD_STREAM_IP_LOCAL_PORT = 3,
	FWPS_FIELD_STREAM_IP_REMOTE_PORT = 4,
	FWPS_FIELD_STREAM_DIRECTION = 5,
	FWPS_FIELD_STREAM_FLAGS = 6,
	FWPS_FIELD_STREAM_COMPARTMENT_ID = 7, /* 10 1703 on */
};
enum {
	FWPS_FIELD_DATAGRAM_DATA_IP_PROTOCOL = 0,
	FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_ADDRESS = 1,
	FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_ADDRESS = 2,
	FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_ADDRESS_TYPE = 3,
	FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_PORT = 4,  /* ICMP: the type */
	FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_PORT = 5, /* ICMP: the code */
	FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_INTERFACE = 6,
	FWPS_FIELD_DATAGRAM_DATA_INTERFACE_INDEX = 7,
	FWPS_FIELD_DATAGRAM_DATA_SUB_INTERFACE_INDEX = 8,
	FWPS_FIELD_DATAGRAM_DATA_DIRECTION = 9,
	FWPS_FIELD_DATAGRAM_DATA_FLAGS = 10,
	FWPS_FIELD_DATAGRAM_DATA_INTERFACE_TYPE = 11,
	FWPS_FIELD_DATAGRAM_DATA_TUNNEL_TYPE = 12,
	FWPS_FIELD_DATAGRAM_DATA_COMPARTMENT_ID = 13,
};
enum {
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_APP_ID = 0,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_USER_ID = 1,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_ADDRESS = 2,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_ADDRESS_TYPE = 3,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_PORT = 4,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_PROTOCOL = 5,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_ADDRESS = 6,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_PORT = 7,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_REMOTE_USER_ID = 8,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_REMOTE_MACHINE_ID = 9,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_DESTINATION_ADDRESS_TYPE = 10,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_INTERFACE = 11,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_DIRECTION = 12,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_INTERFACE_TYPE = 13,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_TUNNEL_TYPE = 14,
	FWPS_FIELD_ALE_FLOW_ESTABLISHED_FLAGS = 15, /* what follows differs with the version */
};

/* --- values --------------------------------------------------------------------------------------
 */
enum { FWP_DIRECTION_OUTBOUND = 0, FWP_DIRECTION_INBOUND = 1 };
enum {
	FWP_EMPTY = 0,
	FWP_UINT8 = 1,
	FWP_UINT16 = 2,
	FWP_UINT32 = 3,
	FWP_UINT64 = 4, /* a pointer to it */
	FWP_BYTE_ARRAY16_TYPE = 11,
	FWP_BYTE_BLOB_TYPE = 12,
	FWP_V4_ADDR_MASK = 0x100,
	FWP_V6_ADDR_MASK = 0x101,
	FWP_RANGE_TYPE = 0x102,
};
enum {
	FWP_MATCH_EQUAL = 0,
	FWP_MATCH_GREATER = 1,
	FWP_MATCH_LESS = 2,
	FWP_MATCH_GREATER_OR_EQUAL = 3,
	FWP_MATCH_LESS_OR_EQUAL = 4,
	FWP_MATCH_RANGE = 5,
	FWP_MATCH_FLAGS_ALL_SET = 6,
	FWP_MATCH_FLAGS_ANY_SET = 7,
	FWP_MATCH_FLAGS_NONE_SET = 8,
	FWP_MATCH_EQUAL_CASE_INSENSITIVE = 9,
	FWP_MATCH_NOT_EQUAL = 10,
};
/* Values of the fields called FLAGS */
#define FWP_CONDITION_FLAG_IS_LOOPBACK         0x00000001u
#define FWP_CONDITION_FLAG_IS_IPSEC_SECURED    0x00000002u
#define FWP_CONDITION_FLAG_IS_REAUTHORIZE      0x00000004u
#define FWP_CONDITION_FLAG_IS_RAW_ENDPOINT     0x00000010u
#define FWP_CONDITION_FLAG_IS_FRAGMENT         0x00000020u
#define FWP_CONDITION_FLAG_IS_REASSEMBLED      0x00000400u
#define FWP_CONDITION_FLAG_IS_RECLASSIFY       0x00020000u
#define FWP_CONDITION_FLAG_IS_PROXY_CONNECTION 0x00200000u

typedef struct FWP_BYTE_BLOB_ {
	ULONG size;
	PUCHAR data;
} FWP_BYTE_BLOB;
C_ASSERT(sizeof(FWP_BYTE_BLOB) == NT_CPU(8, 16));
ASSERT_OFFSET(FWP_BYTE_BLOB, data, NT_CPU(4, 8));

typedef struct FWP_BYTE_ARRAY16_ {
	UCHAR byteArray16[16];
} FWP_BYTE_ARRAY16;

typedef struct FWP_V4_ADDR_AND_MASK_ {
	ULONG addr; /* host order, both */
	ULONG mask;
} FWP_V4_ADDR_AND_MASK;

typedef struct FWP_V6_ADDR_AND_MASK_ {
	UCHAR addr[16];
	UCHAR prefixLength;
} FWP_V6_ADDR_AND_MASK;

typedef struct FWP_VALUE0_ {
	ULONG type;
	union {
		UCHAR uint8;
		USHORT uint16;
		ULONG uint32;
		PULONG64 uint64;
		FWP_BYTE_ARRAY16 *byteArray16;
		FWP_BYTE_BLOB *byteBlob;
		/* in conditions only */
		FWP_V4_ADDR_AND_MASK *v4AddrMask;
		FWP_V6_ADDR_AND_MASK *v6AddrMask;
		struct FWP_RANGE0_ *rangeValue;
	};
} FWP_VALUE0, FWPS_INCOMING_VALUE0, FWP_CONDITION_VALUE0;
C_ASSERT(sizeof(FWP_VALUE0) == NT_CPU(8, 16));
ASSERT_OFFSET(FWP_VALUE0, uint32, NT_CPU(4, 8));

typedef struct FWP_RANGE0_ {
	FWP_VALUE0 valueLow;
	FWP_VALUE0 valueHigh;
} FWP_RANGE0;

typedef struct FWPS_INCOMING_VALUES0_ {
	USHORT layerId;
	ULONG valueCount;
	FWPS_INCOMING_VALUE0 *incomingValue;
} FWPS_INCOMING_VALUES0;
C_ASSERT(sizeof(FWPS_INCOMING_VALUES0) == NT_CPU(0xC, 0x10));
ASSERT_OFFSET(FWPS_INCOMING_VALUES0, valueCount, 4);
ASSERT_OFFSET(FWPS_INCOMING_VALUES0, incomingValue, 8);

/* --- metadata ------------------------------------------------------------------------------------
 */
/* Bits of currentMetadataValues: which of the fields below are there */
#define FWPS_METADATA_FIELD_DISCARD_REASON                  0x00000001u
#define FWPS_METADATA_FIELD_FLOW_HANDLE                     0x00000002u
#define FWPS_METADATA_FIELD_IP_HEADER_SIZE                  0x00000004u
#define FWPS_METADATA_FIELD_PROCESS_PATH                    0x00000008u
#define FWPS_METADATA_FIELD_TOKEN                           0x00000010u
#define FWPS_METADATA_FIELD_PROCESS_ID                      0x00000020u
#define FWPS_METADATA_FIELD_SYSTEM_FLAGS                    0x00000040u
#define FWPS_METADATA_FIELD_SOURCE_INTERFACE_INDEX          0x00000100u
#define FWPS_METADATA_FIELD_DESTINATION_INTERFACE_INDEX     0x00000200u
#define FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE           0x00000400u
#define FWPS_METADATA_FIELD_COMPARTMENT_ID                  0x00000800u
#define FWPS_METADATA_FIELD_FRAGMENT_DATA                   0x00001000u
#define FWPS_METADATA_FIELD_PATH_MTU                        0x00002000u
#define FWPS_METADATA_FIELD_COMPLETION_HANDLE               0x00004000u
#define FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE       0x00008000u
#define FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA          0x00010000u
#define FWPS_METADATA_FIELD_REMOTE_SCOPE_ID                 0x00020000u
#define FWPS_METADATA_FIELD_PACKET_DIRECTION                0x00040000u
#define FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED           0x00400000u
#define FWPS_METADATA_FIELD_TRANSPORT_HEADER_INCLUDE_HEADER 0x00800000u
#define FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE          0x04000000u
#define FWPS_METADATA_FIELD_ICMP_ID_AND_SEQUENCE            0x08000000u
#define FWPS_METADATA_FIELD_LOCAL_REDIRECT_TARGET_PID       0x10000000u
#define FWPS_METADATA_FIELD_ORIGINAL_DESTINATION            0x20000000u
#define FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE          0x40000000u
#define FWPS_METADATA_FIELD_SUB_PROCESS_TAG                 0x80000000u
#define FWPS_IS_METADATA_FIELD_PRESENT(metadata, field) \
	(((metadata)->currentMetadataValues & (field)) == (field))

typedef struct FWPS_DISCARD_METADATA0_ {
	ULONG discardModule;
	ULONG discardReason;
	ULONG64 filterId;
} FWPS_DISCARD_METADATA0;

typedef struct FWPS_INBOUND_FRAGMENT_METADATA0_ {
	ULONG fragmentIdentification;
	USHORT fragmentOffset;
	ULONG fragmentLength;
} FWPS_INBOUND_FRAGMENT_METADATA0;

typedef struct SCOPE_ID_ {
	ULONG Value;
} SCOPE_ID;

/* of Windows 8 on; older ones end earlier, with what is below 0x80 at the same place */
typedef struct FWPS_INCOMING_METADATA_VALUES0_ {
	ULONG currentMetadataValues;
	ULONG flags; /* Windows' own */
	ULONG64 reserved;
	FWPS_DISCARD_METADATA0 discardMetadata;
	ULONG64 flowHandle;
	ULONG ipHeaderSize;
	ULONG transportHeaderSize;
	FWP_BYTE_BLOB *processPath;
	ULONG64 token;
	ULONG64 processId;
	ULONG sourceInterfaceIndex;
	ULONG destinationInterfaceIndex;
	ULONG compartmentId;
	FWPS_INBOUND_FRAGMENT_METADATA0 fragmentMetadata;
	ULONG pathMtu;
	HANDLE completionHandle;
	ULONG64 transportEndpointHandle;
	SCOPE_ID remoteScopeId;
	PVOID controlData;
	ULONG controlDataLength;
	ULONG packetDirection;
	PVOID headerIncludeHeader;
	ULONG headerIncludeHeaderLength;
	ULONG destinationPrefix[8];
	USHORT frameLength;
	ULONG64 parentEndpointHandle;
	ULONG icmpIdAndSequence;
	ULONG localRedirectTargetPID;
	PVOID originalDestination;
	HANDLE redirectRecords;
	UCHAR l2Data[NT_CPU(0xE8 - 0xC8, 0x108 - 0xE0)];
	ULONG64 subProcessTag;
	ULONG64 reserved1;
} FWPS_INCOMING_METADATA_VALUES0;
C_ASSERT(sizeof(FWPS_INCOMING_METADATA_VALUES0) == NT_CPU(0xF8, 0x118));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, flags, 0x04);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, reserved, 0x08);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, discardMetadata, 0x10);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, flowHandle, 0x20);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, ipHeaderSize, 0x28);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, transportHeaderSize, 0x2C);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, processPath, 0x30);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, token, 0x38);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, processId, 0x40);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, sourceInterfaceIndex, 0x48);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, destinationInterfaceIndex, 0x4C);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, compartmentId, 0x50);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, fragmentMetadata, 0x54);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, pathMtu, 0x60);
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, completionHandle, NT_CPU(0x64, 0x68));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, transportEndpointHandle, NT_CPU(0x68, 0x70));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, remoteScopeId, NT_CPU(0x70, 0x78));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, controlData, NT_CPU(0x74, 0x80));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, controlDataLength, NT_CPU(0x78, 0x88));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, packetDirection, NT_CPU(0x7C, 0x8C));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, headerIncludeHeader, NT_CPU(0x80, 0x90));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, headerIncludeHeaderLength, NT_CPU(0x84, 0x98));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, destinationPrefix, NT_CPU(0x88, 0x9C));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, frameLength, NT_CPU(0xA8, 0xBC));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, parentEndpointHandle, NT_CPU(0xB0, 0xC0));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, icmpIdAndSequence, NT_CPU(0xB8, 0xC8));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, localRedirectTargetPID, NT_CPU(0xBC, 0xCC));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, originalDestination, NT_CPU(0xC0, 0xD0));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, redirectRecords, NT_CPU(0xC4, 0xD8));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, subProcessTag, NT_CPU(0xE8, 0x108));
ASSERT_OFFSET(FWPS_INCOMING_METADATA_VALUES0, reserved1, NT_CPU(0xF0, 0x110));

/* --- actions -------------------------------------------------------------------------------------
 */
#define FWP_ACTION_FLAG_TERMINATING     0x00001000u
#define FWP_ACTION_FLAG_NON_TERMINATING 0x00002000u
#define FWP_ACTION_FLAG_CALLOUT         0x00004000u
#define FWP_ACTION_BLOCK                0x00001001u
#define FWP_ACTION_PERMIT               0x00001002u
#define FWP_ACTION_CALLOUT_TERMINATING  0x00005003u
#define FWP_ACTION_CALLOUT_INSPECTION   0x00006004u
#define FWP_ACTION_CALLOUT_UNKNOWN      0x00004005u
#define FWP_ACTION_CONTINUE             0x00002006u
#define FWP_ACTION_NONE                 0x00000007u
#define FWP_ACTION_NONE_NO_MATCH        0x00000008u

#define FWPS_RIGHT_ACTION_WRITE                     0x00000001u
/* FWPS_CLASSIFY_OUT0.flags */
#define FWPS_CLASSIFY_OUT_FLAG_ABSORB               0x00000001u
#define FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED 0x00000002u
#define FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA         0x00000004u

typedef struct FWPS_CLASSIFY_OUT0_ {
	ULONG actionType;
	ULONG64 outContext;
	ULONG64 filterId;
	ULONG rights;
	ULONG flags;
	ULONG reserved;
} FWPS_CLASSIFY_OUT0;
C_ASSERT(sizeof(FWPS_CLASSIFY_OUT0) == 0x28);
ASSERT_OFFSET(FWPS_CLASSIFY_OUT0, outContext, 0x08);
ASSERT_OFFSET(FWPS_CLASSIFY_OUT0, filterId, 0x10);
ASSERT_OFFSET(FWPS_CLASSIFY_OUT0, rights, 0x18);
ASSERT_OFFSET(FWPS_CLASSIFY_OUT0, flags, 0x1C);
ASSERT_OFFSET(FWPS_CLASSIFY_OUT0, reserved, 0x20);

/* FWPS_FILTER*.flags */
#define FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT             0x0001u
#define FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED 0x0002u

typedef struct FWPS_FILTER_CONDITION0_ {
	USHORT fieldId;
	USHORT reserved;
	ULONG matchType;
	FWP_CONDITION_VALUE0 conditionValue;
} FWPS_FILTER_CONDITION0;
C_ASSERT(sizeof(FWPS_FILTER_CONDITION0) == NT_CPU(0x10, 0x18));

typedef struct FWPS_ACTION0_ {
	ULONG type;
	ULONG calloutId;
} FWPS_ACTION0;

/* FWPS_FILTER0, 1 and 2: what providerContext points to differs, nothing else */
typedef struct FWPS_FILTER2_ {
	ULONG64 filterId;
	FWP_VALUE0 weight;
	USHORT subLayerWeight;
	USHORT flags;
	ULONG numFilterConditions;
	FWPS_FILTER_CONDITION0 *filterCondition;
	FWPS_ACTION0 action;
	ULONG64 context;
	PVOID providerContext;
} FWPS_FILTER0, FWPS_FILTER1, FWPS_FILTER2;
C_ASSERT(sizeof(FWPS_FILTER2) == NT_CPU(0x38, 0x40));
ASSERT_OFFSET(FWPS_FILTER2, weight, 0x08);
ASSERT_OFFSET(FWPS_FILTER2, subLayerWeight, NT_CPU(0x10, 0x18));
ASSERT_OFFSET(FWPS_FILTER2, flags, NT_CPU(0x12, 0x1A));
ASSERT_OFFSET(FWPS_FILTER2, numFilterConditions, NT_CPU(0x14, 0x1C));
ASSERT_OFFSET(FWPS_FILTER2, filterCondition, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPS_FILTER2, action, NT_CPU(0x1C, 0x28));
ASSERT_OFFSET(FWPS_FILTER2, context, NT_CPU(0x28, 0x30));
ASSERT_OFFSET(FWPS_FILTER2, providerContext, NT_CPU(0x30, 0x38));

/* --- the stream layer ----------------------------------------------------------------------------
 */
#define FWPS_STREAM_FLAG_RECEIVE            0x00000001u
#define FWPS_STREAM_FLAG_RECEIVE_EXPEDITED  0x00000002u
#define FWPS_STREAM_FLAG_RECEIVE_DISCONNECT 0x00000004u
#define FWPS_STREAM_FLAG_RECEIVE_ABORT      0x00000008u
#define FWPS_STREAM_FLAG_RECEIVE_PUSH       0x00000010u
#define FWPS_STREAM_FLAG_SEND               0x00010000u
#define FWPS_STREAM_FLAG_SEND_EXPEDITED     0x00020000u
#define FWPS_STREAM_FLAG_SEND_NODELAY       0x00040000u
#define FWPS_STREAM_FLAG_SEND_DISCONNECT    0x00080000u
#define FWPS_STREAM_FLAG_SEND_ABORT         0x00100000u

enum {
	FWPS_STREAM_ACTION_NONE = 0,
	FWPS_STREAM_ACTION_NEED_MORE_DATA = 1,
	FWPS_STREAM_ACTION_DROP_CONNECTION = 2,
	FWPS_STREAM_ACTION_DEFER = 3,
	FWPS_STREAM_ACTION_ALLOW_CONNECTION = 4, /* Windows 7 on */
};

typedef struct FWPS_STREAM_DATA_OFFSET0_ {
	NET_BUFFER_LIST *netBufferList;
	NET_BUFFER *netBuffer;
	MDL *mdl;
	ULONG mdlOffset;
	ULONG netBufferOffset;   /* reserved */
	SIZE_T streamDataOffset; /* reserved */
} FWPS_STREAM_DATA_OFFSET0;
C_ASSERT(sizeof(FWPS_STREAM_DATA_OFFSET0) == NT_CPU(0x18, 0x28));
ASSERT_OFFSET(FWPS_STREAM_DATA_OFFSET0, netBuffer, NT_CPU(4, 8));
ASSERT_OFFSET(FWPS_STREAM_DATA_OFFSET0, mdl, NT_CPU(8, 0x10));
ASSERT_OFFSET(FWPS_STREAM_DATA_OFFSET0, mdlOffset, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(FWPS_STREAM_DATA_OFFSET0, netBufferOffset, NT_CPU(0x10, 0x1C));
ASSERT_OFFSET(FWPS_STREAM_DATA_OFFSET0, streamDataOffset, NT_CPU(0x14, 0x20));

typedef struct FWPS_STREAM_DATA0_ {
	ULONG flags; /* FWPS_STREAM_FLAG_ */
	FWPS_STREAM_DATA_OFFSET0 dataOffset;
	SIZE_T dataLength;
	NET_BUFFER_LIST *netBufferListChain;
} FWPS_STREAM_DATA0;
C_ASSERT(sizeof(FWPS_STREAM_DATA0) == NT_CPU(0x24, 0x40));
ASSERT_OFFSET(FWPS_STREAM_DATA0, dataOffset, NT_CPU(4, 8));
ASSERT_OFFSET(FWPS_STREAM_DATA0, dataLength, NT_CPU(0x1C, 0x30));
ASSERT_OFFSET(FWPS_STREAM_DATA0, netBufferListChain, NT_CPU(0x20, 0x38));

/* layerData at the stream layer; the last three are the callout's answer, always to be written */
typedef struct FWPS_STREAM_CALLOUT_IO_PACKET0_ {
	FWPS_STREAM_DATA0 *streamData;
	SIZE_T missedBytes;
	ULONG countBytesRequired;
	SIZE_T countBytesEnforced;
	ULONG streamAction; /* FWPS_STREAM_ACTION_ */
} FWPS_STREAM_CALLOUT_IO_PACKET0;
C_ASSERT(sizeof(FWPS_STREAM_CALLOUT_IO_PACKET0) == NT_CPU(0x14, 0x28));
ASSERT_OFFSET(FWPS_STREAM_CALLOUT_IO_PACKET0, missedBytes, NT_CPU(4, 8));
ASSERT_OFFSET(FWPS_STREAM_CALLOUT_IO_PACKET0, countBytesRequired, NT_CPU(8, 0x10));
ASSERT_OFFSET(FWPS_STREAM_CALLOUT_IO_PACKET0, countBytesEnforced, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(FWPS_STREAM_CALLOUT_IO_PACKET0, streamAction, NT_CPU(0x10, 0x20));

/* --- callouts ------------------------------------------------------------------------------------
 */
#define FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW         0x00000001u
#define FWP_CALLOUT_FLAG_ALLOW_OFFLOAD               0x00000002u
#define FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY    0x00000004u
#define FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION 0x00000008u
#define FWP_CALLOUT_FLAG_ALLOW_RECLASSIFY            0x00000010u
#define FWP_CALLOUT_FLAG_ALLOW_RSC                   0x00000040u
#define FWP_CALLOUT_FLAG_ALLOW_L2_BATCH_CLASSIFY     0x00000080u
#define FWP_CALLOUT_FLAG_ALLOW_USO                   0x00000100u
#define FWP_CALLOUT_FLAG_ALLOW_URO                   0x00000200u

enum {
	FWPS_CALLOUT_NOTIFY_ADD_FILTER = 0,
	FWPS_CALLOUT_NOTIFY_DELETE_FILTER = 1,
	FWPS_CALLOUT_NOTIFY_ADD_FILTER_POST_COMMIT = 2,
};

typedef VOID(NTAPI *FWPS_CALLOUT_CLASSIFY_FN2)(const FWPS_INCOMING_VALUES0 *inFixedValues,
					       const FWPS_INCOMING_METADATA_VALUES0 *inMetaValues,
					       PVOID layerData, const VOID *classifyContext,
					       const FWPS_FILTER2 *filter, ULONG64 flowContext,
					       FWPS_CLASSIFY_OUT0 *classifyOut);
typedef NTSTATUS(NTAPI *FWPS_CALLOUT_NOTIFY_FN2)(ULONG notifyType, const GUID *filterKey,
						 FWPS_FILTER2 *filter);
typedef VOID(NTAPI *FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0)(USHORT layerId, ULONG calloutId,
							 ULONG64 flowContext);

typedef struct FWPS_CALLOUT2_ {
	GUID calloutKey;
	ULONG flags; /* FWP_CALLOUT_FLAG_ */
	FWPS_CALLOUT_CLASSIFY_FN2 classifyFn;
	FWPS_CALLOUT_NOTIFY_FN2 notifyFn;
	FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flowDeleteFn; /* NULL: no contexts */
} FWPS_CALLOUT1, FWPS_CALLOUT2;
C_ASSERT(sizeof(FWPS_CALLOUT2) == NT_CPU(0x20, 0x30));
ASSERT_OFFSET(FWPS_CALLOUT2, flags, 0x10);
ASSERT_OFFSET(FWPS_CALLOUT2, classifyFn, NT_CPU(0x14, 0x18));
ASSERT_OFFSET(FWPS_CALLOUT2, notifyFn, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPS_CALLOUT2, flowDeleteFn, NT_CPU(0x1C, 0x28));

/* --- objects of the management functions ---------------------------------------------------------
 */
#define FWPM_SESSION_FLAG_DYNAMIC 0x00000001u

#define FWPM_FILTER_FLAG_PERSISTENT                     0x00000001u
#define FWPM_FILTER_FLAG_BOOTTIME                       0x00000002u
#define FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT           0x00000004u
#define FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT             0x00000008u
#define FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED 0x00000010u
#define FWPM_FILTER_FLAG_DISABLED                       0x00000020u
#define FWPM_FILTER_FLAG_INDEXED                        0x00000040u

#define RPC_C_AUTHN_WINNT   10u
#define RPC_C_AUTHN_DEFAULT 0xFFFFFFFFu

typedef struct FWPM_DISPLAY_DATA0_ {
	PWCHAR name; /* not NULL */
	PWCHAR description;
} FWPM_DISPLAY_DATA0;

typedef struct FWPM_SESSION0_ {
	GUID sessionKey;
	FWPM_DISPLAY_DATA0 displayData;
	ULONG flags;
	ULONG txnWaitTimeoutInMSec;
	ULONG processId;
	PVOID sid;
	PWCHAR username;
	LONG kernelMode;
} FWPM_SESSION0;
C_ASSERT(sizeof(FWPM_SESSION0) == NT_CPU(0x30, 0x48));
ASSERT_OFFSET(FWPM_SESSION0, displayData, 0x10);
ASSERT_OFFSET(FWPM_SESSION0, flags, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPM_SESSION0, txnWaitTimeoutInMSec, NT_CPU(0x1C, 0x24));
ASSERT_OFFSET(FWPM_SESSION0, processId, NT_CPU(0x20, 0x28));
ASSERT_OFFSET(FWPM_SESSION0, sid, NT_CPU(0x24, 0x30));
ASSERT_OFFSET(FWPM_SESSION0, username, NT_CPU(0x28, 0x38));
ASSERT_OFFSET(FWPM_SESSION0, kernelMode, NT_CPU(0x2C, 0x40));

typedef struct FWPM_PROVIDER0_ {
	GUID providerKey;
	FWPM_DISPLAY_DATA0 displayData;
	ULONG flags;
	FWP_BYTE_BLOB providerData;
	PWCHAR serviceName;
} FWPM_PROVIDER0;
C_ASSERT(sizeof(FWPM_PROVIDER0) == NT_CPU(0x28, 0x40));

typedef struct FWPM_SUBLAYER0_ {
	GUID subLayerKey;
	FWPM_DISPLAY_DATA0 displayData;
	ULONG flags;
	GUID *providerKey;
	FWP_BYTE_BLOB providerData;
	USHORT weight;
} FWPM_SUBLAYER0;
C_ASSERT(sizeof(FWPM_SUBLAYER0) == NT_CPU(0x2C, 0x48));
ASSERT_OFFSET(FWPM_SUBLAYER0, displayData, 0x10);
ASSERT_OFFSET(FWPM_SUBLAYER0, flags, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPM_SUBLAYER0, providerKey, NT_CPU(0x1C, 0x28));
ASSERT_OFFSET(FWPM_SUBLAYER0, providerData, NT_CPU(0x20, 0x30));
ASSERT_OFFSET(FWPM_SUBLAYER0, weight, NT_CPU(0x28, 0x40));

typedef struct FWPM_CALLOUT0_ {
	GUID calloutKey;
	FWPM_DISPLAY_DATA0 displayData;
	ULONG flags;
	GUID *providerKey;
	FWP_BYTE_BLOB providerData;
	GUID applicableLayer;
	ULONG calloutId;
} FWPM_CALLOUT0;
C_ASSERT(sizeof(FWPM_CALLOUT0) == NT_CPU(0x3C, 0x58));
ASSERT_OFFSET(FWPM_CALLOUT0, displayData, 0x10);
ASSERT_OFFSET(FWPM_CALLOUT0, flags, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPM_CALLOUT0, providerKey, NT_CPU(0x1C, 0x28));
ASSERT_OFFSET(FWPM_CALLOUT0, providerData, NT_CPU(0x20, 0x30));
ASSERT_OFFSET(FWPM_CALLOUT0, applicableLayer, NT_CPU(0x28, 0x40));
ASSERT_OFFSET(FWPM_CALLOUT0, calloutId, NT_CPU(0x38, 0x50));

typedef struct FWPM_FILTER_CONDITION0_ {
	GUID fieldKey;
	ULONG matchType;
	FWP_CONDITION_VALUE0 conditionValue;
} FWPM_FILTER_CONDITION0;
C_ASSERT(sizeof(FWPM_FILTER_CONDITION0) == NT_CPU(0x1C, 0x28));
ASSERT_OFFSET(FWPM_FILTER_CONDITION0, matchType, 0x10);
ASSERT_OFFSET(FWPM_FILTER_CONDITION0, conditionValue, NT_CPU(0x14, 0x18));

typedef struct FWPM_ACTION0_ {
	ULONG type;
	GUID calloutKey;
} FWPM_ACTION0;
C_ASSERT(sizeof(FWPM_ACTION0) == 0x14);

typedef struct FWPM_FILTER0_ {
	GUID filterKey; /* zero: the engine makes one */
	FWPM_DISPLAY_DATA0 displayData;
	ULONG flags;
	GUID *providerKey;
	FWP_BYTE_BLOB providerData;
	GUID layerKey;
	GUID subLayerKey;
	FWP_VALUE0 weight; /* FWP_EMPTY, FWP_UINT8 (0 to 15) or FWP_UINT64 */
	ULONG numFilterConditions;
	FWPM_FILTER_CONDITION0 *filterCondition;
	FWPM_ACTION0 action;
	union {
		ULONG64 rawContext;
		GUID providerContextKey;
	};
	GUID *reserved;
	ULONG64 filterId;
	FWP_VALUE0 effectiveWeight;
} FWPM_FILTER0;
C_ASSERT(sizeof(FWPM_FILTER0) == NT_CPU(0x98, 0xC8));
ASSERT_OFFSET(FWPM_FILTER0, displayData, 0x10);
ASSERT_OFFSET(FWPM_FILTER0, flags, NT_CPU(0x18, 0x20));
ASSERT_OFFSET(FWPM_FILTER0, providerKey, NT_CPU(0x1C, 0x28));
ASSERT_OFFSET(FWPM_FILTER0, providerData, NT_CPU(0x20, 0x30));
ASSERT_OFFSET(FWPM_FILTER0, layerKey, NT_CPU(0x28, 0x40));
ASSERT_OFFSET(FWPM_FILTER0, subLayerKey, NT_CPU(0x38, 0x50));
ASSERT_OFFSET(FWPM_FILTER0, weight, NT_CPU(0x48, 0x60));
ASSERT_OFFSET(FWPM_FILTER0, numFilterConditions, NT_CPU(0x50, 0x70));
ASSERT_OFFSET(FWPM_FILTER0, filterCondition, NT_CPU(0x54, 0x78));
ASSERT_OFFSET(FWPM_FILTER0, action, NT_CPU(0x58, 0x80));
ASSERT_OFFSET(FWPM_FILTER0, rawContext, NT_CPU(0x70, 0x98));
ASSERT_OFFSET(FWPM_FILTER0, reserved, NT_CPU(0x80, 0xA8));
ASSERT_OFFSET(FWPM_FILTER0, filterId, NT_CPU(0x88, 0xB0));
ASSERT_OFFSET(FWPM_FILTER0, effectiveWeight, NT_CPU(0x90, 0xB8));

/* --- injection -----------------------------------------------------------------------------------
 */
#define FWPS_INJECTION_TYPE_STREAM    0x00000001u
#define FWPS_INJECTION_TYPE_TRANSPORT 0x00000002u
#define FWPS_INJECTION_TYPE_NETWORK   0x00000004u
#define FWPS_INJECTION_TYPE_FORWARD   0x00000008u
#define FWPS_INJECTION_TYPE_L2        0x00000010u

enum {
	FWPS_PACKET_NOT_INJECTED = 0,
	FWPS_PACKET_INJECTED_BY_SELF = 1,
	FWPS_PACKET_INJECTED_BY_OTHER = 2,
	FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF = 3,
};

typedef struct FWPS_TRANSPORT_SEND_PARAMS1_ {
	PUCHAR remoteAddress; /* network order; good until completion */
	SCOPE_ID remoteScopeId;
	PVOID controlData;
	ULONG controlDataLength;
	PUCHAR headerIncludeHeader;
	ULONG headerIncludeHeaderLength;
} FWPS_TRANSPORT_SEND_PARAMS1;
C_ASSERT(sizeof(FWPS_TRANSPORT_SEND_PARAMS1) == NT_CPU(0x18, 0x30));
ASSERT_OFFSET(FWPS_TRANSPORT_SEND_PARAMS1, remoteScopeId, NT_CPU(4, 8));
ASSERT_OFFSET(FWPS_TRANSPORT_SEND_PARAMS1, controlData, NT_CPU(8, 0x10));
ASSERT_OFFSET(FWPS_TRANSPORT_SEND_PARAMS1, controlDataLength, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(FWPS_TRANSPORT_SEND_PARAMS1, headerIncludeHeader, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(FWPS_TRANSPORT_SEND_PARAMS1, headerIncludeHeaderLength, NT_CPU(0x14, 0x28));
/* version 0 ends before headerIncludeHeader */
typedef FWPS_TRANSPORT_SEND_PARAMS1 FWPS_TRANSPORT_SEND_PARAMS0;

typedef VOID(NTAPI *FWPS_INJECT_COMPLETE0)(PVOID context, NET_BUFFER_LIST *netBufferList,
					   BOOLEAN dispatchLevel);

/* --- status codes --------------------------------------------------------------------------------
 */
#define STATUS_FWP_CALLOUT_NOT_FOUND     ((NTSTATUS)0xC0220001)
#define STATUS_FWP_CONDITION_NOT_FOUND   ((NTSTATUS)0xC0220002)
#define STATUS_FWP_FILTER_NOT_FOUND      ((NTSTATUS)0xC0220003)
#define STATUS_FWP_LAYER_NOT_FOUND       ((NTSTATUS)0xC0220004)
#define STATUS_FWP_PROVIDER_NOT_FOUND    ((NTSTATUS)0xC0220005)
#define STATUS_FWP_SUBLAYER_NOT_FOUND    ((NTSTATUS)0xC0220007)
#define STATUS_FWP_NOT_FOUND             ((NTSTATUS)0xC0220008)
#define STATUS_FWP_ALREADY_EXISTS        ((NTSTATUS)0xC0220009)
#define STATUS_FWP_IN_USE                ((NTSTATUS)0xC022000A)
#define STATUS_FWP_WRONG_SESSION         ((NTSTATUS)0xC022000C)
#define STATUS_FWP_NO_TXN_IN_PROGRESS    ((NTSTATUS)0xC022000D)
#define STATUS_FWP_TXN_IN_PROGRESS       ((NTSTATUS)0xC022000E)
#define STATUS_FWP_TXN_ABORTED           ((NTSTATUS)0xC022000F)
#define STATUS_FWP_TIMEOUT               ((NTSTATUS)0xC0220012)
#define STATUS_FWP_INCOMPATIBLE_LAYER    ((NTSTATUS)0xC0220014)
#define STATUS_FWP_NULL_POINTER          ((NTSTATUS)0xC022001C)
#define STATUS_FWP_INVALID_ENUMERATOR    ((NTSTATUS)0xC022001D)
#define STATUS_FWP_NULL_DISPLAY_NAME     ((NTSTATUS)0xC0220023)
#define STATUS_FWP_INVALID_ACTION_TYPE   ((NTSTATUS)0xC0220024)
#define STATUS_FWP_INVALID_WEIGHT        ((NTSTATUS)0xC0220025)
#define STATUS_FWP_MATCH_TYPE_MISMATCH   ((NTSTATUS)0xC0220026)
#define STATUS_FWP_TYPE_MISMATCH         ((NTSTATUS)0xC0220027)
#define STATUS_FWP_INVALID_PARAMETER     ((NTSTATUS)0xC0220035)
#define STATUS_FWP_TCPIP_NOT_READY       ((NTSTATUS)0xC0220100)
#define STATUS_FWP_INJECT_HANDLE_CLOSING ((NTSTATUS)0xC0220101)
#define STATUS_FWP_INJECT_HANDLE_STALE   ((NTSTATUS)0xC0220102)
#define STATUS_FWP_CANNOT_PEND           ((NTSTATUS)0xC0220103)
#define STATUS_FWP_DROP_NOICMP           ((NTSTATUS)0xC0220104)

/* --- management, at PASSIVE_LEVEL ----------------------------------------------------------------
 */
enum {
	FWPM_SERVICE_STOPPED = 0,
	FWPM_SERVICE_START_PENDING = 1,
	FWPM_SERVICE_STOP_PENDING = 2,
	FWPM_SERVICE_RUNNING = 3,
};
typedef VOID(NTAPI *FWPM_SERVICE_STATE_CHANGE_CALLBACK0)(PVOID context, ULONG newState);

WFPAPI NTSTATUS NTAPI FwpmEngineOpen0(const WCHAR *serverName, ULONG authnService,
				      PVOID authIdentity, const FWPM_SESSION0 *session,
				      HANDLE *engineHandle);
WFPAPI NTSTATUS NTAPI FwpmEngineClose0(HANDLE engineHandle);
WFPAPI NTSTATUS NTAPI FwpmTransactionBegin0(HANDLE engineHandle, ULONG flags);
WFPAPI NTSTATUS NTAPI FwpmTransactionCommit0(HANDLE engineHandle);
WFPAPI NTSTATUS NTAPI FwpmTransactionAbort0(HANDLE engineHandle);
WFPAPI NTSTATUS NTAPI FwpmProviderAdd0(HANDLE engineHandle, const FWPM_PROVIDER0 *provider,
				       PVOID sd);
WFPAPI NTSTATUS NTAPI FwpmSubLayerAdd0(HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer,
				       PVOID sd);
WFPAPI NTSTATUS NTAPI FwpmSubLayerDeleteByKey0(HANDLE engineHandle, const GUID *key);
WFPAPI NTSTATUS NTAPI FwpmCalloutAdd0(HANDLE engineHandle, const FWPM_CALLOUT0 *callout, PVOID sd,
				      ULONG *id);
WFPAPI NTSTATUS NTAPI FwpmCalloutDeleteByKey0(HANDLE engineHandle, const GUID *key);
WFPAPI NTSTATUS NTAPI FwpmFilterAdd0(HANDLE engineHandle, const FWPM_FILTER0 *filter, PVOID sd,
				     ULONG64 *id);
WFPAPI NTSTATUS NTAPI FwpmFilterDeleteById0(HANDLE engineHandle, ULONG64 id);
/** At <= DISPATCH_LEVEL. */
WFPAPI ULONG NTAPI FwpmBfeStateGet0(VOID);
WFPAPI NTSTATUS NTAPI FwpmBfeStateSubscribeChanges0(PVOID deviceObject,
						    FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback,
						    PVOID context, HANDLE *changeHandle);
WFPAPI NTSTATUS NTAPI FwpmBfeStateUnsubscribeChanges0(HANDLE changeHandle);

/* --- run time, at <= DISPATCH_LEVEL where nothing else is said
 * ------------------------------------ */
/** PASSIVE_LEVEL. Windows 7 on. */
WFPAPI NTSTATUS NTAPI FwpsCalloutRegister1(PVOID deviceObject, const FWPS_CALLOUT1 *callout,
					   ULONG *calloutId);
/** PASSIVE_LEVEL. Windows 8 on. */
WFPAPI NTSTATUS NTAPI FwpsCalloutRegister2(PVOID deviceObject, const FWPS_CALLOUT2 *callout,
					   ULONG *calloutId);
/** PASSIVE_LEVEL. STATUS_DEVICE_BUSY: contexts are left; removal goes on, ask again. */
WFPAPI NTSTATUS NTAPI FwpsCalloutUnregisterById0(ULONG calloutId);
WFPAPI NTSTATUS NTAPI FwpsFlowAssociateContext0(ULONG64 flowId, USHORT layerId, ULONG calloutId,
						ULONG64 flowContext);
/** STATUS_SUCCESS: the flow delete function has run. STATUS_PENDING: it will. */
WFPAPI NTSTATUS NTAPI FwpsFlowRemoveContext0(ULONG64 flowId, USHORT layerId, ULONG calloutId);
/** Windows 8 on. */
WFPAPI NTSTATUS NTAPI FwpsFlowAbort0(ULONG64 flowId);
/** PASSIVE_LEVEL, both; destruction waits for what is pending. */
WFPAPI NTSTATUS NTAPI FwpsInjectionHandleCreate0(USHORT addressFamily, ULONG flags,
						 HANDLE *injectionHandle);
WFPAPI NTSTATUS NTAPI FwpsInjectionHandleDestroy0(HANDLE injectionHandle);
WFPAPI NTSTATUS NTAPI FwpsAllocateNetBufferAndNetBufferList0(HANDLE poolHandle, USHORT contextSize,
							     USHORT contextBackFill, MDL *mdlChain,
							     ULONG dataOffset, SIZE_T dataLength,
							     NET_BUFFER_LIST **netBufferList);
WFPAPI VOID NTAPI FwpsFreeNetBufferList0(NET_BUFFER_LIST *netBufferList);
WFPAPI NTSTATUS NTAPI FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
						      HANDLE netBufferListPoolHandle,
						      HANDLE netBufferPoolHandle,
						      ULONG allocateCloneFlags,
						      NET_BUFFER_LIST **netBufferList);
WFPAPI VOID NTAPI FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *netBufferList, ULONG freeCloneFlags);
WFPAPI VOID NTAPI FwpsReferenceNetBufferList0(NET_BUFFER_LIST *netBufferList,
					      BOOLEAN intendToModify);
WFPAPI VOID NTAPI FwpsDereferenceNetBufferList0(NET_BUFFER_LIST *netBufferList,
						BOOLEAN dispatchLevel);
/** completionFn once for each list of the chain, never for a NULL one, not at all if this fails. */
WFPAPI NTSTATUS NTAPI FwpsStreamInjectAsync0(HANDLE injectionHandle, HANDLE injectionContext,
					     ULONG flags, ULONG64 flowId, ULONG calloutId,
					     USHORT layerId, ULONG streamFlags,
					     NET_BUFFER_LIST *netBufferList, SIZE_T dataLength,
					     FWPS_INJECT_COMPLETE0 completionFn,
					     HANDLE completionContext);
/** Not inside classify. */
WFPAPI NTSTATUS NTAPI FwpsStreamContinue0(ULONG64 flowId, ULONG calloutId, USHORT layerId,
					  ULONG streamFlags);
WFPAPI VOID NTAPI FwpsCopyStreamDataToBuffer0(const FWPS_STREAM_DATA0 *calloutStreamData,
					      PVOID buffer, SIZE_T bytesToCopy,
					      SIZE_T *bytesCopied);
WFPAPI NTSTATUS NTAPI FwpsCloneStreamData0(FWPS_STREAM_DATA0 *calloutStreamData,
					   HANDLE netBufferListPoolHandle,
					   HANDLE netBufferPoolHandle, ULONG allocateCloneFlags,
					   NET_BUFFER_LIST **netBufferListChain);
WFPAPI VOID NTAPI FwpsDiscardClonedStreamData0(NET_BUFFER_LIST *netBufferListChain,
					       ULONG allocateCloneFlags, BOOLEAN dispatchLevel);
WFPAPI NTSTATUS NTAPI FwpsInjectTransportSendAsync0(HANDLE injectionHandle, HANDLE injectionContext,
						    ULONG64 endpointHandle, ULONG flags,
						    FWPS_TRANSPORT_SEND_PARAMS0 *sendArgs,
						    USHORT addressFamily, ULONG compartmentId,
						    NET_BUFFER_LIST *netBufferList,
						    FWPS_INJECT_COMPLETE0 completionFn,
						    HANDLE completionContext);
WFPAPI NTSTATUS NTAPI FwpsInjectTransportSendAsync1(HANDLE injectionHandle, HANDLE injectionContext,
						    ULONG64 endpointHandle, ULONG flags,
						    FWPS_TRANSPORT_SEND_PARAMS1 *sendArgs,
						    USHORT addressFamily, ULONG compartmentId,
						    NET_BUFFER_LIST *netBufferList,
						    FWPS_INJECT_COMPLETE0 completionFn,
						    HANDLE completionContext);
WFPAPI NTSTATUS NTAPI FwpsInjectTransportReceiveAsync0(
	HANDLE injectionHandle, HANDLE injectionContext, PVOID reserved, ULONG flags,
	USHORT addressFamily, ULONG compartmentId, ULONG interfaceIndex, ULONG subInterfaceIndex,
	NET_BUFFER_LIST *netBufferList, FWPS_INJECT_COMPLETE0 completionFn,
	HANDLE completionContext);
WFPAPI NTSTATUS NTAPI FwpsConstructIpHeaderForTransportPacket0(
	NET_BUFFER_LIST *netBufferList, ULONG headerIncludeHeaderLength, USHORT addressFamily,
	const UCHAR *sourceAddress, const UCHAR *remoteAddress, ULONG nextProtocol,
	ULONG64 endpointHandle, const VOID *controlData, ULONG controlDataLength, ULONG flags,
	PVOID reserved, ULONG interfaceIndex, ULONG subInterfaceIndex);
WFPAPI ULONG NTAPI FwpsQueryPacketInjectionState0(HANDLE injectionHandle,
						  const NET_BUFFER_LIST *netBufferList,
						  HANDLE *injectionContext);

#define AF_UNSPEC 0
#ifndef AF_INET
#define AF_INET 2
#endif
#define WFP_AF_INET6 23 /* Windows' number for AF_INET6 */

#endif
