/* SPDX-License-Identifier: MIT */
/*
 * KDNET in the place of a transport: it carries no bytes, but has a name, a state and perhaps a tap
 * like the others. Its packets go through lib/io/carrier_net.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/net_port.h"
#include "lib/io/transport_private.h"

struct net_transport {
	struct kd_transport base; /* first */
	struct kd_endpoint ep;
	struct kd_net_host *host;
};

static enum kd_status net_connect(struct kd_transport *t, struct kd_error *err)
{
	struct net_transport *n = (struct net_transport *)t;

	return n->host ? KD_OK : kd_net_host_open(&n->ep, &n->host, err);
}

static enum kd_status net_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err)
{
	(void)buf;
	(void)size;
	*n_ret = 0;
	return kd_error_set(err, KD_E_AGAIN, 0, "%s carries packets, not bytes", t->name);
}

static enum kd_status net_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				size_t *n_ret, struct kd_error *err)
{
	(void)buf;
	(void)size;
	*n_ret = 0;
	return kd_error_set(err, KD_E_UNSUPPORTED, 0, "%s carries packets, not bytes", t->name);
}

static void net_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct net_transport *n = (const struct net_transport *)t;

	if (n->host)
		kd_net_host_poll(n->host, ret);
	else
		*ret = (struct kd_poll){ .fd = -1, .deadline = KD_TIME_NEVER };
}

static void net_destroy(struct kd_transport *t)
{
	struct net_transport *n = (struct net_transport *)t;

	kd_net_host_close(n->host);
	explicit_bzero(n, sizeof *n); /* the endpoint has the key */
	free(n);
}

static const struct kd_transport_ops net_ops = { "net",     net_connect, net_read,
						 net_write, net_poll,    net_destroy };

enum kd_status kd__net_create(const struct kd_endpoint *ep, const struct kd_open_options *options,
			      struct kd_transport **t_ret, struct kd_error *err)
{
	struct net_transport *n = (struct net_transport *)kd__transport_new(sizeof *n, &net_ops,
									    ep);

	(void)options;
	if (!n)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	n->ep = *ep;
	n->base.info.is_listening = true;
	*t_ret = &n->base;
	return KD_OK;
}

struct kd_net_host *kd_transport_net_host(struct kd_transport *t)
{
	t = kd__transport_below_tap(t);
	return t->ops == &net_ops ? ((struct net_transport *)t)->host : NULL;
}

void kd__transport_net_up(struct kd_transport *t, bool is_up)
{
	struct kd_transport *net = kd__transport_below_tap(t);

	net->info.generation += is_up && !net->info.is_up;
	net->info.is_up = is_up;
	if (t != net)
		kd__transport_mirror(t, net);
}
