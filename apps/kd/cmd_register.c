/* SPDX-License-Identifier: MIT */
/* r, rm */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/register.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/registers.h"

static const struct kd_register_info *find_register(struct call *call, const char *name)
{
	size_t n;
	const struct kd_register_info *r = kd_register_table(call->session, &n);

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(r[i].name, name) == 0)
			return &r[i];
	return NULL;
}

/* --- the block --- */

static void put_registers(struct call *call)
{
	json_t *o = call_object(call);
	size_t n;
	const struct kd_register_info *r = kd_register_table(call->session, &n);

	for (size_t i = 0; o && i < n; i++) {
		uint64_t value;

		if (r[i].group == KD_REGISTER_PART || r[i].size > 8)
			continue;
		if (kd_register_get(call->session, r[i].name, &value, NULL) == KD_OK)
			data_address(o, r[i].name, value);
	}
}

static enum kd_status show_block(struct call *call, unsigned mask)
{
	uint64_t pc;
	enum kd_status s = kd_register_pc(call->session, &pc, call->err);

	if (s != KD_OK)
		return s;
	registers_show(call->con, mask);
	put_registers(call);
	return KD_OK;
}

/* rM MASK, rF, rX */
static enum kd_status run_letters(struct call *call)
{
	static const struct {
		char letter;
		unsigned mask;
	} groups[] = { { 'F', REGISTERS_X87 }, { 'X', REGISTERS_VECTOR } };
	unsigned mask = 0;
	uint64_t value;
	enum kd_status s;

	for (; isalpha((unsigned char)*call->args.at); call->args.at++) {
		if (*call->args.at == 'M') {
			call->args.at++;
			s = args_value(&call->args, &value);
			if (s != KD_OK)
				return s;
			mask |= (unsigned)value & REGISTERS_ALL;
			break;
		}
		for (size_t i = 0; i < APP_ARRAY_LEN(groups); i++)
			if (groups[i].letter == *call->args.at)
				mask |= groups[i].mask;
	}
	s = args_done(&call->args);
	return s == KD_OK ? show_block(call, mask) : s;
}

/* --- single registers --- */

static enum kd_status show_vector(struct call *call, const struct kd_register_info *r)
{
	uint8_t bytes[64];
	size_t size;
	struct text t = TEXT_INIT;
	enum kd_status s = kd_register_read_bytes(call->session, r->name, bytes, sizeof(bytes),
						  &size, call->err);

	if (s != KD_OK)
		return s;
	for (size_t i = size; i-- > 0;)
		text_printf(&t, "%02x", bytes[i]);
	out_printf(call->out, "%s=%s\n", r->name, text_string(&t));
	if (call_object(call)) {
		struct text json = TEXT_INIT;

		text_printf(&json, "0x%s", text_string(&t));
		data_string(call->data, r->name, text_string(&json));
		text_free(&json);
	}
	text_free(&t);
	return KD_OK;
}

static void show_value(struct call *call, const char *name, uint64_t value, unsigned size)
{
	if (size)
		out_printf(call->out, "%s=%s\n", name, value_register(value, size).s);
	else
		out_printf(call->out, "%s=%llx\n", name, (unsigned long long)value);
	data_address(call_object(call), name, value);
}

static enum kd_status show_one(struct call *call, const char *name)
{
	const struct kd_register_info *r = find_register(call, name);
	uint64_t value;
	enum kd_status s;

	if (r && r->size > 8)
		return show_vector(call, r);
	if (name[0] == '$')
		s = kd_expression_evaluate(call->session, name, NULL, &value, call->err);
	else
		s = kd_register_get(call->session, name, &value, call->err);
	if (s == KD_OK)
		show_value(call, r ? r->name : name, value,
			   r                ? r->size
			   : name[0] == '$' ? call->con->pointer_size
					    : 0);
	return s;
}

/* `r $.u0 = text`: a fixed-name alias. */
static enum kd_status set_alias(struct call *call, const char *name)
{
	char *value = args_rest(&call->args);
	char alias[4] = { '$', 'u', name[3], 0 };
	enum kd_status s = KD_OK;

	if (strlen(name) != 4 || name[2] != 'u' || !isdigit((unsigned char)name[3]))
		s = call_fail(call, KD_E_NOT_FOUND, "fixed-name aliases are $.u0 to $.u9");
	else if (!alias_set(&call->con->aliases, alias, value))
		s = call_fail(call, KD_E_FULL, "more than %d aliases", ALIASES_MAX);
	free(value);
	return s;
}

static enum kd_status set_one(struct call *call, const char *name)
{
	uint64_t value;
	enum kd_status s;

	if (strncmp(name, "$.", 2) == 0)
		return set_alias(call, name);
	s = args_value(&call->args, &value);
	if (s != KD_OK)
		return s;
	if (name[0] == '$')
		return kd_pseudo_set(call->session, name, value, call->err);
	return kd_register_set(call->session, name, value, call->err);
}

static bool take_name(struct args *a, char *name, size_t size)
{
	size_t n;

	args_at_end(a);
	if (*a->at == '@')
		a->at++;
	n = *a->at == '$';
	while (isalnum((unsigned char)a->at[n]) || a->at[n] == '_' || a->at[n] == '.')
		n++;
	app_copy(name, size, a->at, n);
	a->at += n;
	return n > 0;
}

/* NAME[=VALUE][, ...] */
static enum kd_status run_list(struct call *call)
{
	char name[32];
	enum kd_status s = KD_OK;

	while (s == KD_OK && !args_at_end(&call->args)) {
		if (!take_name(&call->args, name, sizeof(name)))
			return call_fail(call, KD_E_SYNTAX, "'%.40s': a register's name is needed",
					 call->args.at);
		if (args_take_char(&call->args, '='))
			s = set_one(call, name);
		else
			s = show_one(call, name);
		args_take_char(&call->args, ',');
	}
	return s;
}

/* `r.`: what the current instruction uses. */
static enum kd_status run_operands(struct call *call)
{
	struct kd_instruction i;
	uint64_t pc;
	enum kd_status s = kd_register_pc(call->session, &pc, call->err);
	size_t n;
	const struct kd_register_info *r = kd_register_table(call->session, &n);

	if (s == KD_OK)
		s = kd_code_decode(call->session, pc, &i, call->err);
	if (s != KD_OK)
		return s;
	for (size_t k = 0; k < n; k++) {
		size_t size = strlen(r[k].name);

		if (r[k].size == 0 || r[k].size > 8)
			continue;
		for (const char *p = strstr(i.operands, r[k].name); p;
		     p = strstr(p + 1, r[k].name)) {
			bool begins = p == i.operands || !isalnum((unsigned char)p[-1]);

			if (begins && !isalnum((unsigned char)p[size]) && p[size] != ':') {
				s = show_one(call, r[k].name);
				break;
			}
		}
	}
	if (i.has_memory) {
		uint64_t value;

		if (kd_memory_read_pointer(call->session, i.memory, &value, NULL) == KD_OK)
			out_printf(call->out, "[%s]=%s\n", addr(call->con, i.memory).s,
				   addr(call->con, value).s);
	}
	return s;
}

static enum kd_status run_r(struct call *call)
{
	const char *at = call->args.at;

	if (*at == '.' && (!at[1] || isspace((unsigned char)at[1])))
		return run_operands(call);
	if (*at == 'M' || *at == 'F' || *at == 'X')
		return run_letters(call);
	if (args_at_end(&call->args))
		return show_block(call, call->con->register_mask);
	return run_list(call);
}

static enum kd_status run_rm(struct call *call)
{
	uint64_t mask;
	enum kd_status s = args_value_or(&call->args, call->con->register_mask, &mask);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (!mask || mask & ~(uint64_t)REGISTERS_ALL)
		return call_fail(call, KD_E_INVALID,
				 "a mask is made of 1/2 general, 4 x87, 8 segments, 0x10 MMX, 0x20 "
				 "debug, 0x40 XMM, 0x80 control, 0x100 descriptors");
	call->con->register_mask = (unsigned)mask;
	out_printf(call->out, "Register output mask is 0x%x\n", call->con->register_mask);
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ "r", "r\nr[F|X]\nrM MASK\nr.\nr NAME[=VALUE][, ...]\nr $.u0=TEXT",
	  "Show or change registers, pseudo-registers ($t0 to $t19) and fixed-name aliases ($u0 to $u9)\n"
	  "F: x87. X: XMM. MASK: as rm. `r.`: what the current instruction uses.",
	  "r rax, $t0=@rcx+8", "registers", CMD_STOPPED, WORDS_REGISTERS, run_r, "MFX", NULL },
	{ "rm", "rm [MASK]",
	  "Show or set which registers `r` shows\n"
	  "1, 2: general; 4: x87; 8: segments; 0x10: MMX; 0x20: debug; 0x40: XMM; 0x80: control; "
	  "0x100: descriptor tables.",
	  "rm 8a", NULL, 0, WORDS_NONE, run_rm, NULL, NULL },
};
/* clang-format on */

FAMILY(family_register, "Registers");
