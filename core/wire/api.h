/* SPDX-License-Identifier: MIT */
/* The numbered KD calls and the other code numbers of the wire, from api.def and codes below. */
#ifndef KD_CORE_WIRE_API_H
#define KD_CORE_WIRE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kd_api {
#define KD_API(number, name, member, in, out, answered, ms_name) KD_API_##name = number,
#include "core/wire/api.def"
#undef KD_API
};

enum kd_data_kind {
	KD_DATA_NONE,
	KD_DATA_BYTES,
	KD_DATA_CONTEXT,
	KD_DATA_PATTERN,
	KD_DATA_U64S,
	KD_DATA_WRITE_BPS,
	KD_DATA_RESTORE_BPS,
};

enum kd_answered { KD_ANSWERED_REPLY, KD_ANSWERED_ACK_ONLY, KD_ANSWERED_EITHER };

/*
 * What the member of the union can be: its structure in structs.def, and its name in
 * union kd_manipulate_member (`continue` is a word of C).
 */
#define KD_MEMBER_TABLE(X)                                  \
	X(read_memory, read_memory)                         \
	X(write_memory, write_memory)                       \
	X(get_context, get_context)                         \
	X(set_context, set_context)                         \
	X(write_breakpoint, write_breakpoint)               \
	X(restore_breakpoint, restore_breakpoint)           \
	X(continue, cont)                                   \
	X(continue2_amd64, continue2_amd64)                 \
	X(continue2_x86, continue2_x86)                     \
	X(continue2_arm64, continue2_arm64)                 \
	X(io, io)                                           \
	X(io_extended, io_extended)                         \
	X(msr, msr)                                         \
	X(query_special_calls, query_special_calls)         \
	X(set_special_call, set_special_call)               \
	X(set_internal_breakpoint, set_internal_breakpoint) \
	X(get_internal_breakpoint, get_internal_breakpoint) \
	X(version, version)                                 \
	X(breakpoint_ex, breakpoint_ex)                     \
	X(search_memory, search_memory)                     \
	X(bus_data, bus_data)                               \
	X(fill_memory, fill_memory)                         \
	X(query_memory, query_memory)                       \
	X(switch_partition, switch_partition)               \
	X(write_custom_breakpoint, write_custom_breakpoint) \
	X(context_ex, context_ex)

enum kd_member {
	KD_MEMBER_none, /* an API without parameters, or an unknown one */
#define KD_X(name, as) KD_MEMBER_##name,
	KD_MEMBER_TABLE(KD_X)
#undef KD_X
};

struct kd_api_info {
	uint32_t number;
	const char *name;    /* "READ_VIRTUAL" */
	const char *ms_name; /* "DbgKdReadVirtualMemoryApi" */
	enum kd_member member;
	enum kd_data_kind in, out;
	enum kd_answered answered;
};

/* NULL: unknown, still traceable as raw bytes. */
const struct kd_api_info *kd_api_find(uint32_t number);

/* All rows in ascending order of their number. */
const struct kd_api_info *kd_api_table(size_t *n_ret);

/* The Continue2 member of an IMAGE_FILE_MACHINE; the AMD64 one for machines without their own. */
enum kd_member kd_api_continue2_member(uint16_t machine);

/*
 * The numbers that name the content of the other data packets. No two spaces overlap, nor do they
 * with api.def: a number alone says what it is.
 */
#define KD_CODE_TABLE(X)                                                 \
	X(STATE_EXCEPTION, 0x3030, "DbgKdExceptionStateChange")          \
	X(STATE_LOAD_SYMBOLS, 0x3031, "DbgKdLoadSymbolsStateChange")     \
	X(STATE_COMMAND_STRING, 0x3032, "DbgKdCommandStringStateChange") \
	X(IO_PRINT_STRING, 0x3230, "DbgKdPrintStringApi")                \
	X(IO_GET_STRING, 0x3231, "DbgKdGetStringApi")                    \
	X(TRACE_PRINT, 0x3330, "DbgKdPrintTraceApi")                     \
	X(FILE_CREATE, 0x3430, "DbgKdCreateFileApi")                     \
	X(FILE_READ, 0x3431, "DbgKdReadFileApi")                         \
	X(FILE_WRITE, 0x3432, "DbgKdWriteFileApi")                       \
	X(FILE_CLOSE, 0x3433, "DbgKdCloseFileApi")                       \
	X(CONTROL_REQUEST_BREAKPOINT, 0x4300, "DbgKdRequestHardwareBp")  \
	X(CONTROL_RELEASE_BREAKPOINT, 0x4301, "DbgKdReleaseHardwareBp")

enum {
#define KD_X(name, number, ms_name) KD_##name = number,
	KD_CODE_TABLE(KD_X)
#undef KD_X

		KD_STATE_ALTERNATE = 0x00010000, /* flag of a state: from another partition */

	KD_MAX_API_XP = 0x2D, /* GetVersion.MaxManipulate */
	KD_MAX_API_VISTA = 0x2E,
	KD_MAX_API_8 = 0x31,
	KD_MAX_API_10 = 0x33,
};

/* Machine types of GetVersion. */
enum {
	KD_MACHINE_X86 = 0x014C,
	KD_MACHINE_AMD64 = 0x8664,
	KD_MACHINE_ARM64 = 0xAA64,
	KD_MACHINE_ARM = 0x01C4,
};

/* GetVersion flags. */
enum {
	KD_VERSION_MP = 0x01,
	KD_VERSION_DATA = 0x02,
	KD_VERSION_PTR64 = 0x04,
	KD_VERSION_NOMM = 0x08,
	KD_VERSION_HSS = 0x10,
	KD_VERSION_PARTITIONS = 0x20,
	KD_VERSION_HAL_IN_NTOS = 0x40,
};

/* NTSTATUS values that appear on the wire. */
#define KD_NT_TABLE(X)                            \
	X(SUCCESS, 0x00000000u)                   \
	X(PENDING, 0x00000103u)                   \
	X(DBG_EXCEPTION_HANDLED, 0x00010001u)     \
	X(DBG_CONTINUE, 0x00010002u)              \
	X(WX86_SINGLE_STEP, 0x4000001Eu)          \
	X(WX86_BREAKPOINT, 0x4000001Fu)           \
	X(GUARD_PAGE_VIOLATION, 0x80000001u)      \
	X(DATATYPE_MISALIGNMENT, 0x80000002u)     \
	X(BREAKPOINT, 0x80000003u)                \
	X(SINGLE_STEP, 0x80000004u)               \
	X(WAKE_SYSTEM_DEBUGGER, 0x80000007u)      \
	X(NO_MORE_ENTRIES, 0x8000001Au)           \
	X(DBG_EXCEPTION_NOT_HANDLED, 0x80010001u) \
	X(UNSUCCESSFUL, 0xC0000001u)              \
	X(NOT_IMPLEMENTED, 0xC0000002u)           \
	X(ACCESS_VIOLATION, 0xC0000005u)          \
	X(IN_PAGE_ERROR, 0xC0000006u)             \
	X(INVALID_PARAMETER, 0xC000000Du)         \
	X(NO_SUCH_DEVICE, 0xC000000Eu)            \
	X(NO_SUCH_FILE, 0xC000000Fu)              \
	X(END_OF_FILE, 0xC0000011u)               \
	X(ILLEGAL_INSTRUCTION, 0xC000001Du)       \
	X(INTEGER_DIVIDE_BY_ZERO, 0xC0000094u)    \
	X(INTEGER_OVERFLOW, 0xC0000095u)          \
	X(PRIVILEGED_INSTRUCTION, 0xC0000096u)    \
	X(STACK_OVERFLOW, 0xC00000FDu)            \
	X(NOT_FOUND, 0xC0000225u)                 \
	X(STACK_BUFFER_OVERRUN, 0xC0000409u)      \
	X(ASSERTION_FAILURE, 0xC0000420u)

enum {
#define KD_X(name, value) KD_NT_##name = (int)(value),
	KD_NT_TABLE(KD_X)
#undef KD_X
};

/* Our name of a number of api.def or KD_CODE_TABLE ("READ_VIRTUAL", "STATE_EXCEPTION"), or NULL. */
const char *kd_code_name(uint32_t number);

/* "STATUS_UNSUCCESSFUL"-style name without prefix, or NULL. */
const char *kd_nt_name(uint32_t status);

#endif
