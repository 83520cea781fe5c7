/* SPDX-License-Identifier: MIT */
/* What is different between two lists of machines, as events: docs/schema/monitor-event.schema.json
 */
#ifndef APPS_KDMON_CHANGES_H
#define APPS_KDMON_CHANGES_H

#include <jansson.h>

/*
 * Calls `fn` with each event (a borrowed reference): appeared, gone, state, debugger. `before`
 * NULL: the first list, all of it appears.
 */
void changes_between(json_t *before, json_t *now, void (*fn)(void *context, json_t *event),
		     void *context);

#endif
