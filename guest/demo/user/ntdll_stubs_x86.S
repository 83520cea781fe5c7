/* SPDX-License-Identifier: MIT */
/* ntdll.dll: system call stubs as XP and Server 2003 have them, through the shared page. */
#include "guest/demo/ntos/inc/services.h"

	.set SHARED_SYSTEM_CALL, 0x7FFE0300

.macro FUNCTION name
	.p2align 4
	.def \name; .scl 2; .type 32; .endef
	.globl \name
\name:
.endm

.macro STUB name, number, bytes
FUNCTION _\name@\bytes
	mov $\number, %eax
	mov $SHARED_SYSTEM_CALL, %edx
	call *(%edx)
	ret $\bytes
.endm

	.text
STUB NtYieldExecution, SERVICE_YIELD_EXECUTION, 0
STUB NtDelayExecution, SERVICE_DELAY_EXECUTION, 8
STUB NtTerminateProcess, SERVICE_TERMINATE_PROCESS, 8
STUB NtDisplayString, SERVICE_DISPLAY_STRING, 4
STUB NtQuerySystemTime, SERVICE_QUERY_SYSTEM_TIME, 4
STUB NtGetCurrentProcessorNumber, SERVICE_PROCESSOR_NUMBER, 0
STUB NtQueryDemoCommand, SERVICE_QUERY_DEMO_COMMAND, 4
STUB NtWriteDevice, SERVICE_WRITE_DEVICE, 16
STUB NtOpenFile, SERVICE_OPEN_FILE, 24
STUB NtDeviceIoControlFile, SERVICE_DEVICE_IO_CONTROL, 40
STUB NtClose, SERVICE_CLOSE, 4

FUNCTION _KiFastSystemCall@0
	mov %esp, %edx
	sysenter

FUNCTION _KiFastSystemCallRet@0
	ret

FUNCTION _DbgBreakPoint@0
	int3
	ret
