/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include <openkd/error.h>

#include "apps/kd/text.h"

/* --- JSON --- */

static void put_text(json_t *o, const char *name, const char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(o, name, value ? value : json_string("?")); /* not UTF-8 */
}

static void put_number(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

json_t *show_counters(const struct kd_vm_counters *c)
{
	json_t *o;

	if (!c->is_known)
		return json_null();
	o = json_object();
#define PUT(field) put_number(o, #field, c->field)
	PUT(rx_packets);
	PUT(tx_packets);
	PUT(rx_bytes);
	PUT(tx_bytes);
	PUT(resyncs);
	PUT(resends);
	PUT(stops);
	PUT(prints);
	PUT(round_trip_ns_median);
	PUT(round_trip_ns_p99);
#undef PUT
	return o;
}

static json_t *show_debugger(const struct kd_vm *vm)
{
	json_t *o = json_object();

	put_text(o, "kind", kd_vm_debugger_name(vm->debugger));
	put_number(o, "pid", (uint64_t)vm->debugger_pid);
	put_text(o, "program", vm->debugger_name);
	return o;
}

json_t *show_vm(const struct kd_vm *vm)
{
	json_t *o = json_object(), *obstacles = json_array();

	put_text(o, "name", vm->name);
	put_text(o, "id", vm->id);
	put_text(o, "source", kd_vm_source_name(vm->source));
	put_text(o, "connection", vm->connection);
	put_text(o, "state", kd_vm_state_name(vm->state));
	put_number(o, "pid", (uint64_t)vm->pid);
	put_text(o, "endpoint", vm->endpoint);
	put_text(o, "port", vm->port);
	json_object_set_new(o, "debugger", show_debugger(vm));
	put_text(o, "session", vm->session);
	put_text(o, "session_state", vm->session_state);
	put_text(o, "memory", vm->memory);
	put_text(o, "os", vm->os);
	json_object_set_new(o, "counters", show_counters(&vm->counters));
	for (size_t i = 0; i < vm->n_obstacles; i++)
		json_array_append_new(obstacles, json_string(vm->obstacles[i]));
	json_object_set_new(o, "obstacles", obstacles);
	json_object_set_new(o, "proxy", json_null());
	return o;
}

json_t *show_list(const struct kd_vm_list *list)
{
	json_t *o = json_object(), *vms = json_array(), *problems = json_array();
	const char *problem;

	for (size_t i = 0; i < kd_vm_list_size(list); i++)
		json_array_append_new(vms, show_vm(kd_vm_list_get(list, i)));
	for (size_t i = 0; (problem = kd_vm_list_problem(list, i)); i++)
		json_array_append_new(problems, json_string(problem));
	json_object_set_new(o, "vms", vms);
	json_object_set_new(o, "problems", problems);
	return o;
}

json_t *show_ok(void)
{
	json_t *o = json_object();

	json_object_set_new(o, "ok", json_true());
	return o;
}

json_t *show_failure(enum kd_status status, const char *fmt, ...)
{
	json_t *o = json_object();
	struct text t = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_vprintf(&t, fmt, ap);
	va_end(ap);
	json_object_set_new(o, "ok", json_false());
	put_text(o, "status", kd_status_name(status));
	put_text(o, "error", text_string(&t));
	text_free(&t);
	return o;
}

json_t *show_cannot_stop(const struct kd_vm *vm)
{
	if (vm->state == KD_VM_PAUSED)
		return show_failure(KD_E_UNSUPPORTED,
				    "%s is paused, and would stop only when it runs: kdmon resume "
				    "%s first",
				    vm->name, vm->name);
	if (vm->state == KD_VM_CRASHED)
		return show_failure(KD_E_UNSUPPORTED,
				    "%s has crashed, and nothing runs in it: kdmon reset %s",
				    vm->name, vm->name);
	return NULL;
}

json_t *show_error(enum kd_status status, const struct kd_error *err)
{
	return show_failure(status, "%s", err->text[0] ? err->text : kd_status_text(status));
}

/* --- text --- */

const char *show_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static json_int_t number_of(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *show_bytes(json_int_t n, char *buffer, size_t size)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	double value = (double)n;
	size_t unit = 0;

	for (; value >= 1000 && unit + 1 < APP_ARRAY_LEN(units); unit++)
		value /= 1000;
	snprintf(buffer, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buffer;
}

const char *show_time(json_int_t ns, char *buffer, size_t size)
{
	if (ns < 1000000)
		snprintf(buffer, size, "%.1f us", (double)ns / 1e3);
	else
		snprintf(buffer, size, "%.1f ms", (double)ns / 1e6);
	return buffer;
}

/* "kd (4711), stopped" */
static void who(json_t *vm, char *out, size_t size)
{
	json_t *debugger = json_object_get(vm, "debugger"), *proxy = json_object_get(vm, "proxy");
	const char *kind = show_text(debugger, "kind"), *state = show_text(vm, "session_state");
	json_int_t pid = number_of(debugger, "pid");

	if (json_is_object(proxy)) {
		bool has_client = json_is_true(json_object_get(proxy, "has_client"));

		snprintf(out, size, "proxy, %s%s", has_client ? "attached" : "free",
			 json_is_true(json_object_get(proxy, "is_stopped")) ? ", stopped" : "");
		return;
	}
	if (!strcmp(kind, "none") || !strcmp(kind, "unknown"))
		snprintf(out, size, "%s", !strcmp(kind, "none") ? "-" : "?");
	else if (pid)
		snprintf(out, size, "%s (%" JSON_INTEGER_FORMAT ")%s%s",
			 *show_text(debugger, "program") ? show_text(debugger, "program") : kind,
			 pid, *state ? ", " : "", state);
	else
		snprintf(out, size, "%s", kind);
}

static void show_row(FILE *to, json_t *vm)
{
	json_t *c = json_object_get(vm, "counters");
	char debugger[64], packets[48] = "?", trip[24] = "";

	who(vm, debugger, sizeof(debugger));
	if (json_is_object(c)) {
		snprintf(packets, sizeof(packets), "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
			 number_of(c, "rx_packets"), number_of(c, "tx_packets"));
		show_time(number_of(c, "round_trip_ns_median"), trip, sizeof(trip));
	}
	fprintf(to, "%-20s %-10s %-8s %-24s %-15s %-10s %s%s\n", show_text(vm, "name"),
		show_text(vm, "source"), show_text(vm, "state"), debugger, packets, trip,
		*show_text(vm, "endpoint") ? show_text(vm, "endpoint") : "-",
		json_array_size(json_object_get(vm, "obstacles")) ? "  (!)" : "");
}

void show_table(FILE *to, json_t *list)
{
	json_t *vms = json_object_get(list, "vms"), *row;
	bool any_obstacle = false;
	size_t i;

	if (!json_array_size(vms))
		fprintf(to, "No VM found, and no target in the configuration file.\n");
	else
		fprintf(to, "%-20s %-10s %-8s %-24s %-15s %-10s %s\n", "NAME", "SOURCE", "STATE",
			"DEBUGGER", "PACKETS IN/OUT", "TRIP", "ENDPOINT");
	json_array_foreach(vms, i, row)
	{
		show_row(to, row);
		any_obstacle |= json_array_size(json_object_get(row, "obstacles")) > 0;
	}
	if (any_obstacle)
		fprintf(to, "(!) something is in the way: kdmon status NAME\n");
	json_array_foreach(json_object_get(list, "problems"), i, row)
		fprintf(to, "%s\n", json_string_value(row));
}

static void line(FILE *to, const char *name, const char *value)
{
	if (*value)
		fprintf(to, "  %-12s %s\n", name, value);
}

static void show_memory(FILE *to, const char *memory)
{
	line(to, "memory",
	     strcmp(memory, "private") == 0
		     ? "private to its process; faster when shared: -object "
		       "memory-backend-memfd,id=ram,size=SIZE,share=on -machine memory-backend=ram "
		       "(libvirt: <memoryBacking><source type='memfd'/><access mode='shared'/>)"
		     : memory);
}

static void show_numbers(FILE *to, json_t *c)
{
	char in[24], out[24], median[24], p99[24];

	if (!json_is_object(c)) {
		line(to, "counters",
		     "unknown: neither a session of kd nor a proxy is there to count");
		return;
	}
	fprintf(to,
		"  %-12s %" JSON_INTEGER_FORMAT " packets in (%s), %" JSON_INTEGER_FORMAT
		" out (%s)\n",
		"traffic", number_of(c, "rx_packets"),
		show_bytes(number_of(c, "rx_bytes"), in, sizeof(in)), number_of(c, "tx_packets"),
		show_bytes(number_of(c, "tx_bytes"), out, sizeof(out)));
	fprintf(to,
		"  %-12s %" JSON_INTEGER_FORMAT " stops, %" JSON_INTEGER_FORMAT
		" prints, %" JSON_INTEGER_FORMAT " resyncs, %" JSON_INTEGER_FORMAT " resends\n",
		"", number_of(c, "stops"), number_of(c, "prints"), number_of(c, "resyncs"),
		number_of(c, "resends"));
	fprintf(to, "  %-12s median %s, 99 %% within %s\n", "round trip",
		show_time(number_of(c, "round_trip_ns_median"), median, sizeof(median)),
		show_time(number_of(c, "round_trip_ns_p99"), p99, sizeof(p99)));
}

void show_details(FILE *to, json_t *vm)
{
	json_t *proxy = json_object_get(vm, "proxy"), *row;
	char debugger[64], pid[24] = "";
	size_t i;

	who(vm, debugger, sizeof(debugger));
	if (number_of(vm, "pid"))
		snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, number_of(vm, "pid"));
	fprintf(to, "%s (%s)\n", show_text(vm, "name"), show_text(vm, "source"));
	line(to, "id", show_text(vm, "id"));
	line(to, "connection", show_text(vm, "connection"));
	line(to, "state", show_text(vm, "state"));
	line(to, "process", pid);
	line(to, "os", show_text(vm, "os"));
	show_memory(to, show_text(vm, "memory"));
	line(to, "debug port", *show_text(vm, "port") ? show_text(vm, "port") : "none");
	if (strcmp(show_text(vm, "port"), show_text(vm, "endpoint")) != 0)
		line(to, "attach to", show_text(vm, "endpoint"));
	line(to, "debugger", debugger);
	line(to, "session", show_text(vm, "session"));
	if (json_is_object(proxy)) {
		line(to, "road", show_text(proxy, "road"));
		line(to, "log", show_text(proxy, "log"));
		line(to, "trouble", show_text(proxy, "trouble"));
		line(to, "log trouble", show_text(proxy, "log_trouble"));
	}
	show_numbers(to, json_object_get(vm, "counters"));
	json_array_foreach(json_object_get(vm, "obstacles"), i, row)
		line(to, "in the way", json_string_value(row));
}
