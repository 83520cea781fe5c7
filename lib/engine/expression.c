/* SPDX-License-Identifier: MIT */
/* What the names of an expression mean in a session. The language is in expression_eval.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/engine/code.h"
#include "lib/engine/expression_eval.h"
#include "lib/engine/module.h"
#include "lib/engine/symbol.h"

enum { N_USER = 20, PAGE = 4096, VALID_MAX = 1 << 24 };

struct kd__exprs {
	unsigned radix;
	uint64_t user[N_USER];       /* $t0 ... */
	uint64_t last, shown, frame; /* $exp, $p, $frame */
	uint64_t previous_pc;        /* $previp */
};

/* --- pseudo-registers --- */

typedef enum kd_status pseudo_fn(struct kd_session *s, uint64_t argument, uint64_t *ret,
				 struct kd_error *err);

static enum kd_status no_value(struct kd_error *err, const char *what)
{
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s", what);
}

static enum kd_status of_expressions(struct kd_session *s, uint64_t field, uint64_t *ret,
				     struct kd_error *err)
{
	memcpy(ret, (const char *)s->exprs + field, sizeof *ret);
	return KD_OK;
}

static enum kd_status constant(struct kd_session *s, uint64_t value, uint64_t *ret,
			       struct kd_error *err)
{
	*ret = value;
	return KD_OK;
}

static enum kd_status pointer_size(struct kd_session *s, uint64_t argument, uint64_t *ret,
				   struct kd_error *err)
{
	*ret = kd__pointer_size(s);
	return KD_OK;
}

static enum kd_status pc(struct kd_session *s, uint64_t argument, uint64_t *ret,
			 struct kd_error *err)
{
	return kd_register_pc(s, ret, err);
}

static enum kd_status sp(struct kd_session *s, uint64_t argument, uint64_t *ret,
			 struct kd_error *err)
{
	return kd_register_sp(s, ret, err);
}

static enum kd_status event_pc(struct kd_session *s, uint64_t argument, uint64_t *ret,
			       struct kd_error *err)
{
	if (!s->has_stop)
		return no_value(err, "there was no stop yet");
	*ret = s->stop.pc;
	return KD_OK;
}

static enum kd_status return_address(struct kd_session *s, uint64_t argument, uint64_t *ret,
				     struct kd_error *err)
{
	struct kd_frame frame;
	char note[120] = "";
	size_t n = 0;
	enum kd_status status = kd_stack_walk(s, &frame, 1, &n, note, sizeof note, err);

	if (status != KD_OK)
		return status;
	if (!n || !frame.return_address)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "the stack has no frame to return to%s%s", note[0] ? ": " : "",
				    note);
	*ret = frame.return_address;
	return KD_OK;
}

/* wide: with edx above eax. */
static enum kd_status return_value(struct kd_session *s, uint64_t wide, uint64_t *ret,
				   struct kd_error *err)
{
	bool is_x86 = s->machine == KD_MACHINE_X86;
	uint64_t high = 0;
	enum kd_status status = kd_register_get(s,
						is_x86                           ? "eax"
						: s->machine == KD_MACHINE_ARM64 ? "x0"
										 : "rax",
						ret, err);

	if (status == KD_OK && wide && is_x86)
		status = kd_register_get(s, "edx", &high, err);
	if (status == KD_OK && wide && is_x86)
		*ret = high << 32 | (uint32_t)*ret;
	return status;
}

static enum kd_status operand_address(struct kd_session *s, uint64_t which, uint64_t *ret,
				      struct kd_error *err)
{
	return kd__code_operand_address(s, (unsigned)which, ret, err);
}

static enum kd_status kernel_entry(struct kd_session *s, uint64_t argument, uint64_t *ret,
				   struct kd_error *err)
{
	const struct kd__module *m = kd__module_kernel(s);

	if (!m || !m->pub.entry_point)
		return no_value(err, "the kernel's entry point is not known");
	*ret = m->pub.entry_point;
	return KD_OK;
}

static enum kd_status now(struct kd_session *s, uint64_t argument, uint64_t *ret,
			  struct kd_error *err)
{
	static const uint64_t since_1601 = 11644473600; /* seconds from then to 1970 */
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	*ret = ((uint64_t)ts.tv_sec + since_1601) * 10000000 + (uint64_t)ts.tv_nsec / 100;
	return KD_OK;
}

enum { EXR_CODE, EXR_CHANCE, EXR_COUNT };

static enum kd_status exception(struct kd_session *s, uint64_t what, uint64_t *ret,
				struct kd_error *err)
{
	if (!s->has_stop || !s->stop.code)
		return no_value(err, "the last stop was no exception");
	*ret = what == EXR_CODE     ? s->stop.code
	       : what == EXR_CHANCE ? (s->stop.first_chance ? 1 : 2)
				    : s->stop.n_parameters;
	return KD_OK;
}

static enum kd_status exception_parameter(struct kd_session *s, uint64_t n, uint64_t *ret,
					  struct kd_error *err)
{
	if (!s->has_stop || !s->stop.code || n >= s->stop.n_parameters ||
	    n >= KD_ARRAY_LEN(s->stop.parameters))
		return no_value(err, "the last stop has no such exception parameter");
	*ret = s->stop.parameters[n];
	return KD_OK;
}

static enum kd_status bugcheck(struct kd_session *s, uint64_t n, uint64_t *ret,
			       struct kd_error *err)
{
	uint64_t values[5];
	enum kd_status status;

	if (n >= KD_ARRAY_LEN(values))
		return no_value(err, "a bugcheck has the parameters 1 to 4");
	status = kd_session_bugcheck(s, values, err);
	if (status == KD_OK)
		*ret = values[n];
	return status;
}

static enum kd_status user(struct kd_session *s, uint64_t n, uint64_t *ret, struct kd_error *err)
{
	if (n >= N_USER)
		return no_value(err, "user pseudo-registers are $t0 to $t19");
	*ret = s->exprs->user[n];
	return KD_OK;
}

static enum kd_status breakpoint(struct kd_session *s, uint64_t id, uint64_t *ret,
				 struct kd_error *err)
{
	const struct kd_breakpoint *b = id <= INT32_MAX ? kd_breakpoint_find(s, (int)id) : NULL;

	if (!b)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no breakpoint %llu",
				    (unsigned long long)id);
	if (b->is_deferred)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "breakpoint %llu is deferred: it has no address yet",
				    (unsigned long long)id);
	*ret = b->address;
	return KD_OK;
}

/* clang-format off */
static const struct pseudo {
	const char *name;
	pseudo_fn *get;
	uint64_t argument;
} pseudos[] = {
	{ "ip", pc, 0 },
	{ "scopeip", pc, 0 },
	{ "eventip", event_pc, 0 },
	{ "previp", of_expressions, offsetof(struct kd__exprs, previous_pc) },
	{ "csp", sp, 0 },
	{ "ra", return_address, 0 },
	{ "retreg", return_value, 0 },
	{ "retreg64", return_value, 1 },
	{ "exentry", kernel_entry, 0 },
	{ "exp", of_expressions, offsetof(struct kd__exprs, last) },
	{ "p", of_expressions, offsetof(struct kd__exprs, shown) },
	{ "frame", of_expressions, offsetof(struct kd__exprs, frame) },
	{ "ea", operand_address, 0 },
	{ "ea2", operand_address, 1 },
	{ "ptrsize", pointer_size, 0 },
	{ "pagesize", constant, PAGE },
	{ "dbgtime", now, 0 },
	{ "exr_code", exception, EXR_CODE },
	{ "exr_chance", exception, EXR_CHANCE },
	{ "exr_numparams", exception, EXR_COUNT },
	{ "bug_code", bugcheck, 0 },
}, numbered[] = { /* a decimal number follows */
	{ "t", user, 0 },
	{ "bp", breakpoint, 0 },
	{ "exr_param", exception_parameter, 0 },
	{ "bug_param", bugcheck, 0 },
};

static const struct noted {
	const char *name;
	size_t offset;
} noted[] = {
	{ "exp", offsetof(struct kd__exprs, last) },
	{ "p", offsetof(struct kd__exprs, shown) },
	{ "frame", offsetof(struct kd__exprs, frame) },
};
/* clang-format on */

/* "t12" with "t" -> 12. */
static bool number_after(const char *name, const char *prefix, uint64_t *ret)
{
	size_t n = strlen(prefix);

	if (strncasecmp(name, prefix, n) || !name[n] || strlen(name + n) > 4)
		return false;
	*ret = 0;
	for (const char *p = name + n; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(*p - '0');
	}
	return true;
}

static enum kd_status get_pseudo(void *session, const char *name, uint64_t *ret,
				 struct kd_error *err)
{
	struct kd_session *s = session;
	char full[64];
	uint64_t n;
	enum kd_status status;

	for (size_t i = 0; i < KD_ARRAY_LEN(pseudos); i++)
		if (!strcasecmp(pseudos[i].name, name))
			return pseudos[i].get(s, pseudos[i].argument, ret, err);
	for (size_t i = 0; i < KD_ARRAY_LEN(numbered); i++)
		if (number_after(name, numbered[i].name, &n))
			return numbered[i].get(s, n, ret, err);
	snprintf(full, sizeof full, "$%s", name);
	if (err)
		err->text[0] = 0;
	status = kd__process_pseudo(s, full, ret, err);
	if (status == KD_E_NOT_FOUND && (!err || !err->text[0]))
		return kd_error_set(err, status, 0, "there is no pseudo-register %s", full);
	return status;
}

KD_EXPORT enum kd_status kd_pseudo_set(struct kd_session *s, const char *name, uint64_t value,
				       struct kd_error *err)
{
	uint64_t n;

	name += *name == '@';
	name += *name == '$';
	if (!number_after(name, "t", &n) || n >= N_USER)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "'$%s' cannot be set: user pseudo-registers are $t0 to $t19",
				    name);
	s->exprs->user[n] = value;
	return KD_OK;
}

KD_EXPORT void kd_pseudo_note(struct kd_session *s, const char *name, uint64_t value)
{
	name += *name == '$';
	for (size_t i = 0; i < KD_ARRAY_LEN(noted); i++)
		if (!strcasecmp(noted[i].name, name))
			memcpy((char *)s->exprs + noted[i].offset, &value, sizeof value);
}

/* --- names --- */

/* Those of 32-bit targets with their sign, so that they compare with symbols and numbers. */
static enum kd_status get_register(void *session, const char *name, uint64_t *ret,
				   struct kd_error *err)
{
	enum kd_status status = kd_register_get(session, name, ret, err);

	if (status == KD_OK && *ret <= UINT32_MAX)
		*ret = kd__normalise(session, *ret);
	return status;
}

static enum kd_status get_symbol(void *session, const char *name, uint64_t *ret,
				 struct kd_error *err)
{
	return kd__symbol_value(session, name, false, ret, err);
}

/* Those that WinDbg takes as registers before it looks for a symbol of that name. */
static bool is_common_register(const struct kd_session *s, const char *name)
{
	static const char *const common[] = { "eax", "ebx", "ecx", "edx", "esi",
					      "edi", "ebp", "eip", "efl" };

	for (size_t i = 0; s->machine == KD_MACHINE_X86 && i < KD_ARRAY_LEN(common); i++)
		if (!strcasecmp(common[i], name))
			return true;
	return false;
}

/* Symbols that are loaded, registers, then all symbols: `rax` loads no symbol file. */
static enum kd_status get_word(void *session, const char *name, uint64_t *ret, struct kd_error *err)
{
	struct kd_session *s = session;
	enum kd_status status;

	if (!is_common_register(s, name)) {
		status = kd__symbol_value(s, name, true, ret, err);
		if (status != KD_E_NOT_FOUND)
			return status;
	}
	status = s->state == KD_SESSION_STOPPED ? get_register(s, name, ret, err) : KD_E_NOT_FOUND;
	return status == KD_E_NOT_FOUND ? kd__symbol_value(s, name, false, ret, err) : status;
}

static enum kd_status read_memory(void *session, uint64_t address, size_t size, bool is_physical,
				  uint64_t *ret, struct kd_error *err)
{
	uint8_t bytes[8];
	enum kd_status status;

	if (!is_physical)
		return kd_memory_read_uint(session, address, size, ret, err);
	status = kd_memory_read_physical(session, address, bytes, size, NULL, err);
	if (status == KD_OK)
		*ret = kd_get_sized(bytes, size);
	return status;
}

static enum kd_status source_line(void *session, const char *module, const char *file,
				  uint32_t line, uint64_t *ret, struct kd_error *err)
{
	return kd_symbol_line_address(session, module, file, line, ret, err);
}

static enum kd_status image_entry(void *session, uint64_t base, uint64_t *ret, struct kd_error *err)
{
	struct kd_session *s = session;
	const struct kd__module *m;

	base = kd__normalise(s, base);
	m = kd__module_at(s, base);
	if (!m || m->pub.base != base)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no module begins at 0x%llx",
				    (unsigned long long)base);
	if (!m->pub.entry_point)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the entry point of %s is not known",
				    m->name);
	*ret = m->pub.entry_point;
	return KD_OK;
}

static bool is_valid(void *session, uint64_t address, uint64_t size)
{
	uint8_t bytes[PAGE];

	if (size > VALID_MAX || address + size < address)
		return false;
	while (size) {
		size_t n = (size_t)KD_MIN(size, PAGE - (address & (PAGE - 1)));

		if (kd_memory_read(session, address, bytes, n, NULL, NULL) != KD_OK)
			return false;
		address += n;
		size -= n;
	}
	return true;
}

KD_EXPORT enum kd_status kd_expression_evaluate(struct kd_session *s, const char *text,
						const char **end_ret, uint64_t *value_ret,
						struct kd_error *err)
{
	const struct kd__expr_host host = {
		.context = s,
		.radix = s->exprs->radix,
		.pointer_size = kd__pointer_size(s),
		.word = get_word,
		.symbol = get_symbol,
		.reg = get_register,
		.pseudo = get_pseudo,
		.read = read_memory,
		.line = source_line,
		.entry = image_entry,
		.is_valid = is_valid,
	};

	return kd__expr_evaluate(&host, text, end_ret, value_ret, err);
}

KD_EXPORT enum kd_status kd_expression_set_radix(struct kd_session *s, unsigned radix)
{
	if (radix != 8 && radix != 10 && radix != 16)
		return KD_E_INVALID;
	s->exprs->radix = radix;
	return KD_OK;
}

KD_EXPORT unsigned kd_expression_radix(const struct kd_session *s)
{
	return s->exprs->radix;
}

/* --- life --- */

enum kd_status kd__exprs_create(struct kd_session *s)
{
	s->exprs = calloc(1, sizeof *s->exprs);
	if (!s->exprs)
		return KD_E_NO_MEMORY;
	s->exprs->radix = 16;
	return KD_OK;
}

void kd__exprs_destroy(struct kd_session *s)
{
	free(s->exprs);
	s->exprs = NULL;
}

void kd__exprs_on_stop(struct kd_session *s)
{
	s->exprs->frame = 0;
}

void kd__exprs_on_resume(struct kd_session *s)
{
	s->exprs->previous_pc = s->stop.pc;
}

void kd__exprs_on_restart(struct kd_session *s)
{
	s->exprs->previous_pc = 0;
}
