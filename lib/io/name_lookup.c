/* SPDX-License-Identifier: MIT */
#include "lib/io/name_lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Belongs to the asking thread and to the resolver's thread: whoever is done last frees it. The
 * results are written before `done` is triggered and read after it was seen.
 */
struct lookup {
	atomic_int n_owners;
	struct kd_cancel done; /* used as the wake-up of the asking thread */
	char host[256], service[8];
	int result; /* of getaddrinfo() */
	struct kd__addresses addresses;
};

static void release(struct lookup *l)
{
	if (atomic_fetch_sub(&l->n_owners, 1) != 1)
		return;
	kd_cancel_deinit(&l->done);
	free(l);
}

static int resolve(const char *host, const char *service, int flags, struct kd__addresses *ret)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags }, *list;
	int result = getaddrinfo(host, service, &hints, &list);

	ret->n = 0;
	if (result != 0)
		return result;
	for (struct addrinfo *a = list; a && ret->n < KD__ADDRESSES_MAX; a = a->ai_next) {
		struct kd__address *to = &ret->row[ret->n];

		if (a->ai_addrlen > sizeof to->address)
			continue;
		to->family = a->ai_family;
		to->size = a->ai_addrlen;
		memcpy(&to->address, a->ai_addr, a->ai_addrlen);
		ret->n++;
	}
	freeaddrinfo(list);
	return ret->n ? 0 : EAI_NONAME;
}

static void *resolver_thread(void *argument)
{
	struct lookup *l = argument;

	l->result = resolve(l->host, l->service, AI_NUMERICSERV, &l->addresses);
	kd_cancel_trigger(&l->done);
	release(l);
	return NULL;
}

/* Signals are the program's business: they must not be delivered to this thread. */
static int start_thread(struct lookup *l)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int result;

	sigfillset(&all);
	if (pthread_attr_init(&attributes) != 0)
		return -1;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, &attributes, resolver_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return result;
}

static enum kd_status failure(const char *host, int result, struct kd_error *err)
{
	if (result == EAI_MEMORY)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return kd_error_set(err, result == EAI_SYSTEM ? KD_E_IO : KD_E_NOT_FOUND, 0,
			    "no address for the host \"%.100s\": %s", host, gai_strerror(result));
}

static enum kd_status wait_for(struct lookup *l, uint64_t deadline, const struct kd_cancel *cancel,
			       struct kd__addresses *ret, struct kd_error *err)
{
	struct kd_wait_fd fd = { .fd = l->done.fd, .want_read = true };
	enum kd_status s = kd_wait(&fd, 1, deadline, cancel, err);

	if (s == KD_E_TIMEOUT)
		return kd_error_set(err, s, 0, "no address for the host \"%.100s\" in time",
				    l->host);
	if (s != KD_OK)
		return s;
	/* The descriptor says that it is done, the flag makes the thread's writes visible. */
	if (!kd_cancel_is_set(&l->done))
		return kd_error_set(err, KD_E_IO, 0, "the resolver ended without an answer");
	if (l->result != 0)
		return failure(l->host, l->result, err);
	*ret = l->addresses;
	return KD_OK;
}

enum kd_status kd__name_lookup(const char *host, uint16_t port, uint64_t deadline,
			       const struct kd_cancel *cancel, struct kd__addresses *ret,
			       struct kd_error *err)
{
	struct lookup *l;
	enum kd_status s;
	char service[8];

	snprintf(service, sizeof service, "%u", port);
	if (resolve(host, service, AI_NUMERICHOST | AI_NUMERICSERV, ret) == 0)
		return KD_OK;
	l = calloc(1, sizeof *l);
	if (!l)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	snprintf(l->host, sizeof l->host, "%s", host);
	memcpy(l->service, service, sizeof service);
	s = kd_cancel_init(&l->done, err);
	if (s != KD_OK) {
		free(l);
		return s;
	}
	atomic_init(&l->n_owners, 2);
	if (start_thread(l) != 0) {
		atomic_store(&l->n_owners, 1);
		release(l);
		return kd_error_set(err, KD_E_IO, 0, "no thread for looking up \"%.100s\"", host);
	}
	s = wait_for(l, deadline, cancel, ret, err);
	release(l);
	return s;
}
