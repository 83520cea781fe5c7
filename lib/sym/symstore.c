/* SPDX-License-Identifier: MIT */
#include "lib/sym/symstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 2048, ELEMENTS_MAX = 256 };

struct search {
	const struct kd_pe_codeview *wanted;
	kd_symstore_log_fn log;
	void *context;
	struct kd_pdb *pdb; /* found */
	char *file;
	size_t file_size;
	char *note;
	size_t note_size;
	enum kd_status worst; /* best reason why nothing was found so far */
	struct kd_error reason;
};

static void KD_PRINTF(2, 3) tell(const struct search *s, const char *fmt, ...)
{
	char line[PATH_SIZE + 256];
	va_list ap;

	if (!s->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	s->log(s->context, line);
}

static void remember(struct search *s, const struct kd_error *err)
{
	if (s->worst == KD_E_MISMATCH)
		return;
	s->worst = err->status;
	s->reason = *err;
}

/* Does an opened PDB belong to the image? */
static bool judge(struct search *s, struct kd_pdb *pdb, const char *path)
{
	char found[KD_PE_ID_SIZE];
	struct kd_pdb_info info;
	struct kd_error err;

	kd_pdb_info(pdb, &info);
	kd_pe_format_id(found, info.guid, info.dbi_age);
	if (memcmp(info.guid, s->wanted->guid, sizeof info.guid)) {
		tell(s, "%s: mismatched: it is %s, the image wants %s", path, found, s->wanted->id);
		kd_error_set(&err, KD_E_MISMATCH, 0,
			     "%s does not belong to the image: its id is %s, the image wants %s",
			     path, found, s->wanted->id);
		remember(s, &err);
		return false;
	}
	if (s->note_size)
		s->note[0] = '\0';
	if (info.dbi_age != s->wanted->age && info.age != s->wanted->age)
		snprintf(s->note, s->note_size, "age %x instead of %x", info.dbi_age,
			 s->wanted->age);
	tell(s, "%s: OK", path);
	return true;
}

static bool try_file(struct search *s, const char *path)
{
	struct kd_pdb *pdb;
	struct kd_error err;
	struct stat st;

	if (s->pdb)
		return true;
	/* in a store the folder of a file's keys has the file's name */
	if (stat(path, &st) || S_ISDIR(st.st_mode)) {
		tell(s, "%s: not found", path);
		return false;
	}
	if (kd_pdb_open(path, &pdb, &err) != KD_OK) {
		tell(s, "%s", err.text);
		remember(s, &err);
		return false;
	}
	if (!judge(s, pdb, path)) {
		kd_pdb_close(pdb);
		return false;
	}
	s->pdb = pdb;
	snprintf(s->file, s->file_size, "%s", path);
	return true;
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text + 32);
}

/* A compressed file in a store is recognised, so that "not found" does not mislead. */
static void note_compressed(struct search *s, const char *path)
{
	char squeezed[PATH_SIZE + KD_PE_NAME_MAX];
	struct kd_error err;
	size_t n = (size_t)snprintf(squeezed, sizeof squeezed, "%s", path);

	if (n == 0 || n >= sizeof squeezed)
		return;
	squeezed[n - 1] = '_';
	if (access(squeezed, F_OK))
		return;
	tell(s, "%s: compressed", squeezed);
	kd_error_set(&err, KD_E_UNSUPPORTED, 0, "%s is compressed: expand it with cabextract",
		     squeezed);
	remember(s, &err);
}

/*
 * `file.ptr` stands in a store for a file that is kept elsewhere: "PATH:where", or "MSG: why not".
 */
static bool follow_pointer(struct search *s, const char *folder)
{
	char path[PATH_SIZE + 16], text[PATH_SIZE];
	struct kd_error err;
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/file.ptr", folder);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (!strncmp(text, "PATH:", 5))
		return try_file(s, text + 5);
	tell(s, "%s: %s", path, text);
	kd_error_set(&err, KD_E_NOT_FOUND, 0, "the symbol store says of %s: %s", s->wanted->name,
		     text);
	remember(s, &err);
	return false;
}

/* The folder of one key of a store: the file, compressed, or a pointer to it. */
static bool try_key(struct search *s, const char *root, const char *id)
{
	const char *name = s->wanted->name;
	char folder[PATH_SIZE], path[PATH_SIZE + KD_PE_NAME_MAX];

	snprintf(folder, sizeof folder, "%s/%s/%s", root, name, id);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (try_file(s, path))
		return true;
	note_compressed(s, path);
	return follow_pointer(s, folder);
}

/* A store: keys with digits in either case; two tiers when index2.txt says so. */
static bool try_store(struct search *s, const char *root)
{
	const char *name = s->wanted->name;
	char id[KD_PE_ID_SIZE], path[PATH_SIZE], tier[3] = { name[0], name[1], '\0' };

	snprintf(id, sizeof id, "%s", s->wanted->id);
	lower(id);
	lower(tier);
	if (try_key(s, root, s->wanted->id) || try_key(s, root, id))
		return true;
	snprintf(path, sizeof path, "%s/index2.txt", root);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof path, "%s/%s", root, tier);
	return try_key(s, path, s->wanted->id) || try_key(s, path, id);
}

/* A folder may be a store, or hold the files as they are. */
static bool try_folder(struct search *s, const char *folder)
{
	static const char *const below[] = { "", "symbols/pdb/", "pdb/" };
	char path[PATH_SIZE];

	if (try_store(s, folder))
		return true;
	for (size_t i = 0; i < KD_ARRAY_LEN(below); i++) {
		snprintf(path, sizeof path, "%s/%s%s", folder, below[i], s->wanted->name);
		if ((i == 0 || !access(path, F_OK)) && try_file(s, path))
			return true;
	}
	return false;
}

static bool is_server(const char *part)
{
	return !strncasecmp(part, "http://", 7) || !strncasecmp(part, "https://", 8);
}

/* `srv*A*B`, `symsrv*symsrv.dll*A`, `cache*A`, or a plain folder; `fn` gets each folder. */
static bool each_folder(char *element, bool (*fn)(void *context, const char *folder),
			void (*server)(void *context, const char *url), void *context)
{
	char *save = NULL, *part;
	bool is_chain = !strncasecmp(element, "srv*", 4) || !strncasecmp(element, "cache*", 6) ||
			!strncasecmp(element, "symsrv*", 7);

	if (!is_chain)
		return is_server(element) ? (server(context, element), false)
					  : fn(context, element);
	part = strtok_r(element, "*", &save);
	while ((part = strtok_r(NULL, "*", &save))) {
		size_t n = strlen(part);

		if (n > 4 && !strcasecmp(part + n - 4, ".dll"))
			continue;
		if (is_server(part))
			server(context, part);
		else if (fn(context, part))
			return true;
	}
	return false;
}

static bool each_element(const char *symbol_path, bool (*fn)(void *context, const char *folder),
			 void (*server)(void *context, const char *url), void *context)
{
	KD_CLEANUP(kd_freep) char *copy = strdup(symbol_path ? symbol_path : "");
	char *save = NULL, *element;
	int n = 0;

	if (!copy)
		return false;
	for (element = strtok_r(copy, ";", &save); element && n < ELEMENTS_MAX; n++) {
		if (each_folder(element, fn, server, context))
			return true;
		element = strtok_r(NULL, ";", &save);
	}
	return false;
}

static bool pdb_in_folder(void *context, const char *folder)
{
	return try_folder(context, folder);
}

static void pdb_on_server(void *context, const char *url)
{
	tell(context, "%s: symbol servers are not supported yet", url);
}

enum kd_status kd_symstore_find_pdb(const char *symbol_path, const struct kd_pe_codeview *wanted,
				    struct kd_pdb **pdb_ret, char *file_ret, size_t file_size,
				    char *note_ret, size_t note_size, kd_symstore_log_fn log,
				    void *context, struct kd_error *err)
{
	struct search s = { .wanted = wanted,
			    .log = log,
			    .context = context,
			    .file = file_ret,
			    .file_size = file_size,
			    .note = note_ret,
			    .note_size = note_size,
			    .worst = KD_E_NOT_FOUND };

	if (!wanted->name[0])
		return kd_error_set(err, KD_E_INVALID, 0, "the image names no usable PDB file");
	if (wanted->signature)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "%s is of the old PDB format 2.0, which is not supported",
				    wanted->name);
	each_element(symbol_path, pdb_in_folder, pdb_on_server, &s);
	if (s.pdb) {
		*pdb_ret = s.pdb;
		return KD_OK;
	}
	if (s.reason.text[0])
		return kd_error_set(err, s.worst, 0, "%s", s.reason.text);
	return kd_error_set(
		err, KD_E_NOT_FOUND, 0,
		"no %s with id %s in the symbol path \"%.80s\" (.sympath+ adds a folder)",
		wanted->name, wanted->id, symbol_path ? symbol_path : "");
}

/* --- images --- */

struct image_search {
	const char *name;
	uint32_t timestamp, size;
	char *file;
	size_t file_size;
};

static bool is_image(const struct image_search *s, const char *path)
{
	struct kd_mapping map;
	struct kd_pe pe;
	bool same;

	if (kd_mapping_open(path, &map, NULL) != KD_OK)
		return false;
	same = kd_pe_open(&pe, kd_mapping_read, &map, 0, true, NULL) == KD_OK &&
	       pe.timestamp == s->timestamp && pe.size_of_image == s->size;
	kd_mapping_close(&map);
	if (same)
		snprintf(s->file, s->file_size, "%s", path);
	return same;
}

/* The convention is upper case for the time and lower case for the size; stores differ. */
static bool image_in_folder(void *context, const char *folder)
{
	struct image_search *s = context;
	char ids[3][32], path[PATH_SIZE];

	snprintf(ids[0], sizeof ids[0], "%08X%x", s->timestamp, s->size);
	snprintf(ids[1], sizeof ids[1], "%08X%X", s->timestamp, s->size);
	snprintf(ids[2], sizeof ids[2], "%08x%x", s->timestamp, s->size);
	for (size_t i = 0; i < KD_ARRAY_LEN(ids); i++) {
		snprintf(path, sizeof path, "%s/%s/%s/%s", folder, s->name, ids[i], s->name);
		if (is_image(s, path))
			return true;
	}
	snprintf(path, sizeof path, "%s/%s", folder, s->name);
	return is_image(s, path);
}

static void image_on_server(void *context, const char *url)
{
	(void)context;
	(void)url;
}

enum kd_status kd_symstore_find_image(const char *symbol_path, const char *name, uint32_t timestamp,
				      uint32_t size_of_image, char *file_ret, size_t file_size,
				      struct kd_error *err)
{
	char harmless[KD_PE_NAME_MAX];
	struct image_search s = { harmless, timestamp, size_of_image, file_ret, file_size };

	kd_pe_file_name(harmless, sizeof harmless, name, strlen(name));
	if (harmless[0] && each_element(symbol_path, image_in_folder, image_on_server, &s))
		return KD_OK;
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no image %s with timestamp %08x and size %x",
			    harmless, timestamp, size_of_image);
}
