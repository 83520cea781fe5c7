/* SPDX-License-Identifier: MIT */
/* Machines as JSON (docs/schema/vm.schema.json), and that as text. */
#ifndef APPS_KDMON_SHOW_H
#define APPS_KDMON_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include <openkd/relay.h>
#include <openkd/vm.h>

/* New references. */
json_t *show_vm(const struct kd_vm *vm);
/* {"vms": [...], "problems": [...]} */
json_t *show_list(const struct kd_vm_list *list);
json_t *show_counters(const struct kd_vm_counters *c); /* null when nobody counts */

/* {"ok": true, ...} to be completed; {"ok": false, "status": "...", "error": "..."} */
json_t *show_ok(void);
/* A failure if nothing in it runs that could stop; NULL: it may. */
json_t *show_cannot_stop(const struct kd_vm *vm);
json_t *show_failure(enum kd_status status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
json_t *show_error(enum kd_status status, const struct kd_error *err);

/* For people: the table of a list, all about a machine. */
void show_table(FILE *to, json_t *list);
void show_details(FILE *to, json_t *vm);

/* The member of that name as text, "" when it is none. */
const char *show_text(json_t *object, const char *name);
/* "12.3 MB" of bytes, "1.2 ms" of nanoseconds. */
const char *show_bytes(json_int_t n, char *buffer, size_t size);
const char *show_time(json_int_t ns, char *buffer, size_t size);

#endif
