/* SPDX-License-Identifier: MIT */
/* Symbols, lines, types, expressions, code and stacks of an image with its PDB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/static_world.h"

/* --- symbols --- */

struct found {
	size_t n;
	char names[64][64];
	uint64_t last;
};

static bool note_symbol(void *context, const struct kd_symbol *symbol)
{
	struct found *found = context;

	assert_true(symbol->address >= found->last);
	found->last = symbol->address;
	if (found->n < 64)
		snprintf(found->names[found->n++], 64, "%.63s", symbol->name);
	return true;
}

static bool note_text(void *context, const char *name)
{
	struct found *found = context;

	if (found->n < 64)
		snprintf(found->names[found->n++], 64, "%.63s", name);
	return true;
}

static size_t count(const struct found *found, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n; i++)
		n += !strcmp(found->names[i], name);
	return n;
}

static void test_symbols(void **state)
{
	struct fixture *f = *state;
	const char *m = f->machine->module;
	struct kd_symbol symbol, other;
	uint64_t displacement;
	char where[128];

	with_pdb(f);
	ok(kd_symbol_find(f->s, text("%s!Inner", m), &symbol, &err));
	assert_string_equal(symbol.name, "Inner");
	assert_true(symbol.is_function && !symbol.is_export_only && symbol.size > 4);
	assert_true(symbol.module == module(f));
	ok(kd_symbol_find(f->s, "inner", &other, &err));
	assert_true(other.address == symbol.address);
	ok(kd_symbol_find(f->s, m, &other, &err));
	assert_true(other.address == f->base);
	ok(kd_symbol_at(f->s, symbol.address + 3, &other, &displacement, &err));
	assert_string_equal(other.name, "Inner");
	assert_int_equal(displacement, 3);
	ok(kd_symbol_after(f->s, symbol.address, &other, &err));
	assert_true(other.address > symbol.address);
	kd_symbol_format(f->s, symbol.address + 3, where, sizeof where);
	assert_string_equal(where, text("%s!Inner+0x3", m));
	kd_symbol_format(f->s, symbol.address, where, sizeof where);
	assert_string_equal(where, text("%s!Inner", m));
	kd_symbol_format(f->s, f->base + 0x10, where, sizeof where); /* headers: no symbol there */
	assert_string_equal(where, text("%s+0x10", m));
	kd_symbol_format(f->s, f->base - 0x10, where, sizeof where);
	assert_string_equal(where, "");
	assert_int_equal(kd_symbol_find(f->s, "nomod!x", &symbol, &err), KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "no module 'nomod'"));
	assert_int_equal(kd_symbol_find(f->s, text("%s!nosuch", m), &symbol, &err), KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "has no symbol 'nosuch'"));
	assert_int_equal(kd_symbol_find(f->s, "nosuch", &symbol, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_symbol_at(f->s, f->base - 1, &symbol, &displacement, &err),
			 KD_E_NOT_FOUND);
}

static void test_bounds_and_lines(void **state)
{
	struct fixture *f = *state;
	uint64_t inner, begin, end, displacement, address;
	struct kd_symbol symbol;
	char file[256];
	uint32_t line;

	with_pdb(f);
	inner = address_of(f, "Inner");
	ok(kd_symbol_find(f->s, "Inner", &symbol, &err));
	ok(kd_symbol_function_bounds(f->s, inner + 2, &begin, &end, &err));
	assert_true(begin == inner && end == inner + symbol.size);
	ok(kd_symbol_line(f->s, inner, file, sizeof file, &line, &displacement, &err));
	assert_non_null(strstr(file, "static_image.c"));
	assert_int_equal(displacement, 0);
	ok(kd_symbol_line_address(f->s, NULL, "static_image.c", line, &address, &err));
	assert_true(address == inner);
	assert_true(eval(f, text("`static_image.c:%u`", line)) == inner);
	assert_true(eval(f, text("`%s!static_image.c:%u`", f->machine->module, line)) == inner);
	assert_int_equal(
		kd_symbol_line_address(f->s, f->machine->module, "other.c", 1, &address, &err),
		KD_E_NOT_FOUND);
	assert_int_equal(
		kd_symbol_line(f->s, f->base, file, sizeof file, &line, &displacement, &err),
		KD_E_NOT_FOUND);
}

static void test_lists_of_symbols(void **state)
{
	struct fixture *f = *state;
	struct found found = { 0 };

	with_pdb(f);
	ok(kd_symbol_enumerate(f->s, text("%s!*", f->machine->module), note_symbol, &found, &err));
	assert_int_equal(count(&found, "Inner"), 1); /* private and public: told once */
	assert_int_equal(count(&found, "StaticBox"), 1);
	found = (struct found){ 0 };
	ok(kd_symbol_enumerate(f->s, "static*!?n[m-o]er", note_symbol, &found, &err));
	assert_int_equal(found.n, 1);
	assert_string_equal(found.names[0], "Inner");
	found = (struct found){ 0 };
	ok(kd_symbol_enumerate(f->s, "static*!nosuch*", note_symbol, &found, &err));
	assert_int_equal(found.n, 0);
	assert_int_equal(kd_symbol_enumerate(f->s, "nomod!*", note_symbol, &found, &err),
			 KD_E_NOT_FOUND);
	assert_int_equal(kd_symbol_enumerate(f->s, "static*![", note_symbol, &found, &err),
			 KD_E_SYNTAX);

	kd_symbol_complete(f->s, "dri", 100, note_text, &found);
	assert_int_equal(found.n, 4);
	assert_string_equal(found.names[0], "driver0!");
	found = (struct found){ 0 };
	kd_symbol_complete(f->s, text("%s!StaticB", f->machine->module), 100, note_text, &found);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.names[0], text("%s!StaticBox", f->machine->module));
	found = (struct found){ 0 };
	kd_symbol_complete(f->s, "statiC", 2, note_text, &found);
	assert_int_equal(found.n, 2);
}

/* --- types --- */

static void test_types(void **state)
{
	struct fixture *f = *state;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	struct kd_type box, element;
	struct kd_field_info field;
	struct found found = { 0 };
	uint64_t n, address;
	char out[64];

	with_pdb(f);
	ok(kd_type_find(f->s, "_STATIC_BOX", &box, &err));
	assert_int_equal(kd_type_kind(f->s, box), KD_TYPE_STRUCT);
	assert_int_equal(kd_type_size(f->s, box), x64 ? 0x70 : 0x44);
	kd_type_format(f->s, box, out, sizeof out);
	assert_string_equal(out, "_STATIC_BOX");
	ok(kd_type_member(f->s, box, 0, &field));
	assert_string_equal(field.name, "Link");
	ok(kd_type_field(f->s, box, "Link.Key", &field, &err));
	assert_int_equal(field.offset, x64 ? 8 : 4);
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, "Uint4B");
	ok(kd_type_field(f->s, box, "Rows[2].Key", &field, &err));
	assert_int_equal(field.offset, x64 ? 0x18 + 2 * 0x10 + 8 : 0x10 + 2 * 8 + 4);
	ok(kd_type_field(f->s, box, "Rows[0x3]", &field, &err));
	assert_int_equal(kd_type_kind(f->s, field.type), KD_TYPE_STRUCT);
	ok(kd_type_field(f->s, box, "Name", &field, &err));
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, "[16] UChar");
	ok(kd_type_element(f->s, field.type, &element, &n));
	assert_int_equal(n, 16);
	ok(kd_type_field(f->s, box, "Parent", &field, &err));
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, x64 ? "Ptr64 _STATIC_BOX" : "Ptr32 _STATIC_BOX");
	ok(kd_type_field(f->s, box, "State", &field, &err));
	assert_int_equal(kd_type_kind(f->s, field.type), KD_TYPE_ENUM);
	ok(kd_type_enumerator(f->s, field.type, 5, out, sizeof out));
	assert_string_equal(out, "StaticBusy");
	ok(kd_type_enumerator(f->s, field.type, 0xFFFFFFFF, out, sizeof out));
	assert_string_equal(out, "StaticBroken");
	assert_int_equal(kd_type_enumerator(f->s, field.type, 9, out, sizeof out), KD_E_NOT_FOUND);
	ok(kd_type_field(f->s, box, "High", &field, &err));
	assert_int_equal(field.bit_position, 3);
	assert_int_equal(field.bit_length, 29);
	assert_int_equal(kd_type_size(f->s, field.type), 4);
	assert_int_equal(kd_type_field(f->s, box, "Nothing", &field, &err), KD_E_NOT_FOUND);
	assert_string_equal(err.text, "_STATIC_BOX has no member 'Nothing'");
	assert_int_equal(kd_type_field(f->s, box, "Link.", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "Link[1]", &field, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_type_field(f->s, box, "Rows[x]", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "Rows[1", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_member(f->s, box, 1000, &field), KD_E_NOT_FOUND);
	assert_int_equal(kd_type_find(f->s, "_NO_SUCH", &box, &err), KD_E_NOT_FOUND);
	ok(kd_type_of_symbol(f->s, text("%s!StaticBox", f->machine->module), &box, &address, &err));
	kd_type_format(f->s, box, out, sizeof out);
	assert_string_equal(out, "_STATIC_BOX");
	assert_true(address == address_of(f, "StaticBox"));
	ok(kd_type_enumerate(f->s, "static*!_STATIC_*", note_text, &found, &err));
	assert_int_equal(count(&found, text("%s!_STATIC_BOX", f->machine->module)), 1);
	assert_int_equal(count(&found, text("%s!_STATIC_LINK", f->machine->module)), 1);
}

/* --- expressions --- */

static void test_expressions(void **state)
{
	struct fixture *f = *state;
	const char *m = f->machine->module;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	uint64_t v, before;

	with_pdb(f);
	assert_true(eval(f, m) == f->base);
	assert_int_equal(eval(f, text("dwo(%s!StaticCounter)", m)), 0x11223344);
	assert_int_equal(eval(f, "dwo(StaticCounter)"), 0x11223344);
	assert_int_equal(eval(f, text("%s!Inner - %s", m, m)), address_of(f, "Inner") - f->base);
	assert_true(eval(f, "nt") == f->host->fake->kernel_base);
	assert_int_equal(eval(f, "@nt"), 0); /* the flag */
	assert_true(eval(f, "$ip") == eval(f, x64 ? "@rip" : "@eip"));
	assert_true(eval(f, x64 ? "rsp" : "esp") == eval(f, "$csp"));
	assert_int_equal(eval(f, "$ptrsize"), x64 ? 8 : 4);
	assert_int_equal(eval(f, "@$pagesize"), 0x1000);
	ok(kd_pseudo_set(f->s, "$t3", 0x77, &err));
	assert_int_equal(eval(f, "$t3 + @$t4"), 0x77);
	assert_int_equal(kd_pseudo_set(f->s, "$t20", 1, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_pseudo_set(f->s, "$ip", 1, &err), KD_E_NOT_FOUND);
	kd_pseudo_note(f->s, "$exp", 0x99);
	assert_int_equal(eval(f, "$exp"), 0x99);
	assert_true(eval(f, text("$iment(%s)", m)) != 0);
	assert_int_equal(eval(f, text("$vvalid(%s, 100)", m)), 1);
	assert_int_equal(eval(f, "$vvalid(10, 1)"), 0);
	assert_int_equal(kd_expression_evaluate(f->s, "$nosuch", NULL, &v, &err), KD_E_NOT_FOUND);
	assert_string_equal(err.text, "there is no pseudo-register $nosuch");
	assert_int_equal(kd_expression_evaluate(f->s, "poi(10)", NULL, &v, &err), KD_E_UNREADABLE);
	assert_int_equal(kd_expression_evaluate(f->s, "1 + nosuch", NULL, &v, &err),
			 KD_E_NOT_FOUND);
	assert_int_equal(err.where, 4);
	ok(kd_expression_set_radix(f->s, 10));
	assert_int_equal(eval(f, "10"), 10);
	assert_int_equal(kd_expression_set_radix(f->s, 7), KD_E_INVALID);
	/* Numbers and registers ask the target for nothing (once the registers are here). */
	before = requests(f);
	eval(f, x64 ? "rax + rbx + 5" : "eax + ebx + 5");
	assert_int_equal(requests(f), before);
}

/* --- code --- */

static void test_code(void **state)
{
	struct fixture *f = *state;
	uint64_t at, end, starts[64] = { 0 }, before;
	struct kd_instruction insn;
	size_t n = 0, n_calls = 0;
	char line[256];

	with_pdb(f);
	ok(kd_symbol_function_bounds(f->s, address_of(f, "Middle"), &at, &end, &err));
	before = requests(f);
	for (; at < end; at += insn.size) {
		starts[n++] = at;
		ok(kd_code_decode(f->s, at, &insn, &err));
		assert_true(insn.is_valid && n < 64);
		n_calls += insn.flow == KD_FLOW_CALL && insn.target == address_of(f, "Inner");
	}
	assert_true(requests(f) - before <= 2);
	assert_int_equal(n_calls, 2);
	for (size_t i = 1; i < n; i++) {
		uint64_t back;

		ok(kd_code_before(f->s, starts[i], (unsigned)i, &back, &err));
		assert_true(back == starts[0]);
		ok(kd_code_before(f->s, starts[i], 1, &back, &err));
		assert_true(back == starts[i - 1]);
	}
	/* Over the start of the function: what is before it is decoded too. */
	ok(kd_code_before(f->s, starts[1], 3, &at, &err));
	assert_true(at < starts[0]);
	assert_int_equal(kd_code_before(f->s, 0x1000, 4, &at, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_code_decode(f->s, 0x10, &insn, &err), KD_E_UNREADABLE);
	/* The first call, as u prints it. */
	for (size_t i = 0; i < n; i++) {
		ok(kd_code_decode(f->s, starts[i], &insn, &err));
		if (insn.flow == KD_FLOW_CALL)
			break;
	}
	snprintf(line, sizeof line, "%s %s", insn.mnemonic, insn.operands);
	assert_memory_equal(line, text("call %s!Inner (", f->machine->module),
			    strlen(f->machine->module) + 13);
}

/* --- stacks --- */

/* After the call in `caller` to `callee`. */
static uint64_t return_address(const struct fixture *f, const char *caller, const char *callee)
{
	uint64_t at, end, target = address_of(f, callee);
	struct kd_instruction insn;

	ok(kd_symbol_function_bounds(f->s, address_of(f, caller), &at, &end, &err));
	for (; at < end; at += insn.size) {
		ok(kd_code_decode(f->s, at, &insn, &err));
		if (insn.flow == KD_FLOW_CALL && insn.target == target)
			return at + insn.size;
	}
	fail_msg("%s does not call %s", caller, callee);
	return 0;
}

/* Bytes that a prologue of pushes and one `sub rsp` takes. */
static uint64_t frame_size(const struct fixture *f, const char *function)
{
	uint64_t at = address_of(f, function), size = 0;
	struct kd_instruction insn;

	for (;; at += insn.size) {
		ok(kd_code_decode(f->s, at, &insn, &err));
		if (!strcmp(insn.mnemonic, "push"))
			size += 8;
		else if (!strcmp(insn.mnemonic, "sub") && !strncmp(insn.operands, "rsp,", 4))
			return size + strtoull(insn.operands + 4, NULL, 16);
		else
			return size;
	}
}

struct scene {
	uint64_t stack, sp, middle, outer, entry;
};

/* The processor stands at Inner's first instruction, called by Middle, Outer and NtEntry. */
static void lay_out(struct fixture *f, struct scene *scene)
{
	struct kd_fake *fake = f->host->fake;
	bool x64 = fake->word == 8;
	uint64_t sp;

	scene->middle = return_address(f, "Middle", "Inner");
	scene->outer = return_address(f, "Outer", "Middle");
	scene->entry = return_address(f, "NtEntry", "Outer");
	fake_host_lock(f->host);
	scene->stack = kd_fake_alloc(fake, 0x2000);
	sp = scene->sp = scene->stack + 0x1000;
	kd_fake_put_word(fake, sp, scene->middle);
	if (x64) {
		fake_host_unlock(f->host);
		uint64_t sizes[3] = { frame_size(f, "Middle"), frame_size(f, "Outer"),
				      frame_size(f, "NtEntry") };
		fake_host_lock(f->host);
		kd_fake_put_word(fake, sp + 8 + sizes[0], scene->outer);
		kd_fake_put_word(fake, sp + 16 + sizes[0] + sizes[1], scene->entry);
		kd_fake_put_word(fake, sp + 24 + sizes[0] + sizes[1] + sizes[2], 0);
	} else {
		uint64_t ebp = sp + 0x20;

		kd_fake_put_word(fake, ebp, ebp + 0x20);
		kd_fake_put_word(fake, ebp + 4, scene->outer);
		kd_fake_put_word(fake, ebp + 0x20, ebp + 0x40);
		kd_fake_put_word(fake, ebp + 0x24, scene->entry);
		kd_fake_put_word(fake, ebp + 0x40, 0);
		kd_fake_put_word(fake, ebp + 0x44, 0);
	}
	fake_host_unlock(f->host);
}

static void enter(struct fixture *f, const struct scene *scene)
{
	bool x64 = f->host->fake->word == 8;

	ok(kd_register_set(f->s, x64 ? "rip" : "eip", address_of(f, "Inner"), &err));
	ok(kd_register_set(f->s, x64 ? "rsp" : "esp", scene->sp, &err));
	if (!x64)
		ok(kd_register_set(f->s, "ebp", scene->sp + 0x20, &err));
	kd_memory_flush(f->s);
}

static void check_stack(struct fixture *f, const struct scene *scene)
{
	struct kd_frame frames[32];
	uint64_t before;
	size_t n;
	char note[160];

	enter(f, scene);
	before = requests(f);
	ok(kd_stack_walk(f->s, frames, 32, &n, note, sizeof note, &err));
	print_message("a stack of %zu frames: %u requests\n", n, (unsigned)(requests(f) - before));
	assert_int_equal(n, 4);
	assert_string_equal(note, "");
	assert_true(frames[0].pc == address_of(f, "Inner"));
	assert_true(frames[0].return_address == scene->middle);
	assert_true(frames[1].pc == scene->middle);
	assert_true(frames[2].pc == scene->outer);
	assert_true(frames[3].pc == scene->entry);
	assert_int_equal(frames[3].return_address, 0);
	assert_true(eval(f, "$ra") == scene->middle);
	/* Another time: the unwind data are here. */
	kd_memory_flush(f->s);
	before = requests(f);
	ok(kd_stack_walk(f->s, frames, 32, &n, note, sizeof note, &err));
	print_message("the same again: %u requests\n", (unsigned)(requests(f) - before));
	assert_true(requests(f) - before <= 6);
}

static void test_stack(void **state)
{
	struct fixture *f = *state;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	struct kd_frame frames[8];
	struct scene scene;
	uint8_t context[KD_CONTEXT_MAX];
	const struct kd_reg_layout *layout = kd_context_layout(f->machine->number);
	size_t n, size;
	char note[160];

	with_pdb(f);
	lay_out(f, &scene);
	check_stack(f, &scene);
	/* With the image at hand as a file. */
	put_file(f, text("%s.sys", f->machine->module), f->machine->image);
	ok(kd_module_reload(f->s, f->machine->module, &err));
	check_stack(f, &scene);

	ok(kd_stack_frame_context(f->s, 2, context, sizeof context, &size, &err));
	assert_int_equal(size, layout->size);
	ok(kd_context_set(f->s, context, size, &err));
	assert_true(eval(f, "$ip") == scene.outer);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 2);
	ok(kd_context_set(f->s, NULL, 0, &err));
	assert_int_equal(kd_stack_frame_context(f->s, 4, context, sizeof context, &size, &err),
			 KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "only 4 frames"));
	if (x64) {
		ok(kd_stack_walk_from(f->s, scene.sp, address_of(f, "Inner"), frames, 8, &n, note,
				      sizeof note, &err));
		assert_int_equal(n, 4);
	}
}

/* Without a PDB .pdata is enough for x64. */
static void test_stack_without_symbols(void **state)
{
	struct fixture *f = *state;
	struct kd_frame frames[8];
	struct scene scene;
	uint64_t inner, begin, end;
	size_t n;
	char note[160];

	with_pdb(f);
	lay_out(f, &scene);
	enter(f, &scene);
	inner = address_of(f, "Inner");
	ok(kd_symbol_path_set(f->s, "", &err));
	ok(kd_module_reload(f->s, f->machine->module, &err));
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_NOT_FOUND);
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_EXPORT);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 4);
	assert_true(frames[3].pc == scene.entry);
	ok(kd_symbol_function_bounds(f->s, scene.middle, &begin, &end, &err));
	assert_true(begin > inner && scene.middle > begin && scene.middle < end);
	/* The middle of the stack is paged out. */
	fake_host_lock(f->host);
	kd_fake_unmap(f->host->fake, scene.stack + 0x1000, 0x1000);
	fake_host_unlock(f->host);
	kd_memory_flush(f->s);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 1);
	assert_non_null(strstr(note, "not readable"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_symbols),
		BOTH(test_bounds_and_lines),
		BOTH(test_lists_of_symbols),
		BOTH(test_types),
		BOTH(test_expressions),
		BOTH(test_code),
		BOTH(test_stack),
		{ "test_stack_without_symbols", test_stack_without_symbols, set_up, tear_down,
		  NULL },
	};

	return world_main("session_names", argc, argv, tests, KD_ARRAY_LEN(tests));
}
