/* SPDX-License-Identifier: MIT */
/* Conditions of filters against the values of an indication (traffic facts 2.3). */
#include "guest/demo/net/wfp/wfp_engine.h"

/* --- copies --- */

/* A value whose pointer leads to one of two places in the copy (a range has two) */
static NTSTATUS copy_simple(struct wfp_condition *to, FWP_VALUE0 *value, const FWP_VALUE0 *from,
			    ULONG place)
{
	*value = *from;
	switch (from->type) {
	case FWP_UINT8:
	case FWP_UINT16:
	case FWP_UINT32: return STATUS_SUCCESS;
	case FWP_UINT64:
		to->wide[place] = *from->uint64;
		value->uint64 = &to->wide[place];
		return STATUS_SUCCESS;
	case FWP_BYTE_ARRAY16_TYPE:
		to->array[place] = *from->byteArray16;
		value->byteArray16 = &to->array[place];
		return STATUS_SUCCESS;
	default: return STATUS_FWP_TYPE_MISMATCH;
	}
}

static NTSTATUS copy_blob(struct wfp_condition *to, const FWP_BYTE_BLOB *from)
{
	const ULONG most = 0x10000;

	if (from->size > most)
		return STATUS_FWP_INVALID_PARAMETER;
	to->blob.data = WfpAllocate(from->size + 1);
	if (to->blob.data == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	__builtin_memcpy(to->blob.data, from->data, from->size);
	to->blob.size = from->size;
	to->run.conditionValue.byteBlob = &to->blob;
	return STATUS_SUCCESS;
}

static NTSTATUS copy_value(struct wfp_condition *to, const FWP_CONDITION_VALUE0 *from)
{
	FWP_CONDITION_VALUE0 *value = &to->run.conditionValue;
	NTSTATUS status;

	value->type = from->type;
	switch (from->type) {
	case FWP_V4_ADDR_MASK:
		to->v4 = *from->v4AddrMask;
		value->v4AddrMask = &to->v4;
		return STATUS_SUCCESS;
	case FWP_V6_ADDR_MASK:
		to->v6 = *from->v6AddrMask;
		value->v6AddrMask = &to->v6;
		return to->v6.prefixLength <= 128 ? STATUS_SUCCESS : STATUS_FWP_INVALID_PARAMETER;
	case FWP_RANGE_TYPE:
		status = copy_simple(to, &to->range.valueLow, &from->rangeValue->valueLow, 0);
		if (NT_SUCCESS(status))
			status = copy_simple(to, &to->range.valueHigh, &from->rangeValue->valueHigh,
					     1);
		value->rangeValue = &to->range;
		return status;
	case FWP_BYTE_BLOB_TYPE: return copy_blob(to, from->byteBlob);
	default: return copy_simple(to, value, from, 0);
	}
}

NTSTATUS WfpCopyCondition(struct wfp_condition *To, const struct wfp_layer *Layer,
			  const FWPM_FILTER_CONDITION0 *From)
{
	if (!WfpFindField(Layer, &From->fieldKey, &To->run.fieldId))
		return STATUS_FWP_CONDITION_NOT_FOUND;
	if (From->matchType > FWP_MATCH_NOT_EQUAL)
		return STATUS_FWP_INVALID_ENUMERATOR;
	if ((From->matchType == FWP_MATCH_RANGE) != (From->conditionValue.type == FWP_RANGE_TYPE))
		return STATUS_FWP_MATCH_TYPE_MISMATCH;
	To->run.matchType = From->matchType;
	return copy_value(To, &From->conditionValue);
}

VOID WfpFreeCondition(struct wfp_condition *Condition)
{
	WfpFree(Condition->blob.data);
	Condition->blob.data = NULL;
}

/* --- comparison --- */

static ULONG64 number_of(const FWP_VALUE0 *value)
{
	switch (value->type) {
	case FWP_UINT8: return value->uint8;
	case FWP_UINT16: return value->uint16;
	case FWP_UINT32: return value->uint32;
	case FWP_UINT64: return *value->uint64;
	default: return 0;
	}
}

/* -1, 0, 1; values of the same type */
static LONG compare(const FWP_VALUE0 *a, const FWP_VALUE0 *b)
{
	ULONG64 x = number_of(a), y = number_of(b);

	if (a->type == FWP_BYTE_ARRAY16_TYPE) {
		int order = __builtin_memcmp(a->byteArray16, b->byteArray16, 16);

		return order < 0 ? -1 : order > 0;
	}
	return x < y ? -1 : x > y;
}

static WCHAR lower(WCHAR c)
{
	return c >= 'A' && c <= 'Z' ? (WCHAR)(c + 'a' - 'A') : c;
}

/* Blobs that are compared without case are UTF-16 paths. */
static BOOLEAN is_same_blob(const FWP_BYTE_BLOB *a, const FWP_BYTE_BLOB *b, BOOLEAN ignore_case)
{
	const WCHAR *x = (const WCHAR *)(PVOID)a->data;
	const WCHAR *y = (const WCHAR *)(PVOID)b->data;

	if (a->size != b->size)
		return FALSE;
	if (!ignore_case)
		return __builtin_memcmp(a->data, b->data, a->size) == 0;
	for (ULONG i = 0; i < a->size / 2; i++) {
		if (lower(x[i]) != lower(y[i]))
			return FALSE;
	}
	return TRUE;
}

static BOOLEAN is_in_prefix(const UCHAR *address, const FWP_V6_ADDR_AND_MASK *prefix)
{
	ULONG whole = prefix->prefixLength / 8, bits = prefix->prefixLength % 8;
	UCHAR mask = (UCHAR)(0xFF00u >> bits);

	if (__builtin_memcmp(address, prefix->addr, whole) != 0)
		return FALSE;
	return bits == 0 || ((address[whole] ^ prefix->addr[whole]) & mask) == 0;
}

/* EQUAL, which also means: in the network. A value of another type is not equal. */
static BOOLEAN is_equal(const FWP_VALUE0 *value, const FWP_CONDITION_VALUE0 *wanted,
			BOOLEAN ignore_case)
{
	if (wanted->type == FWP_V4_ADDR_MASK && value->type == FWP_UINT32)
		return ((value->uint32 ^ wanted->v4AddrMask->addr) & wanted->v4AddrMask->mask) == 0;
	if (wanted->type == FWP_V6_ADDR_MASK && value->type == FWP_BYTE_ARRAY16_TYPE)
		return is_in_prefix(value->byteArray16->byteArray16, wanted->v6AddrMask);
	if (wanted->type != value->type)
		return FALSE;
	if (value->type == FWP_BYTE_BLOB_TYPE)
		return is_same_blob(value->byteBlob, wanted->byteBlob, ignore_case);
	return compare(value, wanted) == 0;
}

static BOOLEAN is_in_range(const FWP_VALUE0 *value, const FWP_RANGE0 *range)
{
	return value->type == range->valueLow.type && value->type == range->valueHigh.type &&
	       compare(value, &range->valueLow) >= 0 && compare(value, &range->valueHigh) <= 0;
}

static BOOLEAN is_met(const FWPS_FILTER_CONDITION0 *condition, const FWP_VALUE0 *value)
{
	const FWP_CONDITION_VALUE0 *wanted = &condition->conditionValue;

	switch (condition->matchType) {
	case FWP_MATCH_EQUAL: return is_equal(value, wanted, FALSE);
	case FWP_MATCH_EQUAL_CASE_INSENSITIVE: return is_equal(value, wanted, TRUE);
	case FWP_MATCH_NOT_EQUAL: return !is_equal(value, wanted, FALSE);
	case FWP_MATCH_RANGE: return is_in_range(value, wanted->rangeValue);
	default: break;
	}
	if (value->type != wanted->type)
		return FALSE;
	switch (condition->matchType) {
	case FWP_MATCH_GREATER: return compare(value, wanted) > 0;
	case FWP_MATCH_LESS: return compare(value, wanted) < 0;
	case FWP_MATCH_GREATER_OR_EQUAL: return compare(value, wanted) >= 0;
	case FWP_MATCH_LESS_OR_EQUAL: return compare(value, wanted) <= 0;
	case FWP_MATCH_FLAGS_ALL_SET:
		return (number_of(value) & number_of(wanted)) == number_of(wanted);
	case FWP_MATCH_FLAGS_ANY_SET: return (number_of(value) & number_of(wanted)) != 0;
	case FWP_MATCH_FLAGS_NONE_SET: return (number_of(value) & number_of(wanted)) == 0;
	default: return FALSE;
	}
}

/* Conditions on one field are alternatives; all fields that have any must be met. */
BOOLEAN WfpMatches(const struct wfp_filter *Filter, const FWPS_INCOMING_VALUES0 *Values)
{
	ULONG wanted = 0, met = 0; /* bits: fields */

	for (ULONG i = 0; i < Filter->n_conditions; i++) {
		const FWPS_FILTER_CONDITION0 *condition = &Filter->conditions[i].run;

		if (condition->fieldId >= Values->valueCount)
			return FALSE;
		wanted |= 1u << condition->fieldId;
		if (is_met(condition, &Values->incomingValue[condition->fieldId]))
			met |= 1u << condition->fieldId;
	}
	return wanted == met;
}
