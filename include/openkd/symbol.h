/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Names to addresses and back, lines, types.
 */
#ifndef OPENKD_SYMBOL_H
#define OPENKD_SYMBOL_H

#include <openkd/module.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { KD_SYMBOL_NAME_MAX = 512 };

struct kd_symbol {
	const struct kd_module *module;
	char name[KD_SYMBOL_NAME_MAX]; /**< without the module */
	uint64_t address;
	uint32_t size; /**< 0: unknown */
	bool is_function;
	bool is_export_only; /**< nearest export: often wrong, mark it */
};

/**
 * Address of a symbol: "nt!KeBugCheckEx", "KeBugCheckEx" (all modules, those with loaded symbols
 * first), "nt" (the module's base). Case does not matter where only one matches.
 *
 * @return KD_OK; KD_E_NOT_FOUND: err says whether the module or the symbol is missing, and which
 *         symbols could not be loaded; KD_E_AMBIGUOUS.
 */
enum kd_status kd_symbol_find(struct kd_session *session, const char *name, struct kd_symbol *ret,
			      struct kd_error *err);

/** The symbol at or below an address, within its module. KD_E_NOT_FOUND: no module or none below.
 */
enum kd_status kd_symbol_at(struct kd_session *session, uint64_t address, struct kd_symbol *ret,
			    uint64_t *displacement_ret, struct kd_error *err);

/** The symbol above an address (`ln`). */
enum kd_status kd_symbol_after(struct kd_session *session, uint64_t address, struct kd_symbol *ret,
			       struct kd_error *err);

/**
 * "nt!KeBugCheckEx+0x10", "nt+0x1234" without symbols, "<Unloaded_foo.sys>+0x12", "" when in no
 * module. Never fails. Loads the module's symbols on first use; asks nothing of a running target.
 */
void kd_symbol_format(struct kd_session *session, uint64_t address, char *text, size_t size);

/** One match of kd_symbol_enumerate(); return false to stop. */
typedef bool (*kd_symbol_fn)(void *context, const struct kd_symbol *symbol);

/**
 * All symbols that match "mod!pattern" (`*`, `?`, `[a-z]`, `#`, `+`), by address.
 *
 * @return KD_OK (also for no match); KD_E_NOT_FOUND: no module matches; KD_E_CANCELLED.
 */
enum kd_status kd_symbol_enumerate(struct kd_session *session, const char *pattern, kd_symbol_fn fn,
				   void *context, struct kd_error *err);

/**
 * Completion: up to `max` names that begin with `prefix` ("nt!KeBu", "dem"), modules included.
 * Only what is loaded already; never talks to the target. `fn` gets each full text.
 */
typedef bool (*kd_text_fn)(void *context, const char *text);
void kd_symbol_complete(struct kd_session *session, const char *prefix, size_t max, kd_text_fn fn,
			void *context);

/** Source line of an address. KD_E_NOT_FOUND: no private symbols or no line. */
enum kd_status kd_symbol_line(struct kd_session *session, uint64_t address, char *file, size_t size,
			      uint32_t *line_ret, uint64_t *displacement_ret, struct kd_error *err);

/** First address of `file:line` in a module (NULL: all); the file matches by its last components.
 */
enum kd_status kd_symbol_line_address(struct kd_session *session, const char *module,
				      const char *file, uint32_t line, uint64_t *address_ret,
				      struct kd_error *err);

/** [begin, end) of the function around an address, from .pdata or the PDB. KD_E_NOT_FOUND. */
enum kd_status kd_symbol_function_bounds(struct kd_session *session, uint64_t address,
					 uint64_t *begin_ret, uint64_t *end_ret,
					 struct kd_error *err);

/* --- types --- */

struct kd_type {
	const struct kd_module *module;
	uint32_t index; /**< CodeView type index in the module's PDB */
};

enum kd_type_kind {
	KD_TYPE_VOID,
	KD_TYPE_INTEGER,
	KD_TYPE_UNSIGNED,
	KD_TYPE_BOOL,
	KD_TYPE_CHAR,
	KD_TYPE_FLOAT,
	KD_TYPE_ENUM,
	KD_TYPE_POINTER,
	KD_TYPE_ARRAY,
	KD_TYPE_STRUCT, /**< struct, class, union */
	KD_TYPE_FUNCTION,
	KD_TYPE_OTHER,
};

/** "nt!_EPROCESS" or "_EPROCESS" (kernel first). KD_E_NOT_FOUND: err says what is missing. */
enum kd_status kd_type_find(struct kd_session *session, const char *name, struct kd_type *ret,
			    struct kd_error *err);
enum kd_type_kind kd_type_kind(struct kd_session *session, struct kd_type type);
uint64_t kd_type_size(struct kd_session *session, struct kd_type type);
/** As `dt` prints it: "Ptr64 _EPROCESS", "Uint4B", "[16] UChar". */
void kd_type_format(struct kd_session *session, struct kd_type type, char *text, size_t size);
/** "long (void*, unsigned long)"; "" of what is no function, and where the PDB does not tell. */
void kd_type_prototype(struct kd_session *session, struct kd_type type, char *text, size_t size);
/** What a pointer, array, enum or bit field is made of; KD_E_INVALID for others. */
enum kd_status kd_type_element(struct kd_session *session, struct kd_type type, struct kd_type *ret,
			       uint64_t *count_ret);
/** Name of an enumerator; KD_E_NOT_FOUND. */
enum kd_status kd_type_enumerator(struct kd_session *session, struct kd_type type, uint64_t value,
				  char *text, size_t size);

struct kd_field_info {
	char name[256];
	struct kd_type type;
	uint64_t offset;
	uint8_t bit_position, bit_length; /**< bit_length 0: not a bit field */
	bool is_base;                     /**< a base class */
	bool is_static;
};

/** Member number `n`, in declaration order; KD_E_NOT_FOUND after the last, KD_E_INVALID: no struct.
 */
enum kd_status kd_type_member(struct kd_session *session, struct kd_type type, uint32_t n,
			      struct kd_field_info *ret);
/** Offset and type of "Pcb.Header.Lock" (through arrays "[3]" too). */
enum kd_status kd_type_field(struct kd_session *session, struct kd_type type, const char *path,
			     struct kd_field_info *ret, struct kd_error *err);
/** Names of the types that match "mod!pattern". */
enum kd_status kd_type_enumerate(struct kd_session *session, const char *pattern, kd_text_fn fn,
				 void *context, struct kd_error *err);
/** Type of a data symbol (private PDBs). KD_E_NOT_FOUND. */
enum kd_status kd_type_of_symbol(struct kd_session *session, const char *name, struct kd_type *ret,
				 uint64_t *address_ret, struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
