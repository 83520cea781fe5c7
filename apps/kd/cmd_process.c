/* SPDX-License-Identifier: MIT */
/* !process, !thread, .process, .thread, !running, ~ */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openkd/module.h>
#include <openkd/process.h>
#include <openkd/register.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/stack.h"

/* Bits of !process' and !thread's flags. */
enum { SHOW_TIMES = 1, SHOW_THREADS = 2, SHOW_STACKS = 4 };
enum { PROCESSES_MAX = 16384, THREADS_MAX = 16384, THREAD_FRAMES = 0x20, BAR = 0x10000 };

/* --- one process, one thread --- */

static json_t *put_process(json_t *list, const struct kd_process *p)
{
	json_t *o = data_append_object(list);

	data_address(o, "address", p->address);
	data_integer(o, "pid", (long long)p->pid);
	data_integer(o, "parent_pid", (long long)p->parent_pid);
	data_string(o, "image", p->image);
	data_address(o, "directory_base", p->directory_base);
	data_address(o, "peb", p->peb);
	data_address(o, "object_table", p->object_table);
	data_integer(o, "handle_count", p->handle_count);
	data_integer(o, "session_id", p->session_id);
	return o;
}

static void show_process(struct call *call, const struct kd_process *p, uint64_t flags)
{
	struct out *o = call->out;

	out_printf(o, "PROCESS %s\n", value_register(p->address, call->con->pointer_size).s);
	if (p->session_id == UINT32_MAX)
		out_printf(o, "    SessionId: none  ");
	else
		out_printf(o, "    SessionId: %u  ", p->session_id);
	out_printf(o, "Cid: %04llx    Peb: %s  ParentCid: %04llx\n", (unsigned long long)p->pid,
		   value_register(p->peb, p->peb > UINT32_MAX ? 8 : 4).s,
		   (unsigned long long)p->parent_pid);
	out_printf(o, "    DirBase: %08llx  ObjectTable: %s  HandleCount: %u.\n",
		   (unsigned long long)p->directory_base,
		   value_register(p->object_table, call->con->pointer_size).s, p->handle_count);
	out_printf(o, "    Image: %s\n", p->image);
	if (flags & SHOW_TIMES)
		out_printf(o, "    Threads: %u\n", p->n_threads);
	if (p->is_guess)
		out_printf(o, "    (offsets of this structure are a guess: the kernel's PDB is "
			      "missing)\n");
	out_printf(o, "\n");
}

static void put_thread(json_t *list, const struct kd_thread *t)
{
	json_t *o = data_append_object(list);

	data_address(o, "address", t->address);
	data_integer(o, "pid", (long long)t->pid);
	data_integer(o, "tid", (long long)t->tid);
	data_address(o, "process", t->process);
	data_address(o, "teb", t->teb);
	data_string(o, "state", kd_thread_state_name(t->state));
	data_string(o, "wait_reason", kd_thread_wait_reason_name(t->wait_reason));
	data_integer(o, "priority", t->priority);
	data_bool(o, "is_running", t->is_running);
	if (o)
		json_object_set_new(o, "processor",
				    t->is_running ? json_integer(t->processor) : json_null());
	data_address(o, "start_address", t->start_address);
	data_address(o, "win32_start_address", t->win32_start_address);
	data_address(o, "stack_base", t->stack_base);
	data_address(o, "stack_limit", t->stack_limit);
	data_integer(o, "context_switches", t->context_switches);
}

static void show_thread_line(struct call *call, const struct kd_thread *t)
{
	unsigned size = call->con->pointer_size;

	out_printf(call->out, "THREAD %s  Cid %04llx.%04llx  Teb: %s  ",
		   value_register(t->address, size).s, (unsigned long long)t->pid,
		   (unsigned long long)t->tid, value_register(t->teb, size).s);
	if (t->is_running)
		out_printf(call->out, "RUNNING on processor %x\n", t->processor);
	else if (strcmp(kd_thread_state_name(t->state), "Waiting") == 0)
		out_printf(call->out, "WAIT: (%s)\n", kd_thread_wait_reason_name(t->wait_reason));
	else
		out_printf(call->out, "%s\n", kd_thread_state_name(t->state));
}

static void show_thread_details(struct call *call, const struct kd_thread *t)
{
	struct out *o = call->out;
	struct console *c = call->con;

	out_printf(o, "    Owning Process %s\n", value_register(t->process, c->pointer_size).s);
	out_printf(o, "    Context Switch Count %u\n", t->context_switches);
	if (t->win32_start_address)
		out_printf(o, "    Win32 Start Address %s (0x%s)\n",
			   symbol_of(c, t->win32_start_address).s,
			   value_register(t->win32_start_address, c->pointer_size).s);
	if (t->start_address)
		out_printf(o, "    Start Address %s (0x%s)\n", symbol_of(c, t->start_address).s,
			   value_register(t->start_address, c->pointer_size).s);
	out_printf(o, "    Stack Init %s Current %s\n", addr(c, t->initial_stack).s,
		   addr(c, t->kernel_stack).s);
	out_printf(o, "    Base %s Limit %s\n", addr(c, t->stack_base).s,
		   addr(c, t->stack_limit).s);
	out_printf(o, "    Priority %u\n", t->priority);
}

/* The stack of a thread that may not be the current one. */
static void show_thread_stack(struct call *call, const struct kd_thread *t)
{
	struct kd_error err = { 0 };
	uint32_t before = kd_session_processor(call->session);
	bool elsewhere = t->is_running && t->processor != before;

	if (elsewhere && kd_session_select_processor(call->session, t->processor, &err) != KD_OK)
		return;
	if (!t->is_running && kd_thread_set(call->session, t->address, &err) != KD_OK) {
		out_printf(call->out, "    (no stack: %s)\n\n", err.text);
		return;
	}
	stack_show(call, THREAD_FRAMES);
	out_printf(call->out, "\n");
	if (!t->is_running)
		kd_thread_set(call->session, 0, NULL);
	if (elsewhere)
		kd_session_select_processor(call->session, before, NULL);
}

static void show_thread(struct call *call, const struct kd_thread *t, uint64_t flags)
{
	show_thread_line(call, t);
	if (flags & SHOW_THREADS)
		show_thread_details(call, t);
	if (flags & SHOW_STACKS)
		show_thread_stack(call, t);
}

/* --- lists: collected first, so that showing one may read memory --- */

struct threads {
	struct kd_thread *items;
	size_t n;
};

static bool keep_thread(void *context, const struct kd_thread *t)
{
	struct threads *list = context;

	list->items[list->n++] = *t;
	return list->n < THREADS_MAX;
}

static enum kd_status show_threads(struct call *call, uint64_t eprocess, uint64_t flags,
				   json_t *list)
{
	struct threads threads = { app_alloc(THREADS_MAX * sizeof(struct kd_thread)), 0 };
	enum kd_status s = kd_thread_enumerate(call->session, eprocess, keep_thread, &threads,
					       call->err);

	for (size_t i = 0; i < threads.n && !console_interrupted(call->con); i++) {
		out_printf(call->out, "        ");
		show_thread(call, &threads.items[i], flags & (SHOW_THREADS | SHOW_STACKS));
		put_thread(list, &threads.items[i]);
	}
	free(threads.items);
	return s;
}

struct processes {
	struct kd_process *items;
	size_t n;
};

static bool keep_process(void *context, const struct kd_process *p)
{
	struct processes *list = context;

	list->items[list->n++] = *p;
	return list->n < PROCESSES_MAX;
}

static enum kd_status read_processes(struct call *call, struct processes *list)
{
	*list = (struct processes){ app_alloc(PROCESSES_MAX * sizeof(struct kd_process)), 0 };
	return kd_process_enumerate(call->session, keep_process, list, call->err);
}

static enum kd_status show_one(struct call *call, const struct kd_process *p, uint64_t flags,
			       json_t *list)
{
	json_t *o = put_process(list, p), *threads = NULL;

	show_process(call, p, flags);
	if (!(flags & (SHOW_THREADS | SHOW_STACKS)))
		return KD_OK;
	if (o) {
		threads = json_array();
		json_object_set_new(o, "threads", threads);
	}
	return show_threads(call, p->address, flags, threads);
}

/* --- !process --- */

/* 0: all. Otherwise a PID below the bar, an EPROCESS above it. `image` NULL: any. */
static bool is_wanted(const struct kd_process *p, uint64_t which, const char *image)
{
	if (which && which < BAR && p->pid != which)
		return false;
	/* ImageFileName holds 15 characters of a longer name. */
	return !image || strncasecmp(p->image, image, 15) == 0;
}

static enum kd_status show_matching(struct call *call, uint64_t which, uint64_t flags,
				    const char *image)
{
	struct processes list;
	json_t *data = call_array(call);
	enum kd_status s = read_processes(call, &list), first = s;
	size_t shown = 0;

	if (which == 0 && !image)
		out_printf(call->out, "**** NT ACTIVE PROCESS DUMP ****\n");
	/* A damaged list is shown as far as it goes. */
	if (s == KD_E_MALFORMED)
		s = KD_OK;
	for (size_t i = 0; s == KD_OK && i < list.n; i++) {
		if (!is_wanted(&list.items[i], which, image))
			continue;
		shown++;
		s = show_one(call, &list.items[i], flags, data);
		if (console_interrupted(call->con))
			s = call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	free(list.items);
	if (s == KD_OK && first == KD_OK && shown == 0)
		return call_fail(call, KD_E_NOT_FOUND, "no such process; !process 0 0 lists all");
	return s == KD_OK ? first : s;
}

static enum kd_status show_address(struct call *call, uint64_t address, uint64_t flags)
{
	struct kd_process p;
	enum kd_status s;

	if (address == UINT64_MAX)
		s = kd_process_current(call->session, &p, call->err);
	else
		s = kd_process_read(call->session, address, &p, call->err);
	return s == KD_OK ? show_one(call, &p, flags, call_array(call)) : s;
}

static enum kd_status run_process(struct call *call)
{
	uint64_t which = UINT64_MAX, flags;
	bool has_which = !args_at_end(&call->args);
	char image[64], *name = NULL;
	enum kd_status s = KD_OK;

	if (has_which && args_take(&call->args, "-1"))
		which = UINT64_MAX;
	else if (has_which)
		s = args_value(&call->args, &which);
	flags = which == 0 ? 0 : SHOW_TIMES;
	if (s == KD_OK && !args_at_end(&call->args))
		s = args_value(&call->args, &flags);
	if (s != KD_OK)
		return s;
	if (flags > 7)
		return call_fail(call, KD_E_INVALID,
				 "flags are 0 to 7: 1 counts, 2 threads, 4 their stacks");
	if (args_word(&call->args, image, sizeof(image)))
		name = image;
	s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (which < BAR)
		return show_matching(call, which, flags, name);
	return show_address(call, which, flags);
}

/* --- !thread, !running, ~ --- */

static enum kd_status run_thread(struct call *call)
{
	struct kd_thread t;
	uint64_t address, flags;
	enum kd_status s;

	if (args_at_end(&call->args) || args_take(&call->args, "-1"))
		s = kd_thread_current(call->session, kd_session_processor(call->session), &address,
				      call->err);
	else
		s = args_value(&call->args, &address);
	if (s == KD_OK)
		s = args_value_or(&call->args, SHOW_THREADS | SHOW_STACKS, &flags);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_thread_read(call->session, address, &t, call->err);
	if (s != KD_OK)
		return s;
	show_thread(call, &t, flags);
	put_thread(call_array(call), &t);
	return KD_OK;
}

static enum kd_status run_running(struct call *call)
{
	bool with_stacks = args_take(&call->args, "-t");
	uint32_t n = kd_session_n_processors(call->session);
	json_t *list = call_array(call);
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	out_printf(call->out, "     CPU  Current thread\n");
	for (uint32_t i = 0; i < n; i++) {
		struct kd_thread t;
		uint64_t address;

		s = kd_thread_current(call->session, i, &address, call->err);
		if (s != KD_OK)
			return s;
		out_printf(call->out, "    %4u  %s", i,
			   value_register(address, call->con->pointer_size).s);
		s = kd_thread_read(call->session, address, &t, call->err);
		if (s != KD_OK)
			return s;
		t.is_running = true;
		t.processor = i;
		out_printf(call->out, "  Cid %04llx.%04llx\n", (unsigned long long)t.pid,
			   (unsigned long long)t.tid);
		put_thread(list, &t);
		if (with_stacks)
			show_thread_stack(call, &t);
	}
	return KD_OK;
}

static enum kd_status list_processors(struct call *call)
{
	uint32_t current = kd_session_processor(call->session);
	json_t *list = call_array(call);

	for (uint32_t i = 0; i < kd_session_n_processors(call->session); i++) {
		json_t *o = data_append_object(list);
		uint64_t pc = 0;

		kd_session_select_processor(call->session, i, NULL);
		if (kd_register_pc(call->session, &pc, NULL) != KD_OK)
			pc = 0;
		out_printf(call->out, "%c%3u  %s %s\n", i == current ? '.' : ' ', i,
			   addr(call->con, pc).s, symbol_of(call->con, pc).s);
		data_integer(o, "processor", i);
		data_address(o, "pc", pc);
		data_string(o, "symbol", symbol_of(call->con, pc).s);
		data_bool(o, "is_current", i == current);
	}
	kd_session_select_processor(call->session, current, NULL);
	return KD_OK;
}

/* `~`: the list; `~1s`: switch. The number is decimal. */
static enum kd_status run_processors(struct call *call)
{
	unsigned long n;
	char *end;
	enum kd_status s;

	if (args_at_end(&call->args))
		return list_processors(call);
	n = strtoul(call->args.at, &end, 10);
	if (end == call->args.at || *end != 's')
		return call_fail(call, KD_E_SYNTAX,
				 "~ lists the processors, ~1s switches to number 1");
	call->args.at = end + 1;
	s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_session_select_processor(call->session, (uint32_t)APP_MIN(n, 65535UL),
						call->err);
	if (s == KD_OK && kd_register_pc(call->session, &call->con->next_code, NULL) == KD_OK)
		console_show_place(call->con, call->con->next_code);
	return s;
}

/* --- .process, .thread --- */

static enum kd_status run_set_process(struct call *call)
{
	struct kd_process p;
	uint64_t address;
	char word[8];
	bool reloads = false;
	enum kd_status s;

	while (args_switch(&call->args, '/', word, sizeof(word)))
		if (strspn(word, "pr") != strlen(word))
			return call_fail(call, KD_E_UNSUPPORTED,
					 "/%s is not supported; there are /p /r", word);
		else
			reloads |= strchr(word, 'r') != NULL;
	s = args_value_or(&call->args, 0, &address);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_process_set(call->session, address, call->err);
	if (s == KD_OK)
		s = kd_process_current(call->session, &p, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Implicit process is now %s\n", addr(call->con, p.address).s);
	put_process(call_array(call), &p);
	return reloads ? kd_module_reload_user(call->session, call->err) : KD_OK;
}

static enum kd_status run_set_thread(struct call *call)
{
	uint64_t address, now;
	enum kd_status s = args_value_or(&call->args, 0, &address);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_thread_set(call->session, address, call->err);
	now = address;
	if (s == KD_OK && !address)
		s = kd_thread_current(call->session, kd_session_processor(call->session), &now,
				      call->err);
	if (s != KD_OK)
		return s;
	kd_register_pc(call->session, &call->con->next_code, NULL);
	out_printf(call->out, "Implicit thread is now %s\n", addr(call->con, now).s);
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ "!process", "!process [0|-1|PID|EPROCESS [FLAGS [IMAGE]]]",
	  "Show processes: 0 all, -1 (and nothing) the current one\n"
	  "FLAGS: 1 counts, 2 threads, 4 threads with stacks. A number below 0x10000 is a PID. IMAGE: only "
	  "those of that name.",
	  "!process 0 0", "processes", CMD_STOPPED, WORDS_SYMBOLS, run_process, NULL, NULL },
	{ "!thread", "!thread [ETHREAD|-1 [FLAGS]]",
	  "Show a thread; -1 and nothing: the current one\nFLAGS: 2 details, 4 stack. Default: 6.",
	  "!thread", "threads", CMD_STOPPED, WORDS_SYMBOLS, run_thread, NULL, NULL },
	{ "!running", "!running [-t]", "Show which thread runs on each processor\n-t: with stacks.",
	  "!running -t", "threads", CMD_STOPPED, WORDS_NONE, run_running, NULL, NULL },
	{ "~", "~\n~NUMBERs", "List the processors, or look at another one", "~1s",
	  "processors", CMD_STOPPED, WORDS_NONE, run_processors, NULL, NULL },
	{ ".process", ".process [/p] [/r] [EPROCESS]",
	  "Look at user memory through another process; without an address: the current one again\n"
	  "/p is WinDbg's word for what is done always. /r: read the list of its modules too.",
	  ".process /p fffffa80`01234560", "processes", CMD_STOPPED, WORDS_SYMBOLS, run_set_process,
	  NULL, NULL },
	{ ".thread", ".thread [ETHREAD]",
	  "Look at the registers and stack of another thread; without an address: the current one again",
	  ".thread fffffa80`01234560", NULL, CMD_STOPPED, WORDS_SYMBOLS, run_set_thread, NULL, NULL },
};
/* clang-format on */

FAMILY(family_process, "Processors, processes, threads");
