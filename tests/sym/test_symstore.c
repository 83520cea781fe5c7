/* SPDX-License-Identifier: MIT */
/*
 * Finding a PDB: every layout of a store, what is refused and why, and names from targets that want
 * to go elsewhere. Arguments: a PDB, its image, another PDB.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sym/symstore.h"

enum { PATH_SIZE = 2048 };

static const char *pdb_path, *image_path, *other_path;
static struct kd_pe_codeview wanted;
static uint32_t timestamp, size_of_image;
static char root[64];

/* Make the folders of root/NAME; out: the whole path. */
static void make_path(char *out, const char *name)
{
	size_t at = strlen(root) + 1;

	assert_true((size_t)snprintf(out, PATH_SIZE, "%s/%s", root, name) < PATH_SIZE);
	for (; out[at]; at++)
		if (out[at] == '/') {
			out[at] = '\0';
			assert_true(!mkdir(out, 0700) || errno == EEXIST);
			out[at] = '/';
		}
}

static void put_link(const char *name, const char *to)
{
	char path[PATH_SIZE];

	make_path(path, name);
	assert_int_equal(symlink(to, path), 0);
}

static void put_text(const char *name, const char *text)
{
	char path[PATH_SIZE];
	FILE *f;

	make_path(path, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* "NAME/ID/" with what the test's PDB is called. */
static const char *key(const char *before, const char *id, const char *after)
{
	static char text[2 * PATH_SIZE];

	snprintf(text, sizeof text, "%s%s/%s/%s", before, wanted.name, id, after);
	return text;
}

static int setup(void **state)
{
	snprintf(root, sizeof root, "/tmp/openkd-store-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[sizeof root + 16];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static struct {
	char file[PATH_SIZE], note[128], log[8192];
	struct kd_error err;
} answer;

static void keep_log(void *context, const char *line)
{
	size_t n = strlen(answer.log);

	snprintf(answer.log + n, sizeof answer.log - n, "%s\n", line);
}

static enum kd_status find_as(const struct kd_pe_codeview *cv, const char *path)
{
	struct kd_pdb *pdb = NULL;
	enum kd_status status;

	memset(&answer, 0, sizeof answer);
	status = kd_symstore_find_pdb(path, cv, &pdb, answer.file, sizeof answer.file, answer.note,
				      sizeof answer.note, keep_log, NULL, &answer.err);
	assert_true((status == KD_OK) == (pdb != NULL));
	kd_pdb_close(pdb);
	return status;
}

/* A percent sign in the path stands for the test's folder. */
static enum kd_status find(const char *form)
{
	char path[2 * PATH_SIZE] = "";

	for (const char *p = form; *p; p++) {
		if (*p == '%')
			strcat(path, root);
		else
			strncat(path, p, 1);
	}
	return find_as(&wanted, path);
}

static char lower_id[KD_PE_ID_SIZE];

static void test_layouts(void **state)
{
	char name[PATH_SIZE];

	put_link(key("upper/", wanted.id, wanted.name), pdb_path);
	put_link(key("lower/", lower_id, wanted.name), pdb_path);
	snprintf(name, sizeof name, "flat/%s", wanted.name);
	put_link(name, pdb_path);
	snprintf(name, sizeof name, "below/symbols/pdb/%s", wanted.name);
	put_link(name, pdb_path);
	snprintf(name, sizeof name, "short/pdb/%s", wanted.name);
	put_link(name, pdb_path);
	put_text("tiers/index2.txt", "");
	snprintf(name, sizeof name, "tiers/%.2s/", wanted.name);
	put_link(key(name, wanted.id, wanted.name), pdb_path);
	snprintf(name, sizeof name, "PATH:%s\r\n", pdb_path);
	put_text(key("pointer/", wanted.id, "file.ptr"), name);

	assert_int_equal(find("%/upper"), KD_OK);
	assert_non_null(strstr(answer.file, wanted.id));
	assert_string_equal(answer.note, "");
	assert_int_equal(find("%/lower"), KD_OK);
	assert_int_equal(find("%/flat"), KD_OK);
	assert_int_equal(find("%/below"), KD_OK);
	assert_int_equal(find("%/short"), KD_OK);
	assert_int_equal(find("%/tiers"), KD_OK);
	assert_int_equal(find("%/pointer"), KD_OK);
	assert_string_equal(answer.file, pdb_path);
	/* several elements, left to right; parts of chains; servers are told of, not asked */
	assert_int_equal(find("/nowhere;%/flat;%/upper"), KD_OK);
	assert_non_null(strstr(answer.file, "/flat/"));
	assert_int_equal(find("srv*%/nowhere*%/upper*https://msdl.example/symbols"), KD_OK);
	assert_int_equal(find("cache*%/upper"), KD_OK);
	assert_int_equal(find("symsrv*symsrv.dll*%/upper"), KD_OK);
	assert_int_equal(find("SRV*%/upper"), KD_OK);
}

static void test_nowhere(void **state)
{
	assert_int_equal(find("%/a;srv*%/b*https://msdl.example/symbols"), KD_E_NOT_FOUND);
	assert_non_null(strstr(answer.err.text, wanted.name));
	assert_non_null(strstr(answer.err.text, wanted.id));
	assert_non_null(strstr(answer.log, "/a/")); /* the places, one a line */
	assert_non_null(strstr(answer.log, "/b/"));
	assert_non_null(strstr(answer.log, "msdl.example"));
	assert_int_equal(find(""), KD_E_NOT_FOUND);
	assert_int_equal(find(";;;*;srv*"), KD_E_NOT_FOUND);
}

static void test_wrong(void **state)
{
	char name[PATH_SIZE];
	struct kd_pe_codeview other = wanted;

	snprintf(name, sizeof name, "wrong/%s", wanted.name);
	put_link(name, other_path);
	assert_int_equal(find("%/wrong"), KD_E_MISMATCH);
	assert_non_null(strstr(answer.err.text, wanted.id)); /* expected */
	/* a later place that has the right one wins */
	snprintf(name, sizeof name, "right/%s", wanted.name);
	put_link(name, pdb_path);
	assert_int_equal(find("%/wrong;%/right"), KD_OK);
	/* the GUID is equal, the age is not: loaded, and said */
	other.age++;
	snprintf(name, sizeof name, "%s/right", root);
	assert_int_equal(find_as(&other, name), KD_OK);
	assert_true(answer.note[0]);
}

static void test_unusable(void **state)
{
	char squeezed[KD_PE_NAME_MAX], name[PATH_SIZE];

	snprintf(squeezed, sizeof squeezed, "%s", wanted.name);
	squeezed[strlen(squeezed) - 1] = '_';
	put_text(key("packed/", wanted.id, squeezed), "MSCF");
	assert_int_equal(find("%/packed"), KD_E_UNSUPPORTED);
	assert_non_null(strstr(answer.err.text, "compressed"));
	snprintf(name, sizeof name, "cabinet/%s", wanted.name);
	put_text(name, "MSCF and so on");
	assert_int_equal(find("%/cabinet"), KD_E_UNSUPPORTED);
	snprintf(name, sizeof name, "empty/%s", wanted.name);
	put_text(name, "");
	assert_int_equal(find("%/empty"), KD_E_MALFORMED);
	put_text(key("message/", wanted.id, "file.ptr"), "MSG: gone for good");
	assert_int_equal(find("%/message"), KD_E_NOT_FOUND);
	assert_non_null(strstr(answer.err.text, "gone for good"));
	/* a pipe of that name does not stop us */
	snprintf(name, sizeof name, "%s/%s", root, wanted.name);
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(find("%"), KD_E_MALFORMED);
}

static void test_names(void **state)
{
	struct kd_pe_codeview cv = wanted;

	cv.name[0] = '\0';
	assert_int_equal(find_as(&cv, root), KD_E_INVALID);
	cv = wanted;
	cv.signature = 1;
	assert_int_equal(find_as(&cv, root), KD_E_UNSUPPORTED);
}

static void test_image(void **state)
{
	char file[PATH_SIZE], name[PATH_SIZE], id[32];

	snprintf(id, sizeof id, "%08X%x", timestamp, size_of_image);
	snprintf(name, sizeof name, "images/driver.sys/%s/driver.sys", id);
	put_link(name, image_path);
	put_link("plain/driver.sys", image_path);
	snprintf(name, sizeof name, "srv*%s/nowhere*%s/images", root, root);
	assert_int_equal(kd_symstore_find_image(name, "driver.sys", timestamp, size_of_image, file,
						sizeof file, NULL),
			 KD_OK);
	assert_non_null(strstr(file, id));
	snprintf(name, sizeof name, "%s/plain", root);
	assert_int_equal(kd_symstore_find_image(name, "\\SystemRoot\\driver.sys", timestamp,
						size_of_image, file, sizeof file, NULL),
			 KD_OK);
	assert_int_equal(kd_symstore_find_image(name, "driver.sys", timestamp + 1, size_of_image,
						file, sizeof file, NULL),
			 KD_E_NOT_FOUND);
	assert_int_equal(kd_symstore_find_image(name, "..", timestamp, size_of_image, file,
						sizeof file, NULL),
			 KD_E_NOT_FOUND);
}

static void read_image(void)
{
	struct kd_mapping map;
	struct kd_pe pe;

	if (kd_mapping_open(image_path, &map, NULL) != KD_OK ||
	    kd_pe_open(&pe, kd_mapping_read, &map, 0, true, NULL) != KD_OK ||
	    kd_pe_codeview(&pe, &wanted, NULL) != KD_OK)
		exit(2);
	timestamp = pe.timestamp;
	size_of_image = pe.size_of_image;
	kd_mapping_close(&map);
	for (size_t i = 0; wanted.id[i]; i++)
		lower_id[i] = (char)(wanted.id[i] >= 'A' ? wanted.id[i] | 0x20 : wanted.id[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layouts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unusable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_image, setup, teardown),
	};
	static char paths[3][4096];

	if (argc != 4)
		return 2;
	for (int i = 0; i < 3; i++) /* links need whole paths */
		if (!realpath(argv[i + 1], paths[i]))
			return 2;
	pdb_path = paths[0];
	image_path = paths[1];
	other_path = paths[2];
	read_image();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
