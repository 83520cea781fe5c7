/* SPDX-License-Identifier: MIT */
#include "tests/core/wire_rows.h"

#include <string.h>

#include "core/bytes.h"
#include "core/wire/packet.h"
#include "tests/core/wire_vectors.h"

/* clang-format off */
const struct wire_row wire_rows[] = {
	{ KD_API_READ_VIRTUAL, KD_MACHINE_AMD64,
	  { "8877665544332211 04000000 00000000", "",
	    "address=0x1122334455667788 count=4 actual=0" }, KD_NT_SUCCESS,
	  { "8877665544332211 04000000 04000000", "01020304",
	    "address=0x1122334455667788 count=4 actual=4 data.bytes=01020304" } },
	{ KD_API_WRITE_VIRTUAL, KD_MACHINE_AMD64,
	  { "8877665544332211 05000000 00000000", "0102030405",
	    "address=0x1122334455667788 count=5 actual=0 data.bytes=0102030405" }, KD_NT_SUCCESS,
	  { "8877665544332211 05000000 05000000", "",
	    "address=0x1122334455667788 count=5 actual=5" } },
	{ KD_API_GET_CONTEXT, KD_MACHINE_AMD64,
	  { "78563412", "",
	    "unused=0x12345678" }, KD_NT_SUCCESS,
	  { "00000000", "00*48 0b001000 00*1180",
	    "unused=0 context.contextflags=0x10000b context.p6home=0 context.exfrom=0" } },
	{ KD_API_SET_CONTEXT, KD_MACHINE_AMD64,
	  { "0b001000", "00*48 1f001000 801f0000 00*1176",
	    "context_flags=0x10000b context.contextflags=0x10001f context.mxcsr=0x1f80" }, KD_NT_SUCCESS,
	  { "0b001000", "",
	    "context_flags=0x10000b" } },
	{ KD_API_WRITE_BREAKPOINT, KD_MACHINE_AMD64,
	  { "8877665544332211 00000000", "",
	    "address=0x1122334455667788 handle=0" }, KD_NT_SUCCESS,
	  { "8877665544332211 20000000", "",
	    "address=0x1122334455667788 handle=32" } },
	{ KD_API_RESTORE_BREAKPOINT, KD_MACHINE_AMD64,
	  { "07000000", "",
	    "handle=7" }, KD_NT_UNSUCCESSFUL,
	  { "07000000", "",
	    "handle=7" } },
	{ KD_API_CONTINUE, KD_MACHINE_AMD64,
	  { "01000180", "",
	    "continue_status=0x80010001" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_READ_CONTROL_SPACE, KD_MACHINE_X86,
	  { "cc02000000000000 54000000 00000000", "",
	    "address=0x2cc count=84 actual=0" }, KD_NT_SUCCESS,
	  { "cc02000000000000 54000000 54000000", 
	    "3b000180 00100000 00709300 f9060000 00*26 ff03 00f00380 0000 ff07 00f40380 "
	    "2800 0000 00*24",
	    "address=0x2cc count=84 actual=84 special_registers.cr0=0x8001003b "
	    "special_registers.cr2=0x1000 special_registers.cr3=0x937000 "
	    "special_registers.cr4=0x6f9 special_registers.gdtl=0x3ff "
	    "special_registers.gdtr=0x8003f000 special_registers.idtl=0x7ff "
	    "special_registers.idtr=0x8003f400 special_registers.tr=0x28 "
	    "special_registers.ldtr=0" } },
	{ KD_API_WRITE_CONTROL_SPACE, KD_MACHINE_AMD64,
	  { "0200000000000000 d8000000 00000000", "13000080 00*212",
	    "address=2 count=0xd8 actual=0 special_registers.cr0=0x80000013 "
	    "special_registers.msrsyscallmask=0" }, KD_NT_SUCCESS,
	  { "0200000000000000 d8000000 d8000000", "",
	    "address=2 count=0xd8 actual=0xd8" } },
	{ KD_API_READ_IO, KD_MACHINE_AMD64,
	  { "f803000000000000 01000000 00000000", "",
	    "address=0x3f8 size=1 value=0" }, KD_NT_SUCCESS,
	  { "f803000000000000 01000000 62000000", "",
	    "address=0x3f8 size=1 value=0x62" } },
	{ KD_API_WRITE_IO, KD_MACHINE_AMD64,
	  { "f803000000000000 02000000 78560000", "",
	    "address=0x3f8 size=2 value=0x5678" }, KD_NT_DATATYPE_MISALIGNMENT,
	  { "f803000000000000 02000000 78560000", "",
	    "address=0x3f8 size=2 value=0x5678" } },
	{ KD_API_REBOOT, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_CONTINUE2, KD_MACHINE_AMD64,
	  { "02000100 01000000 0104000000000000 01000000000000f0 02000000000000f0", "",
	    "continue_status=0x10002 trace_flag=1 dr7=0x401 "
	    "symbol_start=0xf000000000000001 symbol_end=0xf000000000000002" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_CONTINUE2, KD_MACHINE_X86,
	  { "02000100 01000000 01040000 010000f0 020000f0", "",
	    "continue_status=0x10002 trace_flag=1 dr7=0x401 symbol_start=0xf0000001 "
	    "symbol_end=0xf0000002" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_CONTINUE2, KD_MACHINE_ARM64,
	  { "02000100 01000000 01000000000000f0 02000000000000f0", "",
	    "continue_status=0x10002 trace_flag=1 symbol_start=0xf000000000000001 "
	    "symbol_end=0xf000000000000002" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_READ_PHYSICAL, KD_MACHINE_AMD64,
	  { "8877665544332211 02000000 02000000", "",
	    "address=0x1122334455667788 count=2 actual=2" }, KD_NT_UNSUCCESSFUL,
	  { "8877665544332211 02000000 01000000", "cc",
	    "address=0x1122334455667788 count=2 actual=1 data.bytes=cc" } },
	{ KD_API_WRITE_PHYSICAL, KD_MACHINE_AMD64,
	  { "8877665544332211 02000000 01000000", "aabb",
	    "address=0x1122334455667788 count=2 actual=1 data.bytes=aabb" }, KD_NT_SUCCESS,
	  { "8877665544332211 02000000 02000000", "",
	    "address=0x1122334455667788 count=2 actual=2" } },
	{ KD_API_QUERY_SPECIAL_CALLS, KD_MACHINE_AMD64,
	  { "00000000", "",
	    "n_calls=0" }, KD_NT_SUCCESS,
	  { "02000000", "8877665544332211 0100000000000080",
	    "n_calls=2 data.special_calls=88776655443322110100000000000080" } },
	{ KD_API_SET_SPECIAL_CALL, KD_MACHINE_AMD64,
	  { "8877665544332211", "",
	    "special_call=0x1122334455667788" }, KD_NT_UNSUCCESSFUL,
	  { "8877665544332211", "",
	    "special_call=0x1122334455667788" } },
	{ KD_API_CLEAR_SPECIAL_CALLS, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_UNSUCCESSFUL,
	  { "", "", "" } },
	{ KD_API_SET_INTERNAL_BREAKPOINT, KD_MACHINE_AMD64,
	  { "8877665544332211 05000000", "",
	    "address=0x1122334455667788 flags=5" }, KD_NT_UNSUCCESSFUL,
	  { "8877665544332211 05000000", "",
	    "address=0x1122334455667788 flags=5" } },
	{ KD_API_GET_INTERNAL_BREAKPOINT, KD_MACHINE_AMD64,
	  { "8877665544332211", "",
	    "address=0x1122334455667788" }, KD_NT_SUCCESS,
	  { "8877665544332211 01000000 02000000 03000000 04000000 05000000 06000000", "",
	    "address=0x1122334455667788 flags=1 calls=2 max_calls_per_period=3 "
	    "min_instructions=4 max_instructions=5 total_instructions=6" } },
	{ KD_API_READ_IO_EXTENDED, KD_MACHINE_AMD64,
	  { "04000000 01000000 00000000 01000000 f80c000000000000 00000000", "",
	    "size=4 interface_type=1 bus_number=0 address_space=1 address=0xcf8 value=0" }, KD_NT_SUCCESS,
	  { "04000000 01000000 00000000 01000000 f80c000000000000 78563412", "",
	    "size=4 interface_type=1 bus_number=0 address_space=1 address=0xcf8 "
	    "value=0x12345678" } },
	{ KD_API_WRITE_IO_EXTENDED, KD_MACHINE_AMD64,
	  { "04000000 01000000 00000000 01000000 f80c000000000000 00000080", "",
	    "size=4 interface_type=1 bus_number=0 address_space=1 address=0xcf8 "
	    "value=0x80000000" }, KD_NT_INVALID_PARAMETER,
	  { "04000000 01000000 00000000 01000000 f80c000000000000 00000080", "",
	    "size=4 value=0x80000000" } },
	{ KD_API_GET_VERSION, KD_MACHINE_AMD64,
	  { "00*40", "",
	    "major=0" }, KD_NT_SUCCESS,
	  { "0f00 614a 06 02 4700 6486 0c 03 31 01 0000 0000000000f8ffff 1000000000f8ffff "
	    "2000000000f8ffff", "",
	    "major=15 minor=19041 protocol=6 secondary=2 flags=0x47 machine=0x8664 "
	    "max_packet_type=12 max_state_change=3 max_manipulate=0x31 simulation=1 "
	    "unused=0 kern_base=0xfffff80000000000 loaded_module_list=0xfffff80000000010 "
	    "debugger_data_list=0xfffff80000000020" } },
	{ KD_API_WRITE_BREAKPOINT_EX, KD_MACHINE_AMD64,
	  { "02000000 00000000", "8877665544332211 00000000 00000000 0100000000000080 00000000 00000000",
	    "count=2 continue_status=0 write_breakpoint_entry.address=0x1122334455667788" }, KD_NT_SUCCESS,
	  { "01000000 02000100", "8877665544332211 09000000 00000000",
	    "count=1 continue_status=0x10002 "
	    "write_breakpoint_entry.address=0x1122334455667788 "
	    "write_breakpoint_entry.handle=9 write_breakpoint_entry.padding=0" } },
	{ KD_API_RESTORE_BREAKPOINT_EX, KD_MACHINE_AMD64,
	  { "03000000 00000000", "01000000 02000000 20000000",
	    "count=3 continue_status=0 restore_breakpoint_entry.handle=1" }, KD_NT_UNSUCCESSFUL,
	  { "01000000 00000000", "010000c0",
	    "count=1 restore_breakpoint_entry.handle=0xc0000001" } },
	{ KD_API_CAUSE_BUGCHECK, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_SWITCH_PROCESSOR, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_PAGE_IN, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_UNSUCCESSFUL,
	  { "", "", "" } },
	{ KD_API_READ_MSR, KD_MACHINE_AMD64,
	  { "820000c0 00000000 00000000", "",
	    "msr=0xc0000082 value_low=0 value_high=0" }, KD_NT_SUCCESS,
	  { "820000c0 78563412 02f8ffff", "",
	    "msr=0xc0000082 value_low=0x12345678 value_high=0xfffff802" } },
	{ KD_API_WRITE_MSR, KD_MACHINE_AMD64,
	  { "74010000 01000000 02000000", "",
	    "msr=0x174 value_low=1 value_high=2" }, KD_NT_NO_SUCH_DEVICE,
	  { "74010000 01000000 02000000", "",
	    "msr=0x174 value_low=1 value_high=2" } },
	{ KD_API_OLD_VLM1, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_UNSUCCESSFUL,
	  { "", "", "" } },
	{ KD_API_OLD_VLM2, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_UNSUCCESSFUL,
	  { "", "", "" } },
	{ KD_API_SEARCH_MEMORY, KD_MACHINE_AMD64,
	  { "8877665544332211 0010000000000000 02000000", "4d5a",
	    "address=0x1122334455667788 search_memory.length=0x1000 pattern_length=2 "
	    "data.pattern=4d5a" }, KD_NT_SUCCESS,
	  { "9077665544332211 0010000000000000 02000000", "",
	    "address=0x1122334455667790 search_memory.length=0x1000 pattern_length=2" } },
	{ KD_API_GET_BUS_DATA, KD_MACHINE_AMD64,
	  { "04000000 01000000 e3000000 10000000 04000000", "",
	    "bus_data_type=4 bus_number=1 slot_number=0xe3 offset=0x10 bus_data.length=4" }, KD_NT_SUCCESS,
	  { "04000000 01000000 e3000000 10000000 02000000", "8680",
	    "bus_data_type=4 bus_number=1 slot_number=0xe3 offset=0x10 bus_data.length=2 "
	    "data.bytes=8680" } },
	{ KD_API_SET_BUS_DATA, KD_MACHINE_AMD64,
	  { "04000000 01000000 e3000000 10000000 02000000", "0700",
	    "bus_data_type=4 bus_number=1 slot_number=0xe3 offset=0x10 bus_data.length=2 "
	    "data.bytes=0700" }, KD_NT_SUCCESS,
	  { "04000000 01000000 e3000000 10000000 02000000", "",
	    "bus_data.length=2" } },
	{ KD_API_CHECK_LOW_MEMORY, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { "", "", "" } },
	{ KD_API_CLEAR_INTERNAL_BREAKPOINTS, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { NULL, NULL, NULL } },
	{ KD_API_FILL_MEMORY, KD_MACHINE_AMD64,
	  { "8877665544332211 00200000 0200 0300", "909090",
	    "address=0x1122334455667788 fill_memory.length=0x2000 flags=2 pattern_length=3 "
	    "data.pattern=909090" }, KD_NT_UNSUCCESSFUL,
	  { "8877665544332211 00100000 0200 0300", "",
	    "address=0x1122334455667788 fill_memory.length=0x1000 flags=2 pattern_length=3" } },
	{ KD_API_QUERY_MEMORY, KD_MACHINE_AMD64,
	  { "8877665544332211 00*8 00000000 00000000", "",
	    "address=0x1122334455667788 reserved=0 address_space=0 flags=0" }, KD_NT_SUCCESS,
	  { "8877665544332211 00*8 02000000 07000000", "",
	    "address=0x1122334455667788 reserved=0 address_space=2 flags=7" } },
	{ KD_API_SWITCH_PARTITION, KD_MACHINE_AMD64,
	  { "01000000", "",
	    "partition=1" }, KD_NT_UNSUCCESSFUL,
	  { "01000000", "",
	    "partition=1" } },
	{ KD_API_WRITE_CUSTOM_BREAKPOINT, KD_MACHINE_AMD64,
	  { "8877665544332211 f00f0bcc00000000 00000000 03 01", "",
	    "address=0x1122334455667788 instruction=0xcc0b0ff0 handle=0 "
	    "instruction_size=3 instruction_alignment=1" }, KD_NT_SUCCESS,
	  { "8877665544332211 f00f0bcc00000000 05000000 03 01", "",
	    "address=0x1122334455667788 instruction=0xcc0b0ff0 handle=5 "
	    "instruction_size=3 instruction_alignment=1" } },
	{ KD_API_GET_CONTEXT_EX, KD_MACHINE_AMD64,
	  { "10000000 08000000 00000000", "",
	    "offset=16 count=8 copied=0" }, KD_NT_SUCCESS,
	  { "10000000 08000000 08000000", "8877665544332211",
	    "offset=16 count=8 copied=8 data.bytes=8877665544332211" } },
	{ KD_API_SET_CONTEXT_EX, KD_MACHINE_AMD64,
	  { "c8040000 08000000 d0040000", "8877665544332211",
	    "offset=0x4c8 count=8 copied=0x4d0 data.bytes=8877665544332211" }, KD_NT_SUCCESS,
	  { "c8040000 08000000 08000000", "",
	    "offset=0x4c8 count=8 copied=8" } },
	{ KD_API_WRITE_CUSTOM_BREAKPOINT_10, KD_MACHINE_AMD64,
	  { "8877665544332211 f00f0bcc00000000 00000000 03 01", "",
	    "address=0x1122334455667788 instruction=0xcc0b0ff0 handle=0 "
	    "instruction_size=3 instruction_alignment=1" }, KD_NT_SUCCESS,
	  { "8877665544332211 f00f0bcc00000000 05000000 03 01", "",
	    "handle=5" } },
	{ KD_API_READ_PHYSICAL_LONG, KD_MACHINE_AMD64,
	  { "", "", "" }, KD_NT_SUCCESS,
	  { "", "010203",
	    "data.bytes=010203" } },
};

const struct wire_payload wire_payloads[] = {
	{ "state change of x86, with trace data", KD_PACKET_STATE_CHANGE64, KD_MACHINE_X86, 1,
	  "30300000 0600 0100 02000000 ebebebeb 8877665544332211 0010000000f8ffff "
	  "050000c0 01000000 00000000ebebebeb 0010000000f8ffff 02000000 ebebebeb 01*8 "
	  "00f0ffffffffffff 00*104 00000000 ebebebeb 0ff0ffff 00040000 1000 0300 "
	  "000102030405060708090a0b0c0d0e0f 0800 2300 2300 3000 46020000 00*8 "
	  "01000000",
	  "state_change_hdr.n_processors=2 processor=1 thread=0x1122334455667788 "
	  "exception.code=0xc0000005 exception.flags=1 record=0xebebebeb00000000 "
	  "n_parameters=2 first_chance=0 report_x86.dr6=0xfffff00f report_x86.dr7=0x400 "
	  "instruction_count=16 report_flags=3 "
	  "instruction_stream=000102030405060708090a0b0c0d0e0f seg_cs=8 seg_ds=0x23 "
	  "seg_es=0x23 seg_fs=0x30 eflags=0x246 data.unnamed=01000000" },
	{ "load symbols of x86, 232 bytes and a name", KD_PACKET_STATE_CHANGE64, KD_MACHINE_X86, 1,
	  "31300000 0600 0000 01000000 eb*4 00*8 00104080ffffffff 06000000 eb*4 "
	  "0000807cffffffff 0400000000000000 45230100 00f00e00 00 eb*127 0ff0ffff "
	  "00040000 1000 0300 000102030405060708090a0b0c0d0e0f 0800 2300 2300 3000 "
	  "46020000 612e646c6c00",
	  "path_name_length=6 base=0xffffffff7c800000 process_id=4 load_symbols.checksum=0x12345 "
	  "size_of_image=0xef000 unload=0 eflags=0x246 path_name=612e646c6c00" },
	{ "state change of ARM64", KD_PACKET_STATE_CHANGE64, KD_MACHINE_ARM64, 1,
	  "30300000 0600 0100 02000000 ebebebeb 8877665544332211 0010000000f8ffff "
	  "050000c0 01000000 00000000ebebebeb 0010000000f8ffff 02000000 ebebebeb 01*8 "
	  "00f0ffffffffffff 00*104 00000000 ebebebeb 0100000000000080 0200000000000080 "
	  "04000000 0000 3ed4 00*12 00*12",
	  "report_arm64.bvr=0x8000000000000001 report_arm64.wvr=0x8000000000000002 "
	  "report_arm64.instruction_count=4 "
	  "instruction_stream=00003ed4000000000000000000000000" },
	{ "state change of ARM, 192 bytes and its report", KD_PACKET_STATE_CHANGE64, KD_MACHINE_ARM, 1,
	  "30300000 0600 0100 02000000 ebebebeb 8877665544332211 0010000000f8ffff "
	  "050000c0 01000000 00000000ebebebeb 0010000000f8ffff 02000000 ebebebeb 01*8 "
	  "00f0ffffffffffff 00*104 00000000 ebebebeb d3010060 02000000 fede 00*14",
	  "report_arm.cpsr=0x600001d3 report_arm.instruction_count=2" },
	{ "command string", KD_PACKET_STATE_CHANGE64, KD_MACHINE_AMD64, 1,
	  "323001000600000001000000 eb*4 00*8 0010000000f8ffff 050000000600000007*56 "
	  "eb*96 00*48 647276 00 2e6563686f20686900",
	  "new_state=0x13032 command_string.flags=5 reserved1=6 "
	  "data.unnamed=647276002e6563686f20686900" },
	{ "state nobody knows", KD_PACKET_STATE_CHANGE64, KD_MACHINE_AMD64, 1,
	  "39300000 0600 0000 01000000 eb*4 00*8 00*8 eb*160 cd*10",
	  "new_state=0x3039 "
	  "state_change_hdr.unnamed=eb*160" },
	{ "exception of the 32-bit protocol", KD_PACKET_STATE_CHANGE32, KD_MACHINE_X86, 1,
	  "30300000 0500 0000 01000000 00f0df80 00104080 03000080 00000000 00000000 "
	  "00104080 01000000 00*60 01000000 cc*20",
	  "state_change32_hdr.n_processors=1 state_change32_hdr.thread=0x80dff000 "
	  "state_change32_hdr.program_counter=0x80401000 exception32.code=0x80000003 "
	  "exception32.address=0x80401000 n_parameters=1 first_chance=1" },
	{ "load symbols of the 32-bit protocol", KD_PACKET_STATE_CHANGE32, KD_MACHINE_X86, 1,
	  "31300000 0500 0000 01000000 00*4 00104080 06000000 00004080 ffffffff "
	  "11000000 00001900 01 eb*63 612e65786500",
	  "load_symbols32.path_name_length=6 base=0x80400000 process_id=0xffffffff "
	  "load_symbols32.checksum=17 size_of_image=0x190000 unload=1" },
	{ "prompt", KD_PACKET_DEBUG_IO, KD_MACHINE_AMD64, 0,
	  "31320000 0600 0100 05000000 02000000 6269703f20",
	  "api=0x3231 processor=1 length_of_string=5 length_of_string_read=2 "
	  "text=6269703f20" },
	{ "answer with bytes behind it", KD_PACKET_DEBUG_IO, KD_MACHINE_AMD64, 1,
	  "31320000 0600 0100 05000000 01000000 6700",
	  "length_of_string_read=1 data.text=67 data.unnamed=00" },
	{ "print of an old stub: 12-byte header", KD_PACKET_DEBUG_IO, KD_MACHINE_X86, 1,
	  "30320000 0600 0000 03000000 48690a",
	  "length_of_string=3 data.text=48690a" },
	{ "print that nobody knows", KD_PACKET_DEBUG_IO, KD_MACHINE_X86, 1,
	  "34320000 0600 0000 03000000 04000000 48690a00",
	  "data.text=48690a00" },
	{ "file read request", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 0,
	  "31340000 00000000 8877665544332211 0010000000000000 03000000 eb*36",
	  "api=0x3431 status=0 handle=0x1122334455667788 offset=0x1000 "
	  "file_transfer.length=3" },
	{ "file read reply", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 1,
	  "31340000 00000000 8877665544332211 0010000000000000 03000000 eb*36 4d5a90",
	  "api=0x3431 file_transfer.length=3 data.bytes=4d5a90" },
	{ "file write request", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 0,
	  "32340000 00000000 8877665544332211 0010000000000000 03000000 eb*36 010203",
	  "api=0x3432 offset=0x1000 file_transfer.length=3 data.bytes=010203" },
	{ "file write reply", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 1,
	  "32340000 110000c0 8877665544332211 0010000000000000 03000000 eb*36",
	  "api=0x3432 status=0xc0000011" },
	{ "file close request", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 0,
	  "33340000 00000000 8877665544332211 eb*48",
	  "api=0x3433 file_close.handle=0x1122334455667788" },
	{ "file create reply", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 1,
	  "30340000 00000000 89001200 80000000 01000000 01000000 20000000 ebebebeb "
	  "0100000000000000 0000010000000000 eb*16",
	  "file_create.create_options=0x20 file_create.handle=1 "
	  "file_create.length=0x10000" },
	{ "file request nobody knows", KD_PACKET_FILE_IO, KD_MACHINE_AMD64, 0,
	  "39340000 00000000 eb*56 0102",
	  "data.bytes=0102" },
	{ "trace", KD_PACKET_TRACE_IO, KD_MACHINE_AMD64, 1,
	  "30330000 0600 0200 04000000 eb*52 d0d1d2d3",
	  "api=0x3330 processor=2 length_of_data=4 data.bytes=d0d1d2d3" },
	{ "request for a debug register", KD_PACKET_CONTROL_REQUEST, KD_MACHINE_AMD64, 0,
	  "00430000 02000000 00000000",
	  "api=0x4300 hardware_breakpoint_number=2 available=0" },
	{ "its answer", KD_PACKET_CONTROL_REQUEST, KD_MACHINE_AMD64, 1,
	  "01430000 03000000 01000000",
	  "api=0x4301 hardware_breakpoint_number=3 available=1" },
	{ "16-byte refusal of a stub", KD_PACKET_STATE_MANIPULATE, KD_MACHINE_AMD64, 1,
	  "56310000 0000 0000 020000c0 00000000",
	  "api=0x3156 return_status=0xc0000002" },
	{ "call nobody knows", KD_PACKET_STATE_MANIPULATE, KD_MACHINE_AMD64, 0,
	  "99310000 0600 0000 00000000 00000000 cd*40 010203",
	  "api=0x3199 "
	  "manipulate_hdr.unnamed=cd*40 "
	  "data.bytes=010203" },
	{ "version of the 32-bit protocol", KD_PACKET_STATE_MANIPULATE, KD_MACHINE_X86, 1,
	  "46310000 0500 0000 00*4 00*4 0000 0905 0400 0000 00*32",
	  "api=0x3146 major=0 minor=0x509" },
};
/* clang-format on */

const size_t n_wire_payloads = sizeof(wire_payloads) / sizeof(wire_payloads[0]);
const size_t n_wire_rows = sizeof(wire_rows) / sizeof(wire_rows[0]);

size_t wire_row_payload(uint8_t out[WIRE_ROW_MAX], const struct wire_row *row, int is_reply)
{
	const struct wire_half *half = is_reply ? &row->reply : &row->request;

	memset(out, 0xEB, 56);
	kd_put32(out, row->api);
	kd_put16(out + 4, 6);
	kd_put16(out + 6, 1);
	kd_put32(out + 8, is_reply ? row->status : KD_NT_PENDING);
	wire_hex(out + 16, 40, half->member);
	return 56 + wire_hex(out + 56, WIRE_ROW_MAX - 56, half->data);
}
