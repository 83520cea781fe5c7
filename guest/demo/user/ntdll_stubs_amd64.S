/* SPDX-License-Identifier: MIT */
/* ntdll.dll: system call stubs, and the first user-mode frame of every thread. */
#include "guest/demo/ntos/inc/services.h"

.macro STUB name, number
	.p2align 4
	.def \name; .scl 2; .type 32; .endef
	.globl \name
\name:
	mov %rcx, %r10
	mov $\number, %eax
	syscall
	ret
.endm

	.text
STUB NtYieldExecution, SERVICE_YIELD_EXECUTION
STUB NtDelayExecution, SERVICE_DELAY_EXECUTION
STUB NtTerminateProcess, SERVICE_TERMINATE_PROCESS
STUB NtDisplayString, SERVICE_DISPLAY_STRING
STUB NtQuerySystemTime, SERVICE_QUERY_SYSTEM_TIME
STUB NtGetCurrentProcessorNumber, SERVICE_PROCESSOR_NUMBER
STUB NtQueryDemoCommand, SERVICE_QUERY_DEMO_COMMAND
STUB NtWriteDevice, SERVICE_WRITE_DEVICE
STUB NtOpenFile, SERVICE_OPEN_FILE
STUB NtDeviceIoControlFile, SERVICE_DEVICE_IO_CONTROL
STUB NtClose, SERVICE_CLOSE

	.p2align 4
	.def DbgBreakPoint; .scl 2; .type 32; .endef
	.globl DbgBreakPoint
DbgBreakPoint:
	int3
	ret
