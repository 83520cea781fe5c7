/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/traffic_private.h"

/* --- flows --- */

static struct kd__flow **flow_bucket(struct kd_traffic *t, uint64_t id)
{
	return &t->flows[id % KD__BUCKETS];
}

struct kd__flow *kd__flow_find(const struct kd_traffic *t, uint64_t id)
{
	struct kd__flow *f = t->flows[id % KD__BUCKETS];

	while (f && f->info.id != id)
		f = f->in_bucket;
	return f;
}

static bool is_same_end(const uint8_t *a, uint16_t a_port, const uint8_t *b, uint16_t b_port,
			uint8_t family)
{
	return a_port == b_port && memcmp(a, b, family == 4 ? 4 : 16) == 0;
}

/* Is `other` the same connection, seen from its other end? */
static bool is_mirror(const struct kd_probe_facts *facts, const struct kd_probe_facts *other)
{
	return facts->family == other->family && facts->protocol == other->protocol &&
	       is_same_end(facts->local, facts->local_port, other->remote, other->remote_port,
			   facts->family) &&
	       is_same_end(facts->remote, facts->remote_port, other->local, other->local_port,
			   facts->family);
}

/* A conversation of its own, or that of the flow at the connection's other end. */
static struct kd__conversation *
find_conversation(struct kd_traffic *t, const struct kd_probe_facts *facts, bool *is_mirrored_ret)
{
	*is_mirrored_ret = false;
	for (struct kd__flow *f = t->last_flow; facts->is_loopback && f; f = f->previous)
		if (f->info.state == KD_TRAFFIC_FLOW_OPEN && !f->is_mirrored &&
		    is_mirror(facts, &f->conversation->facts)) {
			*is_mirrored_ret = true;
			return kd__conversation_ref(f->conversation);
		}
	return kd__conversation_create(facts);
}

static void describe(struct kd_traffic_flow *info, const struct kd_probe_facts *facts)
{
	int family = facts->family == 4 ? AF_INET : AF_INET6;

	info->family = facts->family;
	info->protocol = facts->protocol;
	info->is_inbound = facts->direction == KD_PROBE_IN;
	info->is_loopback = facts->is_loopback;
	info->pid = facts->pid;
	info->local_port = facts->local_port;
	info->remote_port = facts->remote_port;
	inet_ntop(family, facts->local, info->local, sizeof info->local);
	inet_ntop(family, facts->remote, info->remote, sizeof info->remote);
	kd__image_name(facts->path, facts->path_size, info->process, sizeof info->process);
	kd__clean_text(facts->path, facts->path_size, info->path, sizeof info->path);
}

static void unlink_flow(struct kd_traffic *t, struct kd__flow *f)
{
	struct kd__flow **at = flow_bucket(t, f->info.id);

	while (*at != f)
		at = &(*at)->in_bucket;
	*at = f->in_bucket;
	if (f->previous)
		f->previous->next = f->next;
	else
		t->first_flow = f->next;
	if (f->next)
		f->next->previous = f->previous;
	else
		t->last_flow = f->previous;
}

static void free_flow(struct kd_traffic *t, struct kd__flow *f)
{
	unlink_flow(t, f);
	if (f->info.state == KD_TRAFFIC_FLOW_OPEN)
		t->n_open--;
	else
		t->n_closed--;
	kd__conversation_unref(f->conversation);
	free(f);
}

struct kd__flow *kd__flow_add(struct kd_traffic *t, uint64_t id, const struct kd_probe_facts *facts,
			      uint64_t time_ns)
{
	struct kd__flow *f = t->n_open < KD__FLOWS_MAX ? calloc(1, sizeof *f) : NULL;
	struct kd__flow **bucket = flow_bucket(t, id);

	if (!f)
		return NULL;
	f->conversation = find_conversation(t, facts, &f->is_mirrored);
	if (!f->conversation) {
		free(f);
		return NULL;
	}
	f->info.id = id;
	f->info.opened_ns = f->info.last_ns = time_ns;
	f->is_confirmed = true;
	describe(&f->info, facts);
	f->in_bucket = *bucket;
	*bucket = f;
	f->previous = t->last_flow;
	if (t->last_flow)
		t->last_flow->next = f;
	else
		t->first_flow = f;
	t->last_flow = f;
	t->n_open++;
	return f;
}

static void forget_closed(struct kd_traffic *t)
{
	struct kd__flow *f = t->first_flow;

	while (t->n_closed > KD__CLOSED_MAX && f) {
		struct kd__flow *next = f->next;

		if (f->info.state == KD_TRAFFIC_FLOW_CLOSED)
			free_flow(t, f);
		f = next;
	}
}

void kd__flow_close(struct kd_traffic *t, struct kd__flow *flow)
{
	struct kd__item *next;

	for (struct kd__item *i = t->first_item; i; i = next) {
		next = i->next;
		if (i->flow == flow)
			kd__item_remove(t, i);
	}
	flow->info.state = KD_TRAFFIC_FLOW_CLOSED;
	t->n_open--;
	t->n_closed++;
	forget_closed(t);
}

void kd__flows_free(struct kd_traffic *t)
{
	while (t->first_item)
		kd__item_remove(t, t->first_item);
	while (t->first_flow)
		free_flow(t, t->first_flow);
}

/* --- items --- */

struct kd__item *kd__item_find(const struct kd_traffic *t, uint64_t id)
{
	struct kd__item *i = t->items[id % KD__BUCKETS];

	while (i && i->id != id)
		i = i->in_bucket;
	return i;
}

struct kd__item *kd__item_add(struct kd_traffic *t, struct kd__flow *flow, uint64_t id,
			      const uint8_t *bytes, size_t size)
{
	struct kd__item **bucket = &t->items[id % KD__BUCKETS];
	struct kd__item *i;

	if (t->n_items >= KD__ITEMS_MAX || size > KD__ITEM_BYTES_MAX - t->item_bytes)
		return NULL;
	i = calloc(1, sizeof *i);
	if (!i || !(i->bytes = malloc(size + 1))) {
		free(i);
		return NULL;
	}
	kd_copy(i->bytes, bytes, size);
	i->size = size;
	i->id = id;
	i->flow = flow;
	i->is_confirmed = true;
	i->in_bucket = *bucket;
	*bucket = i;
	i->previous = t->last_item;
	if (t->last_item)
		t->last_item->next = i;
	else
		t->first_item = i;
	t->last_item = i;
	t->n_items++;
	t->item_bytes += size;
	return i;
}

void kd__item_set_held(struct kd_traffic *t, struct kd__item *item, bool is_held)
{
	if (item->is_held == is_held)
		return;
	item->is_held = is_held;
	if (is_held) {
		t->n_held++;
		item->flow->info.held++;
	} else {
		t->n_held--;
		item->flow->info.held--;
	}
}

void kd__item_remove(struct kd_traffic *t, struct kd__item *item)
{
	struct kd__item **at = &t->items[item->id % KD__BUCKETS];

	kd__item_set_held(t, item, false);
	while (*at != item)
		at = &(*at)->in_bucket;
	*at = item->in_bucket;
	if (item->previous)
		item->previous->next = item->next;
	else
		t->first_item = item->next;
	if (item->next)
		item->next->previous = item->previous;
	else
		t->last_item = item->previous;
	t->n_items--;
	t->item_bytes -= item->size;
	free(item->bytes);
	free(item->edited);
	free(item);
}

const uint8_t *kd__item_bytes(const struct kd__item *item, size_t *size_ret)
{
	*size_ret = item->is_edited ? item->edited_size : item->size;
	return item->is_edited ? item->edited : item->bytes;
}

bool kd__item_copy(const struct kd__item *item, struct kd_traffic_item *ret)
{
	size_t size;
	const uint8_t *bytes = kd__item_bytes(item, &size);

	*ret = (struct kd_traffic_item){ .id = item->id,
					 .flow = item->flow->info.id,
					 .is_inbound = (item->flags & KD_PROBE_INBOUND) != 0,
					 .is_datagram = (item->flags & KD_PROBE_DATAGRAM) != 0,
					 .is_end = (item->flags & KD_PROBE_FIN) != 0,
					 .is_held = item->is_held,
					 .pid = item->pid,
					 .time_ns = item->time_ns,
					 .n_bytes = size,
					 .bytes = malloc(size + 1),
					 .original_size = item->size,
					 .is_edited = item->is_edited };
	if (ret->bytes)
		kd_copy(ret->bytes, bytes, size);
	return ret->bytes != NULL;
}
