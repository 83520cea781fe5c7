/* SPDX-License-Identifier: MIT */
/* Everything that is not memory: control space, ports, model-specific registers, buses. */
#include "core/target/target_internal.h"

/*
 * Control space of 64-bit machines: the "address" is a selector. The special registers can be asked
 * for in part and are then cut off at the end; the others are one pointer each.
 */
enum { SELECT_KPCR, SELECT_KPRCB, SELECT_SPECIAL, SELECT_KTHREAD };

static const uint8_t pointer_of[] = {
	[SELECT_KPCR] = KD_TARGET_KPCR,
	[SELECT_KPRCB] = KD_TARGET_KPRCB,
	[SELECT_KTHREAD] = KD_TARGET_KTHREAD,
};

static bool select_64(struct kd_target *t, uint16_t processor, uint64_t selector, size_t *size_ret)
{
	uint64_t pointer;

	if (selector == SELECT_SPECIAL) {
		*size_ret = t->special_size;
		return t->ops->get_special(t->user, processor, t->scratch);
	}
	if (selector > SELECT_KTHREAD || !t->ops->get_pointer)
		return false;
	pointer = t->ops->get_pointer(t->user, processor,
				      (enum kd_target_pointer)pointer_of[selector]);
	kd_put64(t->scratch, pointer);
	*size_ret = 8;
	return pointer != 0;
}

/* x86: CONTEXT and special registers, one after the other. */
static bool get_state_32(struct kd_target *t, uint16_t processor)
{
	return t->ops->get_context(t->user, processor, t->scratch) &&
	       t->ops->get_special(t->user, processor, t->scratch + t->context_size);
}

static bool is_within(uint64_t offset, uint32_t count, size_t size)
{
	return offset <= size && count <= size - offset;
}

uint32_t kd__target_read_control(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_read_memory *r = &c->m.u.read_memory;
	const uint16_t processor = c->m.hdr.processor;
	size_t size = r->count < c->room ? r->count : c->room;
	size_t offset = 0, there = 0;

	r->actual = 0;
	if (!kd__target_has_processor(t, processor))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	if (t->machine->is_32bit) {
		there = t->context_size + t->special_size;
		if (!is_within(r->address, r->count, there) || !get_state_32(t, processor))
			return (uint32_t)KD_NT_UNSUCCESSFUL;
		offset = (size_t)r->address;
	} else if (!select_64(t, processor, r->address, &there)) {
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	}
	if (size > there - offset)
		size = there - offset;
	kd_copy(c->out, t->scratch + offset, size);
	c->out_size = size;
	r->actual = (uint32_t)size;
	return KD_NT_SUCCESS;
}

static bool write_32(struct kd_target *t, uint16_t processor, uint64_t offset, const uint8_t *bytes,
		     size_t size)
{
	const size_t whole = t->context_size + t->special_size;

	if (!is_within(offset, (uint32_t)size, whole) || !get_state_32(t, processor))
		return false;
	kd_copy(t->scratch + offset, bytes, size);
	/* Only the half that was written to: a CONTEXT has its own permission. */
	if (offset < t->context_size && size &&
	    (!t->context_was_read || !t->ops->set_context(t->user, processor, t->scratch)))
		return false;
	return offset + size <= t->context_size ||
	       t->ops->set_special(t->user, processor, t->scratch + t->context_size);
}

/* Shorter than the structure: the rest stays as it is. */
static size_t write_64(struct kd_target *t, uint16_t processor, uint64_t selector,
		       const uint8_t *bytes, size_t size)
{
	if (size > t->special_size)
		size = t->special_size;
	if (selector != SELECT_SPECIAL || !t->ops->get_special(t->user, processor, t->scratch))
		return 0;
	kd_copy(t->scratch, bytes, size);
	return t->ops->set_special(t->user, processor, t->scratch) ? size : 0;
}

uint32_t kd__target_write_control(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_write_memory *w = &c->m.u.write_memory;
	const uint16_t processor = c->m.hdr.processor;

	w->actual = 0;
	if (c->in_is_short || !c->in_size || !kd__target_has_processor(t, processor))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	if (!t->machine->is_32bit)
		w->actual = (uint32_t)write_64(t, processor, w->address, c->in, c->in_size);
	else if (write_32(t, processor, w->address, c->in, c->in_size))
		w->actual = (uint32_t)c->in_size;
	return w->actual ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

/* --- ports --- */

enum { INTERFACE_ISA = 1, SPACE_IO = 1 };

static uint32_t check_port(const struct kd_target_port *p)
{
	if (p->size != 1 && p->size != 2 && p->size != 4)
		return (uint32_t)KD_NT_INVALID_PARAMETER;
	if (p->address & (p->size - 1))
		return (uint32_t)KD_NT_DATATYPE_MISALIGNMENT;
	return KD_NT_SUCCESS;
}

static uint32_t read_port(struct kd_target *t, const struct kd_target_port *p, uint32_t *value_ret)
{
	uint32_t status = check_port(p);
	uint32_t value = 0;

	if (status == KD_NT_SUCCESS)
		status = t->ops->read_port ? t->ops->read_port(t->user, p, &value)
					   : (uint32_t)KD_NT_UNSUCCESSFUL;
	*value_ret = status == KD_NT_SUCCESS ? value : 0;
	return status;
}

static uint32_t write_port(struct kd_target *t, const struct kd_target_port *p, uint32_t value)
{
	const uint32_t status = check_port(p);

	if (status != KD_NT_SUCCESS)
		return status;
	return t->ops->write_port ? t->ops->write_port(t->user, p, value)
				  : (uint32_t)KD_NT_UNSUCCESSFUL;
}

static struct kd_target_port port_of(const struct kd_w_io *io)
{
	return (struct kd_target_port){ INTERFACE_ISA, 0, SPACE_IO, io->address, io->size };
}

static struct kd_target_port port_of_extended(const struct kd_w_io_extended *io)
{
	return (struct kd_target_port){ io->interface_type, io->bus_number, io->address_space,
					io->address, io->size };
}

uint32_t kd__target_read_io(struct kd_target *t, struct kd__target_call *c)
{
	const struct kd_target_port port = port_of(&c->m.u.io);

	return read_port(t, &port, &c->m.u.io.value);
}

uint32_t kd__target_write_io(struct kd_target *t, struct kd__target_call *c)
{
	const struct kd_target_port port = port_of(&c->m.u.io);

	return write_port(t, &port, c->m.u.io.value);
}

uint32_t kd__target_read_io_extended(struct kd_target *t, struct kd__target_call *c)
{
	const struct kd_target_port port = port_of_extended(&c->m.u.io_extended);

	return read_port(t, &port, &c->m.u.io_extended.value);
}

uint32_t kd__target_write_io_extended(struct kd_target *t, struct kd__target_call *c)
{
	const struct kd_target_port port = port_of_extended(&c->m.u.io_extended);

	return write_port(t, &port, c->m.u.io_extended.value);
}

/* --- MSRs: those of the processor that the request names, if it exists, else of the stopped one
 * --- */

static uint16_t msr_processor(const struct kd_target *t, const struct kd__target_call *c)
{
	return kd__target_has_processor(t, c->m.hdr.processor) ? c->m.hdr.processor : t->processor;
}

uint32_t kd__target_read_msr(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_msr *m = &c->m.u.msr;
	uint64_t value = 0;

	if (!t->ops->read_msr || !t->ops->read_msr(t->user, msr_processor(t, c), m->msr, &value))
		return (uint32_t)KD_NT_NO_SUCH_DEVICE;
	m->value_low = (uint32_t)value;
	m->value_high = (uint32_t)(value >> 32);
	return KD_NT_SUCCESS;
}

uint32_t kd__target_write_msr(struct kd_target *t, struct kd__target_call *c)
{
	const struct kd_w_msr *m = &c->m.u.msr;
	const uint64_t value = m->value_low | (uint64_t)m->value_high << 32;

	if (!t->ops->write_msr || !t->ops->write_msr(t->user, msr_processor(t, c), m->msr, value))
		return (uint32_t)KD_NT_NO_SUCH_DEVICE;
	return KD_NT_SUCCESS;
}

/* --- buses --- */

static struct kd_target_bus bus_of(const struct kd_w_bus_data *b)
{
	return (struct kd_target_bus){ b->bus_data_type, b->bus_number, b->slot_number, b->offset };
}

uint32_t kd__target_get_bus_data(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_bus_data *b = &c->m.u.bus_data;
	const struct kd_target_bus from = bus_of(b);
	size_t size = b->length < c->room ? b->length : c->room;

	if (t->ops->read_bus)
		c->out_size = t->ops->read_bus(t->user, &from, c->out, size);
	if (c->out_size > size)
		c->out_size = size;
	b->length = (uint32_t)c->out_size;
	return c->out_size ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

uint32_t kd__target_set_bus_data(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_bus_data *b = &c->m.u.bus_data;
	const struct kd_target_bus to = bus_of(b);
	size_t done = 0;

	if (t->ops->write_bus && !c->in_is_short)
		done = t->ops->write_bus(t->user, &to, c->in, c->in_size);
	b->length = (uint32_t)done;
	return done ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}
