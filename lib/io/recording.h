/* SPDX-License-Identifier: MIT */
/* The words of a recorded session: docs/recording-format.md. Blocks without bytes carry them. */
#ifndef KD_LIB_IO_RECORDING_H
#define KD_LIB_IO_RECORDING_H

#define KD__RECORDING_COMMENT     "KD byte stream: docs/recording-format.md of OpenKD"
#define KD__RECORDING_DESCRIPTION "KD over a byte stream; inbound is target to debugger"
#define KD__RECORDING_UP          "link up"
#define KD__RECORDING_DOWN        "link down" /* followed by ": why" */

#endif
