/* SPDX-License-Identifier: MIT */
/*
 * Registers by name. CONTEXT and special registers of a processor are fetched when first asked
 * for and kept for the stop; the owner's program counter comes with the state change and costs
 * nothing. Writes go through at once: SetContext needs a GetContext of the same stop before it.
 */
#include "lib/engine/register.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/arch.h"

enum { MAX_CPUS = 256 };

struct cpu {
	bool has_context, has_special;
	uint32_t special_size;
	uint8_t context[KD_CONTEXT_MAX];
	uint8_t special[KD_SPECIAL_SIZE_AMD64];
};

struct kd__regs {
	struct cpu *cpus[MAX_CPUS];
	struct kd__report report;
	bool pc_changed;
	bool no_context_api; /* the target only answers GetContextEx */
	bool has_override;
	uint8_t override[KD_CONTEXT_MAX];
};

enum kd_status kd__regs_create(struct kd_session *s)
{
	s->regs = calloc(1, sizeof *s->regs);
	return s->regs ? KD_OK : KD_E_NO_MEMORY;
}

static void forget(struct kd_session *s)
{
	for (size_t i = 0; i < MAX_CPUS; i++)
		if (s->regs->cpus[i])
			s->regs->cpus[i]->has_context = s->regs->cpus[i]->has_special = false;
	s->regs->has_override = false;
	s->regs->pc_changed = false;
}

void kd__regs_destroy(struct kd_session *s)
{
	if (!s->regs)
		return;
	for (size_t i = 0; i < MAX_CPUS; i++)
		free(s->regs->cpus[i]);
	free(s->regs);
	s->regs = NULL;
}

void kd__regs_on_stop(struct kd_session *s)
{
	forget(s);
}

void kd__regs_on_resume(struct kd_session *s)
{
	forget(s);
}

void kd__regs_on_restart(struct kd_session *s)
{
	forget(s);
	s->regs->no_context_api = false;
}

void kd__regs_note_stop(struct kd_session *s, const struct kd_state_change *change)
{
	if (s->arch)
		s->arch->report(&s->regs->report, change);
	else
		memset(&s->regs->report, 0, sizeof s->regs->report);
}

const struct kd__report *kd__regs_report(const struct kd_session *s)
{
	return &s->regs->report;
}

bool kd__regs_pc_changed(const struct kd_session *s)
{
	return s->regs->pc_changed;
}

static enum kd_status need_arch(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	if (!s->arch)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "no register support for machine type 0x%04x", s->machine);
	return KD_OK;
}

static enum kd_status get_cpu(struct kd_session *s, uint32_t n, struct cpu **ret,
			      struct kd_error *err)
{
	if (n >= MAX_CPUS || n >= s->n_processors)
		return kd_error_set(err, KD_E_INVALID, 0, "no processor %u: the target has %u", n,
				    s->n_processors);
	if (!s->regs->cpus[n])
		s->regs->cpus[n] = calloc(1, sizeof *s->regs->cpus[n]);
	*ret = s->regs->cpus[n];
	return *ret ? KD_OK : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
}

static size_t context_size(const struct kd_session *s)
{
	return kd_context_layout(s->machine)->size;
}

static enum kd_status request_context(struct kd_session *s, uint32_t processor, bool ex,
				      struct kd_manipulate *m, struct kd_error *err)
{
	kd_manipulate_init(m, ex ? KD_API_GET_CONTEXT_EX : KD_API_GET_CONTEXT, s->machine,
			   (uint16_t)processor);
	if (ex)
		m->u.context_ex.count = (uint32_t)context_size(s);
	return kd__request_checked(s, m, err);
}

/* GetContext; VirtualBox' stub knows only GetContextEx. */
static enum kd_status fetch_context(struct kd_session *s, uint32_t n, struct cpu *cpu,
				    struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	if (cpu->has_context)
		return KD_OK;
	status = request_context(s, n, s->regs->no_context_api, &m, err);
	if (status == KD_E_TARGET && !s->regs->no_context_api) {
		status = request_context(s, n, true, &m, err);
		s->regs->no_context_api = status == KD_OK;
	}
	if (status != KD_OK)
		return kd_error_prefix(err, status, "registers of processor %u", n);
	if (m.data_size < context_size(s))
		return kd_error_set(err, KD_E_MALFORMED, 0,
				    "the context of processor %u has %zu bytes instead of %zu", n,
				    m.data_size, context_size(s));
	memcpy(cpu->context, m.data, context_size(s));
	cpu->has_context = true;
	return KD_OK;
}

static enum kd_status fetch_special(struct kd_session *s, uint32_t n, struct cpu *cpu,
				    struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	if (cpu->has_special)
		return KD_OK;
	kd_manipulate_init(&m, KD_API_READ_CONTROL_SPACE, s->machine, (uint16_t)n);
	m.u.read_memory.address = s->arch->special_address;
	m.u.read_memory.count = s->arch->special_size;
	status = kd__request_checked(s, &m, err);
	if (status != KD_OK)
		return kd_error_prefix(err, status, "special registers of processor %u", n);
	cpu->special_size = (uint32_t)KD_MIN(m.data_size, sizeof cpu->special);
	memset(cpu->special, 0, sizeof cpu->special);
	memcpy(cpu->special, m.data, cpu->special_size);
	cpu->has_special = true;
	return KD_OK;
}

static enum kd_status store_context(struct kd_session *s, uint32_t n, struct cpu *cpu,
				    struct kd_error *err)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_SET_CONTEXT, s->machine, (uint16_t)n);
	m.data = cpu->context;
	m.data_size = context_size(s);
	return kd__request_checked(s, &m, err);
}

static enum kd_status store_special(struct kd_session *s, uint32_t n, struct cpu *cpu,
				    struct kd_error *err)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_WRITE_CONTROL_SPACE, s->machine, (uint16_t)n);
	m.u.write_memory.address = s->arch->special_address;
	m.u.write_memory.count = cpu->special_size;
	m.data = cpu->special;
	m.data_size = cpu->special_size;
	return kd__request_checked(s, &m, err);
}

/* Where a register lives: a field of the CONTEXT or of the special registers, or a part of it. */
struct place {
	const struct kd_reg_field *field;
	bool is_special;
	uint8_t shift, bits; /* bits 0: the whole field */
};

static bool find_place(const struct kd_session *s, const char *name, struct place *ret)
{
	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < s->arch->n_parts; i++) {
		if (strcasecmp(s->arch->parts[i].name, name))
			continue;
		name = s->arch->parts[i].whole;
		ret->shift = s->arch->parts[i].shift;
		ret->bits = s->arch->parts[i].bits;
		break;
	}
	ret->field = kd_reg_find(kd_context_layout(s->machine), name);
	if (ret->field)
		return true;
	ret->field = kd_reg_find(kd_special_layout(s->machine), name);
	ret->is_special = true;
	return ret->field;
}

static enum kd_status locate(struct kd_session *s, uint32_t n, const char *name,
			     struct place *place, uint8_t **bytes_ret, struct cpu **cpu_ret,
			     struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	if (!find_place(s, name, place))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no register '%s'", name);
	status = get_cpu(s, n, cpu_ret, err);
	if (status != KD_OK)
		return status;
	status = place->is_special ? fetch_special(s, n, *cpu_ret, err)
				   : fetch_context(s, n, *cpu_ret, err);
	*bytes_ret = place->is_special ? (*cpu_ret)->special : (*cpu_ret)->context;
	return status;
}

static uint64_t mask_of(uint8_t bits)
{
	return bits >= 64 || bits == 0 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static uint64_t extract(const uint8_t *bytes, const struct place *p)
{
	return kd_reg_get(bytes, p->field) >> p->shift & mask_of(p->bits);
}

enum kd_status kd__regs_get(struct kd_session *s, uint32_t processor, const char *name,
			    uint64_t *value_ret, struct kd_error *err)
{
	struct place place;
	struct cpu *cpu;
	uint8_t *bytes;
	enum kd_status status = locate(s, processor, name, &place, &bytes, &cpu, err);

	if (status == KD_OK && place.field->size > 8)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "'%s' has %u bytes", name,
				    place.field->size);
	if (status == KD_OK)
		*value_ret = extract(bytes, &place);
	return status;
}

/* Writing a 32-bit part of a 64-bit register clears the upper half, as the processor does. */
static uint64_t merged(const uint8_t *bytes, const struct place *p, uint64_t value)
{
	uint64_t mask = mask_of(p->bits) << p->shift;

	if (!p->bits || (p->bits == 32 && p->field->size == 8))
		return value & mask_of(p->bits);
	return (kd_reg_get(bytes, p->field) & ~mask) | (value << p->shift & mask);
}

enum kd_status kd__regs_set(struct kd_session *s, uint32_t processor, const char *name,
			    uint64_t value, struct kd_error *err)
{
	struct place place;
	struct cpu *cpu;
	uint8_t *bytes;
	uint64_t before;
	enum kd_status status = locate(s, processor, name, &place, &bytes, &cpu, err);

	if (status != KD_OK)
		return status;
	if (place.field->size > 8)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "'%s' cannot be set as one number", name);
	before = kd_reg_get(bytes, place.field);
	kd_reg_set(bytes, place.field, merged(bytes, &place, value));
	status = place.is_special ? store_special(s, processor, cpu, err)
				  : store_context(s, processor, cpu, err);
	if (status != KD_OK) {
		kd_reg_set(bytes, place.field, before);
		return kd_error_prefix(err, status, "setting '%s'", name);
	}
	if (processor == s->owner && !strcasecmp(place.field->name, s->arch->pc)) {
		s->regs->pc_changed = true;
		s->stop.pc = kd__normalise(s, value);
	}
	s->generation++;
	return KD_OK;
}

enum kd_status kd__regs_pc(struct kd_session *s, uint32_t processor, uint64_t *ret,
			   struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	if (processor == s->owner) {
		*ret = s->stop.pc;
		return KD_OK;
	}
	status = kd__regs_get(s, processor, s->arch->pc, ret, err);
	*ret = kd__normalise(s, *ret);
	return status;
}

/* --- the public face: the selected processor, or the context being looked at --- */

KD_EXPORT const struct kd_register_info *kd_register_table(struct kd_session *s, size_t *n_ret)
{
	*n_ret = s->arch ? s->arch->n_registers : 0;
	return s->arch ? s->arch->registers : NULL;
}

static enum kd_status find_override(struct kd_session *s, const char *name, struct place *place,
				    struct kd_error *err)
{
	if (!find_place(s, name, place))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no register '%s'", name);
	if (!place->is_special)
		return KD_OK;
	return KD_E_AGAIN; /* control registers: the processor's */
}

KD_EXPORT enum kd_status kd_register_get(struct kd_session *s, const char *name,
					 uint64_t *value_ret, struct kd_error *err)
{
	struct place place;
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	if (s->regs->has_override) {
		status = find_override(s, name, &place, err);
		if (status == KD_OK && place.field->size > 8)
			return kd_error_set(err, KD_E_TOO_BIG, 0, "'%s' has %u bytes", name,
					    place.field->size);
		if (status == KD_OK)
			*value_ret = extract(s->regs->override, &place);
		if (status != KD_E_AGAIN)
			return status;
	}
	return kd__regs_get(s, s->processor, name, value_ret, err);
}

KD_EXPORT enum kd_status kd_register_set(struct kd_session *s, const char *name, uint64_t value,
					 struct kd_error *err)
{
	enum kd_status status;

	if (s->regs->has_override)
		return kd_error_set(
			err, KD_E_INVALID, 0,
			"registers of another context are shown: .cxr or .thread without "
			"an argument returns to the processor's");
	status = kd__need_write(s, err);
	return status == KD_OK ? kd__regs_set(s, s->processor, name, value, err) : status;
}

KD_EXPORT enum kd_status kd_register_read_bytes(struct kd_session *s, const char *name,
						void *buffer, size_t size, size_t *size_ret,
						struct kd_error *err)
{
	struct place place;
	struct cpu *cpu;
	uint8_t *bytes;
	uint64_t value;
	enum kd_status status = locate(s, s->processor, name, &place, &bytes, &cpu, err);

	if (status != KD_OK)
		return status;
	if (s->regs->has_override && !place.is_special)
		bytes = s->regs->override;
	*size_ret = place.bits ? (place.bits + 7u) / 8u : place.field->size;
	if (*size_ret > size)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "'%s' has %zu bytes", name, *size_ret);
	if (place.field->size > 8) {
		memcpy(buffer, bytes + place.field->offset, *size_ret);
		return KD_OK;
	}
	value = extract(bytes, &place);
	kd_put_sized(buffer, *size_ret, value);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_register_pc(struct kd_session *s, uint64_t *ret, struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	if (!s->regs->has_override)
		return kd__regs_pc(s, s->processor, ret, err);
	status = kd_register_get(s, s->arch->pc, ret, err);
	*ret = kd__normalise(s, *ret);
	return status;
}

KD_EXPORT enum kd_status kd_register_sp(struct kd_session *s, uint64_t *ret, struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	status = kd_register_get(s, s->arch->sp, ret, err);
	if (status == KD_OK)
		*ret = kd__normalise(s, *ret);
	return status;
}

KD_EXPORT enum kd_status kd_context_set(struct kd_session *s, const void *context, size_t size,
					struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	s->regs->has_override = false;
	if (!context)
		return KD_OK;
	if (size != context_size(s))
		return kd_error_set(err, KD_E_INVALID, 0, "a context of this machine has %zu bytes",
				    context_size(s));
	memcpy(s->regs->override, context, size);
	s->regs->has_override = true;
	return KD_OK;
}

enum kd_status kd__regs_context(struct kd_session *s, uint32_t processor, uint8_t *bytes,
				size_t *size_ret, struct kd_error *err)
{
	struct cpu *cpu;
	enum kd_status status = need_arch(s, err);

	if (status == KD_OK)
		status = get_cpu(s, processor, &cpu, err);
	if (status == KD_OK)
		status = fetch_context(s, processor, cpu, err);
	if (status != KD_OK)
		return status;
	*size_ret = context_size(s);
	memcpy(bytes, cpu->context, *size_ret);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_context_get(struct kd_session *s, void *context, size_t size,
					size_t *size_ret, struct kd_error *err)
{
	enum kd_status status = need_arch(s, err);

	if (status != KD_OK)
		return status;
	*size_ret = context_size(s);
	if (size < *size_ret)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "a context of this machine has %zu bytes",
				    *size_ret);
	if (s->regs->has_override) {
		memcpy(context, s->regs->override, *size_ret);
		return KD_OK;
	}
	return kd__regs_context(s, s->processor, context, size_ret, err);
}

KD_EXPORT bool kd_context_is_set(const struct kd_session *s)
{
	return s->regs->has_override;
}
