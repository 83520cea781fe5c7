/* SPDX-License-Identifier: MIT */
/*
 * RESET: both directions restart at the initial id. Rules against storms: two of ours are never
 * closer than reset_gap, one that comes while ours is unanswered or young is the answer and is
 * not answered, and nothing is queued twice.
 */
#include "core/link/link_internal.h"

/* A guest may be paused: the answer to a RESET can take so many reset_gaps. */
enum { ANSWER_GAPS = 10 };

/* Also not while a break-in byte needs silence behind it. */
uint64_t kd__link_reset_due(const struct kd_link *l)
{
	uint64_t gap = l->reset_sent ? kd__time_add(l->reset_sent_at, l->cfg.reset_gap) : 0;
	uint64_t quiet = l->break_sent ? kd__time_add(l->break_sent_at, l->cfg.break_quiet) : 0;

	if (!l->reset_wanted)
		return KD_TIME_NEVER;
	return gap > quiet ? gap : quiet;
}

bool kd__link_reset_is_recent(const struct kd_link *l)
{
	return l->reset_sent && l->now < kd__time_add(l->reset_sent_at, l->cfg.reset_gap);
}

/*
 * Is the RESET that just came the answer to ours? However slow the peer is; but one that never
 * answered is not waited for for ever.
 */
bool kd__link_reset_is_answer(const struct kd_link *l)
{
	uint64_t limit = l->reset_sent_at;

	for (size_t i = 0; i < ANSWER_GAPS; i++)
		limit = kd__time_add(limit, l->cfg.reset_gap);
	return kd__link_reset_is_recent(l) || (l->reset_pending && l->now < limit);
}

/*
 * A debugger's answer to a RESET is answered again by NT's targets, which answer every one. What
 * a target sends is always the last of a pair.
 */
void kd__link_reset_now(struct kd_link *l)
{
	l->reset_wanted = false;
	l->reset_sent = true;
	l->reset_sent_at = l->now;
	l->reset_pending = l->cfg.role == KD_LINK_DEBUGGER;
	l->counters.resets_sent++;
	kd__link_control(l, KD_PACKET_RESET, 0);
}

/* A RESET of our own accord: what comes next may have any id. */
void kd__link_reset_ask(struct kd_link *l)
{
	kd__link_reset_now(l);
	l->reset_pending = true;
	l->rx_fresh = true;
}

void kd_link_reset(struct kd_link *l, uint64_t now)
{
	l->now = now;
	l->reset_wanted = true;
	if (now >= kd__link_reset_due(l))
		kd__link_reset_ask(l);
}

/* A RESET came, whoever began. Whatever follows it on the wire counts from the start. */
void kd__link_ids_restart(struct kd_link *l)
{
	l->next_send = KD_PACKET_ID_INITIAL;
	l->expected = KD_PACKET_ID_INITIAL;
	l->rx_fresh = true;
	l->is_synced = true;
	l->tx_cancelled = false;
	l->complained = false;
	l->odd_run = 0;
	l->dup_run = 0;
	l->reset_wanted = false;
}
