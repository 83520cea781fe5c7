/* SPDX-License-Identifier: MIT */
#include "lib/io/carrier.h"

bool kd_carrier_notices_reverts(const struct kd_carrier *c)
{
	return c->ops->notices_reverts && c->ops->notices_reverts(c);
}

void kd_carrier_destroy(struct kd_carrier *c)
{
	if (c)
		c->ops->destroy(c);
}

enum kd_status kd_carrier_run(struct kd_carrier *c, uint64_t deadline,
			      struct kd_link_event *event_ret, struct kd_error *err)
{
	return c->ops->run(c, deadline, event_ret, err);
}

enum kd_status kd_carrier_send(struct kd_carrier *c, uint16_t type, const void *header,
			       size_t header_size, const void *data, size_t data_size)
{
	return c->ops->send(c, type, header, header_size, data, data_size);
}

void kd_carrier_cancel(struct kd_carrier *c)
{
	c->ops->cancel(c);
}

void kd_carrier_break_in(struct kd_carrier *c)
{
	c->ops->break_in(c);
}

void kd_carrier_reset(struct kd_carrier *c)
{
	c->ops->reset(c);
}

void kd_carrier_ask_resend(struct kd_carrier *c)
{
	c->ops->ask_resend(c);
}

bool kd_carrier_is_busy(const struct kd_carrier *c)
{
	return c->ops->is_busy(c);
}

bool kd_carrier_is_synced(const struct kd_carrier *c)
{
	return c->ops->is_synced(c);
}

void kd_carrier_counters(const struct kd_carrier *c, struct kd_link_counters *ret)
{
	c->ops->counters(c, ret);
}

void kd_carrier_describe(const struct kd_carrier *c, char *text, size_t size)
{
	c->ops->describe(c, text, size);
}
