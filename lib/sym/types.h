/* SPDX-License-Identifier: MIT */
/* Types of a PDB (TPI stream), for `dt` and for offsets by name. */
#ifndef KD_LIB_SYM_TYPES_H
#define KD_LIB_SYM_TYPES_H

#include "lib/sym/pdb.h"

enum kd_type_class {
	KD_CLASS_NONE, /* void, or something without a shape */
	KD_CLASS_INTEGER,
	KD_CLASS_UNSIGNED,
	KD_CLASS_BOOL,
	KD_CLASS_CHAR,
	KD_CLASS_FLOAT,
	KD_CLASS_ENUM,
	KD_CLASS_POINTER,
	KD_CLASS_ARRAY,
	KD_CLASS_STRUCT, /* struct, class, union */
	KD_CLASS_FUNCTION,
	KD_CLASS_BITFIELD,
	KD_CLASS_OTHER,
};

struct kd_type_desc {
	enum kd_type_class class_;
	uint64_t size;    /* bytes; 0: unknown */
	const char *name; /* struct, enum; "" otherwise */
	uint32_t element; /* pointer: pointee; array: element; enum: underlying; bit field: base;
			     function: result */
	uint64_t count;   /* array: elements */
	uint8_t bit_position, bit_length; /* bit field */
	bool is_union, is_forward;
	uint32_t fields; /* struct, enum: field list; function: list of parameters */
};

struct kd_type_field {
	const char *name;
	uint32_t type;
	uint64_t offset;
	uint64_t
		value; /* enumerators; compilers extend negative ones or not: compare in the size */
	bool is_base, is_static, is_enumerator;
};

/*
 * A struct, union, enum or typedef by name; complete definitions win over forward references.
 * KD_E_NOT_FOUND; KD_E_MALFORMED: a damaged type stream.
 */
enum kd_status kd_types_find(struct kd_pdb *pdb, const char *name, uint32_t *type_ret,
			     struct kd_error *err);

/* What a type is; modifiers (const...) are looked through, forward references completed. */
enum kd_status kd_types_describe(struct kd_pdb *pdb, uint32_t type, struct kd_type_desc *ret);

/*
 * Members of a struct or enumerators of an enum, in order. KD_OK until the last, then
 * KD_E_NOT_FOUND. *at starts as 0 and is opaque.
 */
struct kd_type_iter {
	uint32_t list, offset;
	uint32_t n_read; /* bytes of lists so far */
	bool has_begun;
};
enum kd_status kd_types_next(struct kd_pdb *pdb, const struct kd_type_desc *desc,
			     struct kd_type_iter *at, struct kd_type_field *ret);

/* As `dt` prints it: "Ptr64 _EPROCESS", "[16] UChar", "Uint4B". Always terminated. */
void kd_types_format(struct kd_pdb *pdb, uint32_t type, char *text, size_t size);

/* "long (void*, unsigned long)", "void (void)"; "" of what is no function, or not known. */
void kd_types_prototype(struct kd_pdb *pdb, const struct kd_type_desc *function, char *text,
			size_t size);

/* Names of all complete structs, unions and enums: false from `fn` stops. */
typedef bool (*kd_types_fn)(void *context, const char *name, uint32_t type);
enum kd_status kd_types_each(struct kd_pdb *pdb, kd_types_fn fn, void *context);

#endif
