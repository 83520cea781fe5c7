/* SPDX-License-Identifier: MIT */
/* Service numbers of int 2Dh (eax, and ExceptionInformation[0]); for C and assembly. */
#ifndef KD_DEMO_KDSERVICE_H
#define KD_DEMO_KDSERVICE_H

#define BREAKPOINT_BREAK          0
#define BREAKPOINT_PRINT          1 /* rcx buffer, edx length, r8 component, r9 level */
#define BREAKPOINT_PROMPT         2 /* rcx prompt, edx length, r8 answer buffer, r9 its size; eax */
#define BREAKPOINT_LOAD_SYMBOLS   3 /* rcx STRING*, rdx KD_SYMBOLS_INFO* */
#define BREAKPOINT_UNLOAD_SYMBOLS 4 /* likewise */
#define BREAKPOINT_COMMAND_STRING 5 /* rcx STRING* name, rdx STRING* command */

#endif
