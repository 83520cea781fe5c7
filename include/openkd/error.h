/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Names for statuses. The statuses themselves are in <openkd/status.h>.
 */
#ifndef OPENKD_ERROR_H
#define OPENKD_ERROR_H

#include <openkd/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The status in words, without a trailing dot: "no answer in time".
 *
 * @return a static string, never NULL; "unknown status" for numbers that are not in the table.
 * @owns nothing   @threads any   @blocks never
 */
const char *kd_status_text(enum kd_status status);

/** The status' name in the table: "TIMEOUT"; "OK" for KD_OK. As kd_status_text() otherwise. */
const char *kd_status_name(enum kd_status status);

/**
 * Version of the library, "0.1.0".
 *
 * @owns nothing   @threads any   @blocks never
 */
const char *kd_library_version(void);

#ifdef __cplusplus
}
#endif

#endif
