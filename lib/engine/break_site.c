/* SPDX-License-Identifier: MIT */
/* Code breakpoints in the target: what is planted where. */
#include <string.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks_private.h"
#include "lib/engine/memory.h"

static struct site *site_find(const struct kd_session *s, uint64_t address)
{
	for (size_t i = 0; i < s->breaks->n_sites; i++)
		if (s->breaks->sites[i].address == address)
			return &s->breaks->sites[i];
	return NULL;
}

static bool is_same_journal(const struct kd__breaks *k, const struct kd__journal_entry *entries,
			    size_t n)
{
	for (size_t i = 0; i < n && n == k->n_journalled; i++)
		if (entries[i].address != k->journalled[i].address ||
		    entries[i].original != k->journalled[i].original)
			return false;
	return n == k->n_journalled;
}

/*
 * What may be planted until the next stop, on disk before any of it is. Entries of a debugger
 * before us that could not be repaired yet stay in it.
 */
static void journal(struct kd_session *s)
{
	struct kd__breaks *k = s->breaks;
	struct kd__journal_entry entries[KD__SITES + KD__LEFT_OVERS] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < k->n_sites; i++)
		if (k->sites[i].has_original)
			entries[n++] = (struct kd__journal_entry){ k->sites[i].address,
								   k->sites[i].original };
	for (size_t i = 0; i < k->n_left_overs; i++)
		entries[n++] = k->left_overs[i];
	if (is_same_journal(k, entries, n))
		return;
	memcpy(k->journalled, entries, n * sizeof entries[0]);
	k->n_journalled = n;
	kd__journal_write(s, entries, n);
}

bool kd__breaks_has_site(const struct kd_session *s, uint64_t address)
{
	for (size_t i = 0; i < s->breaks->n; i++) {
		const struct brk *b = s->breaks->list[i];

		if (b->pub.kind == KD_BREAKPOINT_CODE && kd__brk_wants(b) &&
		    b->pub.address == address)
			return true;
	}
	return kd__breaks_is_temp(s, address);
}

static enum kd_status restore(struct kd_session *s, struct site *site, struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	if (!site->handle)
		return KD_OK;
	kd_manipulate_init(&m, KD_API_RESTORE_BREAKPOINT, s->machine, (uint16_t)s->owner);
	m.u.restore_breakpoint.handle = site->handle;
	status = kd__request(s, &m, err); /* a refusal means that it is gone already */
	if (status == KD_OK)
		site->handle = 0;
	return status;
}

static void drop(struct kd__breaks *k, size_t i)
{
	k->sites[i] = k->sites[--k->n_sites];
}

static enum kd_status write_breakpoint(struct kd_session *s, struct site *site,
				       struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status;

	kd_manipulate_init(&m, KD_API_WRITE_BREAKPOINT, s->machine, (uint16_t)s->owner);
	m.u.write_breakpoint.address = site->address;
	status = kd__request_checked(s, &m, err);
	if (status == KD_OK)
		site->handle = m.u.write_breakpoint.handle;
	return status;
}

static enum kd_status plant(struct kd_session *s, struct site *site, struct kd_error *err)
{
	enum kd_status status = write_breakpoint(s, site, err);

	if (status == KD_E_TARGET)
		kd_error_set(err, status, site->address,
			     "the target refused a breakpoint at 0x%llx",
			     (unsigned long long)site->address);
	return status;
}

/* As the stopped processor sees them: that is where the target plants. */
static void read_originals(struct kd_session *s)
{
	for (size_t i = 0; i < s->breaks->n_sites; i++) {
		struct site *site = &s->breaks->sites[i];

		if (!site->has_original)
			site->has_original = kd__memory_read_here(s, site->address, &site->original,
								  1, NULL, NULL) == KD_OK;
	}
}

static enum kd_status want(struct kd_session *s, uint64_t address, struct kd_error *err)
{
	struct kd__breaks *k = s->breaks;

	if (site_find(s, address))
		return KD_OK;
	if (k->n_sites == KD__SITES)
		return kd_error_set(
			err, KD_E_FULL, address,
			"the target's breakpoint table has 32 entries and all are used: "
			"this step or go needs one (bd or bc frees one)");
	k->sites[k->n_sites++] = (struct site){ .address = address };
	return KD_OK;
}

/* Sites that nothing wants any more go; wanted ones exist. */
static enum kd_status update(struct kd_session *s, struct kd_error *err)
{
	struct kd__breaks *k = s->breaks;
	enum kd_status status = KD_OK;

	for (size_t i = k->n_sites; i-- > 0 && status == KD_OK;) {
		if (kd__breaks_has_site(s, k->sites[i].address))
			continue;
		status = restore(s, &k->sites[i], err);
		if (status == KD_OK)
			drop(k, i);
	}
	for (size_t i = 0; i < k->n_temps && status == KD_OK; i++)
		status = want(s, k->temps[i], err);
	for (size_t i = 0; i < k->n && status == KD_OK; i++) {
		const struct brk *b = k->list[i];

		if (b->pub.kind == KD_BREAKPOINT_CODE && kd__brk_wants(b))
			status = want(s, b->pub.address, err);
	}
	return status;
}

bool kd__except_has(const struct kd__except *e, uint64_t address)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->at[i] == address)
			return true;
	return false;
}

static enum kd_status plant_missing(struct kd_session *s, const struct kd__except *except,
				    struct kd_error *err)
{
	struct kd__breaks *k = s->breaks;
	enum kd_status status = KD_OK;

	for (size_t i = 0; i < k->n_sites && status == KD_OK; i++) {
		struct site *site = &k->sites[i];

		if (kd__except_has(except, site->address))
			status = restore(s, site, err);
		else if (!site->handle)
			status = plant(s, site, err);
	}
	return status;
}

enum kd_status kd__breaks_plant(struct kd_session *s, const struct kd__except *except,
				struct kd_error *err)
{
	enum kd_status status = update(s, err);

	if (status != KD_OK)
		return status;
	read_originals(s);
	journal(s);
	status = plant_missing(s, except, err);
	if (status == KD_E_TARGET) {
		/* Full, or an entry that we lost track of: all anew in an empty table. */
		status = kd__breaks_clear_table(s, err);
		if (status == KD_OK)
			status = plant_missing(s, except, err);
	}
	return status == KD_OK ? kd__slots_write(s, err) : status;
}

enum kd_status kd__breaks_unplant_range(struct kd_session *s, uint64_t address, uint64_t size,
					struct kd_error *err)
{
	enum kd_status status = KD_OK;

	for (size_t i = 0; i < s->breaks->n_sites && status == KD_OK; i++) {
		struct site *site = &s->breaks->sites[i];

		if (site->address - address >= size)
			continue;
		status = restore(s, site, err);
		site->has_original = false; /* the byte under it may be about to change */
	}
	return status;
}

/* The journal keeps what is out only for a while: it says what may be there, not what is. */
enum kd_status kd__breaks_unplant_all(struct kd_session *s, struct kd_error *err)
{
	enum kd_status first = KD_OK;

	for (size_t i = 0; i < s->breaks->n_sites; i++) {
		enum kd_status status = restore(s, &s->breaks->sites[i],
						first == KD_OK ? err : NULL);

		first = first == KD_OK ? status : first;
		if (status != KD_OK && status != KD_E_MALFORMED)
			break; /* nobody hears us any more */
	}
	return first;
}

enum kd_status kd__breaks_clear_table(struct kd_session *s, struct kd_error *err)
{
	for (uint32_t handle = 1; handle <= KD__SITES; handle++) {
		struct kd_manipulate m;
		enum kd_status status;

		kd_manipulate_init(&m, KD_API_RESTORE_BREAKPOINT, s->machine, (uint16_t)s->owner);
		m.u.restore_breakpoint.handle = handle;
		status = kd__request(s, &m, err);
		if (status != KD_OK)
			return status;
	}
	for (size_t i = 0; i < s->breaks->n_sites; i++)
		s->breaks->sites[i].handle = 0;
	return KD_OK;
}

void kd__sites_forget(struct kd_session *s)
{
	s->breaks->n_sites = 0;
	s->breaks->slots_written = false;
}

void kd__breaks_note_lost(struct kd_session *s)
{
	s->breaks->maybe_planted |= kd__breaks_any_planted(s);
}

void kd__breaks_note_clean(struct kd_session *s)
{
	s->breaks->maybe_planted = false;
}

void kd__sites_forget_range(struct kd_session *s, uint64_t base, uint64_t size)
{
	for (size_t i = s->breaks->n_sites; i-- > 0;)
		if (s->breaks->sites[i].address - base < size && !s->breaks->sites[i].handle)
			drop(s->breaks, i);
}

void kd__breaks_hide(const struct kd_session *s, uint64_t address, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < s->breaks->n_sites; i++) {
		const struct site *site = &s->breaks->sites[i];

		if (site->handle && site->has_original && site->address - address < size &&
		    s->arch && bytes[site->address - address] == s->arch->breakpoint[0])
			bytes[site->address - address] = site->original;
	}
}

void kd__breaks_note_stream(struct kd_session *s, uint64_t pc, uint32_t count)
{
	for (size_t i = 0; i < s->breaks->n_sites; i++)
		if (s->breaks->sites[i].address - pc < count)
			s->breaks->sites[i].handle = 0;
}

enum kd_status kd__breaks_add_temp(struct kd_session *s, uint64_t address, struct kd_error *err)
{
	struct kd__breaks *k = s->breaks;

	if (kd__breaks_is_temp(s, address))
		return KD_OK;
	if (k->n_temps == KD__TEMPS)
		return kd_error_set(err, KD_E_FULL, address, "at most %d addresses to run to",
				    KD__TEMPS);
	k->temps[k->n_temps++] = address;
	return KD_OK;
}

bool kd__breaks_is_temp(const struct kd_session *s, uint64_t address)
{
	for (size_t i = 0; i < s->breaks->n_temps; i++)
		if (s->breaks->temps[i] == address)
			return true;
	return false;
}

void kd__breaks_drop_temps(struct kd_session *s)
{
	s->breaks->n_temps = 0;
}

enum kd_status kd__breaks_withdraw(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__breaks_unplant_all(s, err);
	enum kd_status slots = kd__slots_clear(s, status == KD_OK ? err : NULL);

	kd__breaks_drop_temps(s);
	if (status == KD_OK) {
		kd__sites_forget(s);
		journal(s);
	}
	return status == KD_OK ? slots : status;
}

bool kd__breaks_any_planted(const struct kd_session *s)
{
	for (size_t i = 0; i < s->breaks->n_sites; i++)
		if (s->breaks->sites[i].handle)
			return true;
	return s->breaks->slots_used || s->breaks->maybe_planted;
}
