/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/changes.h"

#include <string.h>

#include "apps/kdmon/show.h"

static json_t *find(json_t *list, const char *id)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(list, "vms"), i,
			   row) if (strcmp(show_text(row, "id"), id) == 0) return row;
	return NULL;
}

static void tell(const char *kind, json_t *vm, const char *text,
		 void (*fn)(void *context, json_t *event), void *context)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:s}", "event", kind, "vm",
				  show_text(vm, "name"), "id", show_text(vm, "id"), "text", text);

	if (event)
		fn(context, event);
	json_decref(event);
}

static const char *debugger_of(json_t *vm)
{
	return show_text(json_object_get(vm, "debugger"), "kind");
}

static void compare(json_t *old, json_t *vm, void (*fn)(void *context, json_t *event),
		    void *context)
{
	if (!old) {
		tell("appeared", vm, show_text(vm, "state"), fn, context);
		return;
	}
	if (strcmp(show_text(old, "state"), show_text(vm, "state")) != 0)
		tell("state", vm, show_text(vm, "state"), fn, context);
	if (strcmp(debugger_of(old), debugger_of(vm)) != 0)
		tell("debugger", vm, debugger_of(vm), fn, context);
}

void changes_between(json_t *before, json_t *now, void (*fn)(void *context, json_t *event),
		     void *context)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(now, "vms"), i, row)
		compare(find(before, show_text(row, "id")), row, fn, context);
	json_array_foreach(json_object_get(before, "vms"), i,
			   row) if (!find(now, show_text(row, "id")))
		tell("gone", row, "", fn, context);
}
