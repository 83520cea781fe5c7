/* SPDX-License-Identifier: MIT */
#include "lib/engine/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks.h"
#include "lib/engine/event.h"
#include "lib/engine/register.h"
#include "lib/engine/wire.h"

struct kd__info {
	bool known, identified, fresh;
	struct kd_w_version version;
	bool kdbg_tried;
	size_t kdbg_size;
	uint64_t kdbg_address;
	uint8_t kdbg[KD_KDBG_SIZE_MAX];
};

enum { KDBG_BLOCKS_MAX = 16, UART_FCR = 0x3FA, FCR_TRIGGER_14 = 0xC1 };

enum kd_status kd__info_create(struct kd_session *s)
{
	s->info = calloc(1, sizeof *s->info);
	return s->info ? KD_OK : KD_E_NO_MEMORY;
}

void kd__info_destroy(struct kd_session *s)
{
	free(s->info);
	s->info = NULL;
}

/* Early in a boot the list is still empty: what was not there may be at the next stop. */
void kd__info_on_stop(struct kd_session *s)
{
	s->info->kdbg_tried = s->info->kdbg_size > 0;
}

void kd__info_on_resume(struct kd_session *s)
{
	(void)s;
}

void kd__info_on_restart(struct kd_session *s)
{
	memset(s->info, 0, sizeof *s->info);
}

bool kd__info_known(const struct kd_session *s)
{
	return s->info->known;
}

bool kd__info_identified(const struct kd_session *s)
{
	return s->info->identified;
}

void kd__info_note_boot(struct kd_session *s)
{
	s->info->fresh = true;
}

void kd__restart(struct kd_session *s)
{
	s->generation++;
	s->has_stop = false;
#define KD_X(part) kd__##part##_on_restart(s);
	KD__PARTS(KD_X)
#undef KD_X
}

uint64_t kd__normalise(const struct kd_session *s, uint64_t address)
{
	if (kd__pointer_size(s) == 8 || s->machine == 0)
		return address;
	return (uint64_t)(int64_t)(int32_t)(uint32_t)address;
}

static enum kd_status get_version(struct kd_session *s, struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	kd_manipulate_init(&m, KD_API_GET_VERSION, 0, (uint16_t)s->owner);
	status = kd__request_checked(s, &m, err);
	if (status != KD_OK)
		return kd_error_prefix(err, status, "asking for the target's version");
	s->info->version = m.u.version;
	if (m.u.version.protocol < 5)
		return kd_error_set(
			err, KD_E_UNSUPPORTED, 0,
			"the target speaks KD protocol version %u (NT 4 or 2000): too old",
			m.u.version.protocol);
	return KD_OK;
}

/* A killed debugger may have left breakpoints; a fresh boot (SYNC id) cannot have any. */
static enum kd_status clean_up(struct kd_session *s, bool fresh, struct kd_error *err)
{
	enum kd_status status;

	if (s->options.read_only)
		return KD_OK;
	status = fresh ? KD_OK : kd__breaks_clear_table(s, err);
	if (status == KD_OK && !fresh)
		status = kd__journal_repair(s, err);
	if (status == KD_OK)
		kd__breaks_note_clean(s);
	return status;
}

/*
 * QEMU hands a guest's UART one byte per main-loop turn while its FIFO trigger is 1: raising it
 * to 14 makes small requests several times faster (docs/protocol/serial.md). A refusal is fine.
 */
static enum kd_status raise_fifo(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status;

	if (s->options.no_fifo_fix || s->options.read_only || !kd__wire_is_vm_socket(s) || !s->arch)
		return KD_OK;
	status = kd_port_write(s, UART_FCR, 1, FCR_TRIGGER_14, err);
	return status == KD_E_TARGET ? KD_OK : status;
}

enum kd_status kd__info_identify(struct kd_session *s, const struct kd_state_change *change,
				 struct kd_error *err)
{
	enum kd_status status = KD_OK;

	if (kd__wire_needs_reset(s))
		status = kd__wire_resync(s, err);
	if (status == KD_OK)
		status = get_version(s, err);
	if (status != KD_OK)
		return status;
	s->info->known = true;
	s->machine = s->info->version.machine;
	s->arch = kd__arch_find(s->machine);
	kd__regs_note_stop(s, change);
	s->stop.pc = kd__normalise(s, s->stop.pc);
	status = clean_up(s, s->info->fresh, err);
	if (status == KD_OK)
		status = raise_fifo(s, err);
	if (status != KD_OK)
		return status;
	if (!s->arch)
		kd__events_notice(s,
				  "machine type 0x%04x is not supported yet: memory and "
				  "breakpoints by address work, registers do not",
				  s->machine);
	s->info->identified = true;
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_CONNECTED }, NULL, 0);
	kd__breaks_resolve(s);
	return KD_OK;
}

/* --- KDBG --- */

static bool read_header(struct kd_session *s, uint64_t block, uint64_t *next, uint32_t *tag,
			uint32_t *size)
{
	uint8_t header[KD_KDBG_HEADER_SIZE];

	if (kd_memory_read(s, block, header, sizeof header, NULL, NULL) != KD_OK)
		return false;
	*next = kd__normalise(s, kd_get_sized(header, kd__pointer_size(s)));
	*tag = kd_get32(header + 16);
	*size = kd_get32(header + 20);
	return true;
}

static void read_block(struct kd_session *s, uint64_t block, uint32_t size)
{
	struct kd__info *info = s->info;
	size_t n = KD_MIN((size_t)size, sizeof info->kdbg), done = 0;

	if (kd_memory_read(s, block, info->kdbg, n, &done, NULL) != KD_OK)
		return;
	info->kdbg_size = done;
	info->kdbg_address = block;
}

/* The list is the target's: bounded, and every block is looked at once. */
static void find_kdbg(struct kd_session *s)
{
	uint64_t head, block = 0;

	s->info->kdbg_tried = true;
	if (!s->info->version.debugger_data_list && get_version(s, NULL) != KD_OK)
		return;
	head = kd__normalise(s, s->info->version.debugger_data_list);
	if (!head || kd_memory_read_pointer(s, head, &block, NULL) != KD_OK)
		return;
	for (int i = 0; i < KDBG_BLOCKS_MAX && block && block != head; i++) {
		uint32_t tag, size;
		uint64_t next;

		if (!read_header(s, block, &next, &tag, &size))
			return;
		if (tag == KD_KDBG_TAG) {
			read_block(s, block, size);
			return;
		}
		block = next;
	}
}

static bool is_sign_worthy(const struct kd_kdbg_field *field)
{
	return field->size == 8 && field->meaning == KD_KDBG_ADDRESS;
}

KD_EXPORT enum kd_status kd_session_kdbg(struct kd_session *s, const char *name, uint64_t *ret,
					 struct kd_error *err)
{
	const struct kd_kdbg_field *field = kd_kdbg_find(name);
	enum kd_status status = kd__need_memory(s, err);

	if (status != KD_OK)
		return status;
	if (!field)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "KDBG has no field '%s'", name);
	if (!s->info->kdbg_tried)
		find_kdbg(s);
	if (!s->info->kdbg_size ||
	    !kd_kdbg_get(s->info->kdbg, s->info->kdbg_size, s->machine, field, ret) || *ret == 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the target does not tell %s", name);
	if (is_sign_worthy(field))
		*ret = kd__normalise(s, *ret);
	return KD_OK;
}

uint64_t kd__kdbg(struct kd_session *s, const char *name)
{
	uint64_t value = 0;

	return kd_session_kdbg(s, name, &value, NULL) == KD_OK ? value : 0;
}

uint64_t kd__kernel_base(struct kd_session *s)
{
	return s->info->known ? kd__normalise(s, s->info->version.kern_base) : 0;
}

KD_EXPORT enum kd_status kd_session_target(struct kd_session *s, struct kd_target_info *ret,
					   struct kd_error *err)
{
	const struct kd_w_version *v = &s->info->version;
	uint64_t lab;

	memset(ret, 0, sizeof *ret);
	if (!s->info->known)
		return kd_error_set(err, KD_E_NOT_CONNECTED, 0, "no target was identified yet");
	*ret = (struct kd_target_info){
		.machine = v->machine,
		.major = v->major,
		.build = v->minor,
		.protocol = v->protocol,
		.secondary = v->secondary,
		.flags = v->flags,
		.max_manipulate = v->max_manipulate,
		.pointer_size = (uint8_t)kd__pointer_size(s),
		.n_processors = s->n_processors,
		.kernel_base = kd__normalise(s, v->kern_base),
		.loaded_module_list = kd__normalise(s, v->loaded_module_list),
		.debugger_data = s->info->kdbg_address,
	};
	if (s->state != KD_SESSION_STOPPED)
		return KD_OK;
	lab = kd__kdbg(s, "NtBuildLab");
	ret->debugger_data = s->info->kdbg_address;
	if (lab)
		kd_memory_read_string(s, lab, false, sizeof ret->build_lab - 1, ret->build_lab,
				      sizeof ret->build_lab, NULL);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_session_bugcheck(struct kd_session *s, uint64_t values_ret[5],
					     struct kd_error *err)
{
	uint32_t size = kd__pointer_size(s);
	uint8_t bytes[40];
	uint64_t address;
	enum kd_status status = kd_session_kdbg(s, "KiBugcheckData", &address, err);

	if (status == KD_OK)
		status = kd_memory_read(s, address, bytes, 5 * (size_t)size, NULL, err);
	if (status != KD_OK)
		return status;
	for (size_t i = 0; i < 5; i++)
		values_ret[i] = kd_get_sized(bytes + i * size, size);
	if (values_ret[0] == 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no bugcheck is in progress");
	return KD_OK;
}

/* --- ports and MSRs --- */

KD_EXPORT enum kd_status kd_msr_read(struct kd_session *s, uint32_t msr, uint64_t *value_ret,
				     struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	kd_manipulate_init(&m, KD_API_READ_MSR, s->machine, (uint16_t)s->processor);
	m.u.msr.msr = msr;
	status = kd__request_checked(s, &m, err);
	if (status == KD_OK)
		*value_ret = m.u.msr.value_low | (uint64_t)m.u.msr.value_high << 32;
	return kd_error_prefix(err, status, "MSR 0x%x", msr);
}

KD_EXPORT enum kd_status kd_msr_write(struct kd_session *s, uint32_t msr, uint64_t value,
				      struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status = kd__need_write(s, err);

	if (status != KD_OK)
		return status;
	kd_manipulate_init(&m, KD_API_WRITE_MSR, s->machine, (uint16_t)s->processor);
	m.u.msr.msr = msr;
	m.u.msr.value_low = (uint32_t)value;
	m.u.msr.value_high = (uint32_t)(value >> 32);
	return kd_error_prefix(err, kd__request_checked(s, &m, err), "MSR 0x%x", msr);
}

static enum kd_status port_io(struct kd_session *s, uint32_t api, uint64_t port, size_t size,
			      uint32_t *value, struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	if (size != 1 && size != 2 && size != 4)
		return kd_error_set(err, KD_E_INVALID, port, "a port has 1, 2 or 4 bytes");
	kd_manipulate_init(&m, api, s->machine, (uint16_t)s->processor);
	m.u.io.address = port;
	m.u.io.size = (uint32_t)size;
	m.u.io.value = *value;
	status = kd__request_checked(s, &m, err);
	*value = m.u.io.value;
	return kd_error_prefix(err, status, "port 0x%llx", (unsigned long long)port);
}

KD_EXPORT enum kd_status kd_port_read(struct kd_session *s, uint64_t port, size_t size,
				      uint32_t *value_ret, struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	*value_ret = 0;
	return status == KD_OK ? port_io(s, KD_API_READ_IO, port, size, value_ret, err) : status;
}

KD_EXPORT enum kd_status kd_port_write(struct kd_session *s, uint64_t port, size_t size,
				       uint32_t value, struct kd_error *err)
{
	enum kd_status status = kd__need_write(s, err);

	return status == KD_OK ? port_io(s, KD_API_WRITE_IO, port, size, &value, err) : status;
}
