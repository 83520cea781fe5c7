/* SPDX-License-Identifier: MIT */
/* rdmsr wrmsr ib iw id ob ow od */
#include <openkd/memory.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

static enum kd_status take_number(struct call *call, uint64_t *number, uint64_t max)
{
	enum kd_status s = args_value(&call->args, number);

	if (s == KD_OK && *number > max)
		return call_fail(call, KD_E_INVALID, "0x%llx is above 0x%llx",
				 (unsigned long long)*number, (unsigned long long)max);
	return s;
}

static enum kd_status run_rdmsr(struct call *call)
{
	uint64_t number, value;
	enum kd_status s = take_number(call, &number, UINT32_MAX);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_msr_read(call->session, (uint32_t)number, &value, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "msr[%llx] = %s\n", (unsigned long long)number, value_hex64(value).s);
	data_address(call_object(call), "number", number);
	data_address(call_object(call), "value", value);
	return KD_OK;
}

static enum kd_status run_wrmsr(struct call *call)
{
	uint64_t number, value;
	enum kd_status s = take_number(call, &number, UINT32_MAX);

	if (s == KD_OK)
		s = args_value(&call->args, &value);
	if (s == KD_OK)
		s = args_done(&call->args);
	return s == KD_OK ? kd_msr_write(call->session, (uint32_t)number, value, call->err) : s;
}

/* The letter after i and o says the size. */
static unsigned port_size(const struct call *call)
{
	return call->name[1] == 'b' ? 1 : call->name[1] == 'w' ? 2 : 4;
}

static enum kd_status run_in(struct call *call)
{
	uint64_t port;
	uint32_t value;
	enum kd_status s = take_number(call, &port, 0xffff);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_port_read(call->session, port, port_size(call), &value, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "%08llx: %s\n", (unsigned long long)port,
		   value_register(value, port_size(call)).s);
	data_address(call_object(call), "number", port);
	data_address(call_object(call), "value", value);
	return KD_OK;
}

static enum kd_status run_out(struct call *call)
{
	uint64_t port, value;
	enum kd_status s = take_number(call, &port, 0xffff);

	if (s == KD_OK)
		s = take_number(call, &value, UINT32_MAX >> (32 - 8 * port_size(call)));
	if (s == KD_OK)
		s = args_done(&call->args);
	return s == KD_OK ? kd_port_write(call->session, port, port_size(call), (uint32_t)value,
					  call->err)
			  : s;
}

#define PORT_IN(name, size)                                                                    \
	{                                                                                      \
		name, name " PORT", "Read " size " from a port", name " 60", "register-value", \
			CMD_STOPPED, WORDS_NONE, run_in, NULL, NULL                            \
	}
#define PORT_OUT(name, size)                                                              \
	{                                                                                 \
		name, name " PORT VALUE", "Write " size " to a port", name " 80 1", NULL, \
			CMD_STOPPED | CMD_CHANGES, WORDS_NONE, run_out, NULL, NULL        \
	}

/* clang-format off */
static const struct command commands[] = {
	{ "rdmsr", "rdmsr NUMBER", "Read a model-specific register", "rdmsr c0000082", "register-value",
	  CMD_STOPPED, WORDS_NONE, run_rdmsr, NULL, NULL },
	{ "wrmsr", "wrmsr NUMBER VALUE", "Write a model-specific register", "wrmsr 1d9 1", NULL,
	  CMD_STOPPED | CMD_CHANGES, WORDS_NONE, run_wrmsr, NULL, NULL },
	PORT_IN("ib", "a byte"), PORT_IN("iw", "2 bytes"), PORT_IN("id", "4 bytes"),
	PORT_OUT("ob", "a byte"), PORT_OUT("ow", "2 bytes"), PORT_OUT("od", "4 bytes"),
};
/* clang-format on */

FAMILY(family_port, "Machine registers and ports");
