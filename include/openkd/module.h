/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Loaded modules. The list is read from PsLoadedModuleList on first use after a stop where it may
 * have changed, and kept up by load and unload notices.
 */
#ifndef OPENKD_MODULE_H
#define OPENKD_MODULE_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_symbol_state {
	KD_SYMBOLS_DEFERRED, /**< not asked for yet */
	KD_SYMBOLS_PDB,      /**< public symbols */
	KD_SYMBOLS_PRIVATE,  /**< a PDB with private symbols */
	KD_SYMBOLS_EXPORT,   /**< the image's exports only */
	KD_SYMBOLS_NONE,
};

struct kd_module {
	const char *name;       /**< "nt", "hal": base name without extension, lower case */
	const char *image_name; /**< "ntoskrnl.exe" */
	const char *image_path; /**< as the target says it */
	uint64_t base;
	uint32_t size;
	uint32_t checksum, timestamp;
	uint64_t entry_point; /**< 0: unknown */
	enum kd_symbol_state symbols;
	const char *symbol_file; /**< path of the PDB loaded, or "" */
	const char *symbol_note; /**< why not, or what is odd ("age differs"), or "" */
	char pdb_id[48];         /**< GUID and age as "<GUID><age>", "" unknown */
	const char *pdb_name;    /**< name in the image's debug directory, "" unknown */
	bool is_unloaded;
};

/**
 * All modules, in load order; the kernel first.
 *
 * @param[out] modules_ret  valid until the next call that may change the list
 *             (kd_session_wait, kd_module_reload, anything after a resume).
 * @return KD_OK; KD_E_NOT_FOUND: the target does not tell where its list is (err says what was
 *         tried); KD_E_MALFORMED: the list is damaged: what was readable is there, err says where
 *         it ends. A list damaged at the start gives the modules known from load notices.
 */
enum kd_status kd_module_list(struct kd_session *session,
			      const struct kd_module *const **modules_ret, size_t *n_ret,
			      struct kd_error *err);

/** The module that holds an address. NULL: none. Valid as in kd_module_list(). */
const struct kd_module *kd_module_at(struct kd_session *session, uint64_t address);

/** By name ("nt", "ntoskrnl", "ntoskrnl.exe"; case does not matter). NULL: none. */
const struct kd_module *kd_module_find(struct kd_session *session, const char *name);

/**
 * Read the list anew, that of unloaded drivers too; the symbols of modules that match `pattern`
 * become deferred: they are looked up again when asked for (NULL: none, "*": all). KD_E_NOT_FOUND:
 * no module matches.
 */
enum kd_status kd_module_reload(struct kd_session *session, const char *pattern,
				struct kd_error *err);

/**
 * Read the modules of the current process (kd_process_set()) from its PEB (`.reload /user`). They
 * replace the user modules that were known; kd_module_list() has them behind the kernel's.
 *
 * @return KD_OK; KD_E_NOT_FOUND: the process has no user mode part, or its loader has not begun;
 *         KD_E_UNREADABLE: its PEB is paged out; KD_E_MALFORMED: as for kd_module_list().
 */
enum kd_status kd_module_reload_user(struct kd_session *session, struct kd_error *err);

/**
 * Load a module's symbols now. KD_E_NOT_FOUND: no PDB (err: its name, id, where was looked);
 * KD_E_MISMATCH: only a wrong one. Exports may serve all the same: see module->symbols.
 */
enum kd_status kd_module_load_symbols(struct kd_session *session, const struct kd_module *module,
				      struct kd_error *err);

/** Tell about a module by hand (`.reload name=base,size`). */
enum kd_status kd_module_add(struct kd_session *session, const char *name, uint64_t base,
			     uint32_t size, struct kd_error *err);

/** The symbol path. Valid until it is set. */
const char *kd_symbol_path(const struct kd_session *session);
enum kd_status kd_symbol_path_set(struct kd_session *session, const char *path,
				  struct kd_error *err);

/** Text of the last symbol searches, newest last (`!sym noisy`); valid until the next search. */
const char *kd_symbol_search_log(const struct kd_session *session);

#ifdef __cplusplus
}
#endif

#endif
