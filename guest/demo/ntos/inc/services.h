/* SPDX-License-Identifier: MIT */
/* System service numbers; for the kernel's table and ntdll's stubs (C and assembly). */
#ifndef KD_DEMO_SERVICES_H
#define KD_DEMO_SERVICES_H

#define SERVICE_YIELD_EXECUTION    0
#define SERVICE_DELAY_EXECUTION    1
#define SERVICE_TERMINATE_PROCESS  2
#define SERVICE_DISPLAY_STRING     3
#define SERVICE_QUERY_SYSTEM_TIME  4
#define SERVICE_PROCESSOR_NUMBER   5
#define SERVICE_QUERY_DEMO_COMMAND 6
#define SERVICE_WRITE_DEVICE       7
#define SERVICE_OPEN_FILE          8
#define SERVICE_DEVICE_IO_CONTROL  9
#define SERVICE_CLOSE              10
#define SERVICE_COUNT              11

#endif
