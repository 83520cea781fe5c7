/* SPDX-License-Identifier: MIT */
#include "lib/shark/mutation_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KINDS_MAX = 1024, FLOWS = 8192, RECORDS_MAX = 1000000, BUCKETS = 65536 };

/* --- names --- */

struct kind {
	char process[64];
	uint8_t protocol;
	uint16_t port;
	uint32_t n_flows;
};

struct named_flow {
	uint64_t id; /* 0: free */
	uint32_t number, items[2];
};

struct kd__payload_names {
	struct kind kinds[KINDS_MAX];
	size_t n_kinds;
	struct named_flow flows[FLOWS]; /* by id; a new one takes an old one's place */
};

struct kd__payload_names *kd__payload_names_create(void)
{
	return calloc(1, sizeof(struct kd__payload_names));
}

void kd__payload_names_destroy(struct kd__payload_names *n)
{
	free(n);
}

void kd__payload_names_reset(struct kd__payload_names *n)
{
	memset(n, 0, sizeof *n);
}

static struct kind *kind_of(struct kd__payload_names *n, const struct kd__payload_name *name)
{
	for (size_t i = 0; i < n->n_kinds; i++)
		if (n->kinds[i].port == name->port && n->kinds[i].protocol == name->protocol &&
		    strcmp(n->kinds[i].process, name->process) == 0)
			return &n->kinds[i];
	if (n->n_kinds == KINDS_MAX)
		return &n->kinds[0];
	snprintf(n->kinds[n->n_kinds].process, sizeof n->kinds[0].process, "%s", name->process);
	n->kinds[n->n_kinds].protocol = name->protocol;
	n->kinds[n->n_kinds].port = name->port;
	return &n->kinds[n->n_kinds++];
}

void kd__payload_name_next(struct kd__payload_names *n, uint64_t flow, const char *process,
			   uint8_t protocol, uint16_t port, bool is_inbound,
			   struct kd__payload_name *ret)
{
	struct named_flow *f = &n->flows[flow % FLOWS];

	*ret = (struct kd__payload_name){ .protocol = protocol,
					  .port = port,
					  .is_inbound = is_inbound };
	snprintf(ret->process, sizeof ret->process, "%s", process);
	if (f->id != flow)
		*f = (struct named_flow){ .id = flow, .number = ++kind_of(n, ret)->n_flows };
	ret->flow = f->number;
	ret->item = ++f->items[is_inbound];
}

void kd__payload_name_of(struct kd__payload_names *n, const struct kd_traffic_item *item,
			 const struct kd_traffic_flow *flow, struct kd__payload_name *ret)
{
	kd__payload_name_next(n, flow->id, flow->process, flow->protocol,
			      flow->is_inbound ? flow->local_port : flow->remote_port,
			      item->is_inbound, ret);
}

uint64_t kd__payload_name_hash(const struct kd__payload_name *name)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325);
	const uint64_t numbers[] = { name->protocol, name->port, name->flow, name->is_inbound,
				     name->item };

	for (const char *p = name->process; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001B3);
	for (size_t i = 0; i < KD_ARRAY_LEN(numbers); i++)
		h = (h ^ numbers[i]) * UINT64_C(0x100000001B3);
	return h;
}

static bool is_same_name(const struct kd__payload_name *a, const struct kd__payload_name *b)
{
	return a->protocol == b->protocol && a->port == b->port && a->flow == b->flow &&
	       a->is_inbound == b->is_inbound && a->item == b->item &&
	       strcmp(a->process, b->process) == 0;
}

/* --- writing --- */

struct kd__mutation_writer {
	FILE *file;
	char *path;
	int problem; /* errno */
};

static const char *const outcomes[] = {
	[KD__CHANGED] = "change", [KD__DROPPED] = "drop", [KD__RESET] = "reset"
};

enum kd_status kd__mutation_writer_create(const char *path, struct kd__mutation_writer **ret,
					  struct kd_error *err)
{
	struct kd__mutation_writer *w = calloc(1, sizeof *w);
	int fd = w ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;

	if (fd < 0) {
		int number = errno;

		free(w);
		return kd_error_set(err,
				    number == EEXIST   ? KD_E_EXISTS
				    : number == EACCES ? KD_E_DENIED
						       : KD_E_IO,
				    0, "%.150s: %s", path, strerror(number));
	}
	w->path = strdup(path);
	w->file = fdopen(fd, "w");
	*ret = w;
	return KD_OK;
}

static char *to_hex(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * size + 1);

	for (size_t i = 0; text && i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	if (text)
		text[2 * size] = '\0';
	return text;
}

char *kd__mutation_line(const struct kd__mutation_entry *entry)
{
	KD_CLEANUP(kd_freep) char *before = NULL;
	KD_CLEANUP(kd_freep) char *after = NULL;
	char *line;
	json_t *o;

	if (!entry->is_any)
		before = to_hex(entry->before, entry->before_size);
	after = to_hex(entry->after, entry->outcome == KD__CHANGED ? entry->after_size : 0);
	o = json_pack("{ss* ss si si ss si ss sI ss ss* ss*}", "process", entry->name->process,
		      "protocol", entry->name->protocol == 6 ? "tcp" : "udp", "port",
		      (int)entry->name->port, "flow", (int)entry->name->flow, "direction",
		      entry->name->is_inbound ? "in" : "out", "item", (int)entry->name->item,
		      "mutator", entry->mutator, "seed", (json_int_t)entry->seed, "outcome",
		      outcomes[entry->outcome], "before", before, "after", after);
	line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return line;
}

void kd__mutation_write_line(struct kd__mutation_writer *w, const char *line)
{
	if (!w || !w->file)
		return;
	if (!line || fputs(line, w->file) == EOF || fputc('\n', w->file) == EOF ||
	    fflush(w->file) != 0)
		w->problem = errno ? errno : ENOMEM;
}

void kd__mutation_write(struct kd__mutation_writer *w, const struct kd__mutation_entry *entry)
{
	KD_CLEANUP(kd_freep) char *line = w ? kd__mutation_line(entry) : NULL;

	kd__mutation_write_line(w, line);
}

enum kd_status kd__mutation_writer_close(struct kd__mutation_writer *w, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	if (!w)
		return KD_OK;
	if (w->file && fclose(w->file) != 0)
		w->problem = errno;
	if (w->problem)
		s = kd_error_set(err, KD_E_IO, 0, "%.150s is not complete: %s", w->path,
				 strerror(w->problem));
	free(w->path);
	free(w);
	return s;
}

/* --- replaying --- */

struct record {
	struct record *next; /* in its bucket */
	struct kd__payload_name name;
	uint64_t line, seed;
	enum kd__outcome outcome;
	uint8_t *before, *after;
	size_t before_size, after_size;
	bool is_any, is_done;
};

struct kd__mutation_replay {
	struct record *buckets[BUCKETS];
	uint64_t n, done;
};

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *text, uint8_t **ret, size_t *size_ret)
{
	size_t n = text ? strlen(text) : 0;

	if (!text || n % 2 || n / 2 > KD__MUTATE_MAX || !(*ret = malloc(n / 2 + 1)))
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		if (digit(text[2 * i]) < 0 || digit(text[2 * i + 1]) < 0)
			return false;
		(*ret)[i] = (uint8_t)(digit(text[2 * i]) * 16 + digit(text[2 * i + 1]));
	}
	*size_ret = n / 2;
	return true;
}

static void free_record(struct record *r)
{
	if (r) {
		free(r->before);
		free(r->after);
	}
	free(r);
}

static bool read_outcome(const char *text, enum kd__outcome *ret)
{
	for (size_t i = 0; text && i < KD_ARRAY_LEN(outcomes); i++)
		if (outcomes[i] && strcmp(outcomes[i], text) == 0) {
			*ret = (enum kd__outcome)i;
			return true;
		}
	return false;
}

/* NULL: the line makes no sense. */
static struct record *read_record(const char *text, uint64_t line)
{
	struct record *r = calloc(1, sizeof *r);
	json_t *o = json_loads(text, 0, NULL);
	const char *process = json_string_value(json_object_get(o, "process"));
	const char *protocol = json_string_value(json_object_get(o, "protocol"));
	const char *direction = json_string_value(json_object_get(o, "direction"));
	const char *before = json_string_value(json_object_get(o, "before"));
	bool good = r && process && protocol && direction &&
		    read_outcome(json_string_value(json_object_get(o, "outcome")), &r->outcome) &&
		    (!before || from_hex(before, &r->before, &r->before_size)) &&
		    from_hex(json_string_value(json_object_get(o, "after")), &r->after,
			     &r->after_size);

	if (good) {
		snprintf(r->name.process, sizeof r->name.process, "%s", process);
		r->name.protocol = strcmp(protocol, "tcp") == 0 ? 6 : 17;
		r->name.port = (uint16_t)json_integer_value(json_object_get(o, "port"));
		r->name.flow = (uint32_t)json_integer_value(json_object_get(o, "flow"));
		r->name.item = (uint32_t)json_integer_value(json_object_get(o, "item"));
		r->name.is_inbound = strcmp(direction, "in") == 0;
		r->seed = (uint64_t)json_integer_value(json_object_get(o, "seed"));
		r->line = line;
		r->is_any = !before;
	} else {
		free_record(r);
		r = NULL;
	}
	json_decref(o);
	return r;
}

static void insert(struct kd__mutation_replay *p, struct record *r)
{
	struct record **at = &p->buckets[kd__payload_name_hash(&r->name) % BUCKETS];

	while (*at) /* several mutators changed it: in their order */
		at = &(*at)->next;
	*at = r;
	p->n++;
}

static enum kd_status read_all(FILE *f, struct kd__mutation_replay *p, const char *path,
			       struct kd_error *err)
{
	KD_CLEANUP(kd_freep) char *text = NULL;
	size_t room = 0;
	uint64_t line = 0;

	while (getline(&text, &room, f) >= 0) {
		struct record *r;

		if (++line > RECORDS_MAX)
			return kd_error_set(err, KD_E_TOO_BIG, line, "%.150s: more than %d lines",
					    path, RECORDS_MAX);
		r = read_record(text, line);
		if (!r)
			return kd_error_set(err, KD_E_MALFORMED, line,
					    "%.150s, line %" PRIu64 ": no record of a mutation",
					    path, line);
		insert(p, r);
	}
	return KD_OK;
}

enum kd_status kd__mutation_replay_load(const char *path, struct kd__mutation_replay **ret,
					struct kd_error *err)
{
	struct kd__mutation_replay *p;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is not waited for */
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	enum kd_status s;

	if (f && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		fclose(f);
		return kd_error_set(err, KD_E_INVALID, 0, "%.150s is not a regular file", path);
	}
	if (!f)
		return kd_error_set(err, errno == ENOENT ? KD_E_NOT_FOUND : KD_E_IO, 0,
				    "%.150s: %s", path, strerror(errno));
	p = calloc(1, sizeof *p);
	s = p ? read_all(f, p, path, err) : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	fclose(f);
	if (s == KD_OK)
		*ret = p;
	else
		kd__mutation_replay_free(p);
	return s;
}

void kd__mutation_replay_free(struct kd__mutation_replay *p)
{
	for (size_t i = 0; p && i < BUCKETS; i++)
		while (p->buckets[i]) {
			struct record *r = p->buckets[i];

			p->buckets[i] = r->next;
			free_record(r);
		}
	free(p);
}

static bool has_bytes(const struct record *r, const uint8_t *bytes, size_t size)
{
	return r->is_any ||
	       (r->before_size == size && (size == 0 || memcmp(r->before, bytes, size) == 0));
}

/* What several mutators made of it in turn is found in turn: the last of the chain counts. */
bool kd__mutation_replay_find(struct kd__mutation_replay *p, const struct kd__payload_name *name,
			      const uint8_t *bytes, size_t size,
			      struct kd__mutation_entry *entry_ret, uint64_t *line_ret)
{
	bool is_found = false;
	struct record *r = p ? p->buckets[kd__payload_name_hash(name) % BUCKETS] : NULL;

	for (; r; r = r->next) {
		if (r->is_done || !is_same_name(&r->name, name) || !has_bytes(r, bytes, size))
			continue;
		r->is_done = true;
		p->done++;
		*entry_ret = (struct kd__mutation_entry){ .name = &r->name,
							  .seed = r->seed,
							  .outcome = r->outcome,
							  .after = r->after,
							  .after_size = r->after_size };
		*line_ret = r->line;
		is_found = true;
		bytes = r->after;
		size = r->after_size;
	}
	return is_found;
}

void kd__mutation_replay_state(const struct kd__mutation_replay *r, uint64_t *done_ret,
			       uint64_t *left_ret)
{
	*done_ret = r ? r->done : 0;
	*left_ret = r ? r->n - r->done : 0;
}
