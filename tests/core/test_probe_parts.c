/* SPDX-License-Identifier: MIT */
/*
 * The probe's parts by themselves: BPF against libpcap's own interpreter, filters, rules, headers
 * against straightforward sums, records and ring slots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "core/probe/probe_filter.h"
#include "core/probe/probe_ring.h"

static uint64_t state = 88172645463325252u;

static uint32_t next_random(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 11) % below;
}

static void random_bytes(uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)next_random(256);
}

static struct kd_probe_facts random_facts(void)
{
	static const uint16_t ports[] = { 53, 80, 443, 445, 8080, 0 };
	struct kd_probe_facts f = { .family = next_random(2) ? 4 : 6,
				    .protocol = next_random(2) ? 6 : 17,
				    .direction = (uint8_t)next_random(2),
				    .is_loopback = next_random(4) == 0,
				    .local = { 10, 0, 2, 15 },
				    .remote = { 192, 168, 1, 77 },
				    .pid = next_random(5) };

	if (next_random(2))
		random_bytes(f.remote, sizeof f.remote);
	if (next_random(2))
		f.local[15] = 1;
	f.local_port = (uint16_t)(1024 + next_random(60000));
	f.remote_port = ports[next_random(6)];
	if (f.remote_port == 0)
		f.remote_port = (uint16_t)next_random(65536);
	return f;
}

/* --- BPF --- */

static const char *const expressions[] = {
	"ip",
	"ip6",
	"tcp",
	"udp",
	"tcp port 80",
	"udp port 53",
	"port 443 or port 8080",
	"not port 445",
	"src port 80",
	"dst port 80",
	"portrange 1-1023",
	"tcp src portrange 2000-40000",
	"host 192.168.1.77",
	"src host 10.0.2.15",
	"net 192.168.0.0/16 and tcp",
	"ip6 host ::1",
	"src net 10.0.0.0/8 and not dst port 53",
	"tcp[tcpflags] & (tcp-push|tcp-fin) != 0",
	"tcp[13] & 4 != 0",
	"len > 200",
	"less 100",
	"greater 1000 and udp",
	"ip[8] < 65",
	"ip proto 6",
	"ip6 proto 17",
	"udp[8:2] = 0x1234",
	"tcp[((tcp[12]&0xf0)>>2):4] = 0x47455420",
	"ip[2:2] - ((ip[0]&0xf)<<2) - ((tcp[12]&0xf0)>>2) != 0",
	"ip[0] & 0xf != 5",
	"(tcp[2:2] * 3 + 7) % 5 = 1",
	"udp[4:2] / 3 > 20",
	"ip multicast",
	"ip6[40] = 0",
	"tcp[20] = 65 or udp[8] = 65 or ip6[60] = 65",
	"ether[0] = 0 or ip",
	"tcp and (port 80 or port 443 or port 8080) and host 10.0.2.15 and len > 60",
};

static void compile(const char *text, struct kd_probe_program *ret, struct bpf_program *theirs)
{
	pcap_t *dead = pcap_open_dead(DLT_RAW, 65536);

	ret->n = 0;
	theirs->bf_insns = NULL;
	if (pcap_compile(dead, theirs, text, 1, PCAP_NETMASK_UNKNOWN) == 0) {
		assert_true(theirs->bf_len <= KD_PROBE_INSTRUCTIONS_MAX);
		for (uint32_t i = 0; i < theirs->bf_len; i++)
			ret->instructions[i] = (struct kd_bpf_instruction){
				theirs->bf_insns[i].code, theirs->bf_insns[i].jt,
				theirs->bf_insns[i].jf, theirs->bf_insns[i].k
			};
		ret->n = theirs->bf_len;
	}
	pcap_close(dead);
}

/* What libpcap's interpreter says of headers and payload in one piece. */
static bool they_match(const struct bpf_program *theirs, const struct kd_probe_headers *h,
		       const uint8_t *bytes, uint32_t size)
{
	uint8_t whole[KD_PROBE_HEADERS_MAX + 2048];

	memcpy(whole, h->bytes, h->size);
	memcpy(whole + h->size, bytes, size);
	return bpf_filter(theirs->bf_insns, whole, h->size + size, h->size + size) != 0;
}

static void run_one(const struct kd_probe_program *ours, const struct bpf_program *theirs,
		    const char *text)
{
	struct kd_probe_facts facts = random_facts();
	enum kd_probe_direction direction = (enum kd_probe_direction)next_random(2);
	struct kd_probe_headers plain;
	struct kd_probe_segment flow_segment = { 0 };
	enum kd_bpf_answer answer;

	kd_probe_headers_make(&plain, &facts, direction, &flow_segment);
	answer = kd_bpf_ask(ours->instructions, ours->n, &plain);
	for (int i = 0; i < 12; i++) {
		struct kd_probe_segment segment = { .payload_size = next_random(2)
									    ? next_random(64)
									    : next_random(2048),
						    .seq = next_random(1u << 31),
						    .ack = next_random(1u << 31),
						    .tcp_flags = (uint8_t)next_random(32) };
		struct kd_probe_headers h;
		struct kd_bpf_packet packet = { &h, NULL, segment.payload_size };
		uint8_t bytes[2048];
		bool expected;

		random_bytes(bytes, sizeof bytes);
		if (next_random(2))
			memcpy(bytes, "GET ", 4);
		packet.bytes = bytes;
		kd_probe_headers_make(&h, &facts, direction, &segment);
		expected = they_match(theirs, &h, bytes, packet.size);
		if (kd_bpf_run(ours->instructions, ours->n, &packet) != expected)
			fail_msg("'%s' of %u bytes: libpcap says %d", text, packet.size, expected);
		if (answer != KD_BPF_DEPENDS && (answer == KD_BPF_ALWAYS) != expected)
			fail_msg("'%s': asked for the flow it says %d, a packet says %d", text,
				 answer, expected);
	}
}

static void bpf_runs_as_libpcap_does(void **test)
{
	unsigned n_compiled = 0;
	uint32_t where;

	(void)test;
	for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
		struct kd_probe_program ours;
		struct bpf_program theirs;

		compile(expressions[i], &ours, &theirs);
		if (ours.n == 0)
			continue;
		n_compiled++;
		assert_int_equal(kd_bpf_check(ours.instructions, ours.n, &where), KD_OK);
		for (int k = 0; k < 300; k++)
			run_one(&ours, &theirs, expressions[i]);
		pcap_freecode(&theirs);
	}
	assert_true(n_compiled >= 30);
}

/* What is known of a flow is said for the flow: the uninteresting must cost nothing. */
static void bpf_answers_for_flows(void **test)
{
	static const struct {
		const char *text;
		enum kd_bpf_answer answer;
	} rows[] = {
		{ "tcp", KD_BPF_ALWAYS },
		{ "udp", KD_BPF_NEVER },
		{ "tcp port 80", KD_BPF_ALWAYS },
		{ "tcp port 81", KD_BPF_NEVER },
		{ "ip6", KD_BPF_NEVER },
		{ "host 192.168.1.77", KD_BPF_ALWAYS },
		{ "src host 192.168.1.77", KD_BPF_NEVER },
		{ "tcp[13] & 8 != 0", KD_BPF_DEPENDS },
		{ "len > 100", KD_BPF_DEPENDS },
		{ "udp or len > 100", KD_BPF_DEPENDS },
		{ "udp and len > 100", KD_BPF_NEVER },
		{ "tcp[20] = 65", KD_BPF_DEPENDS },
	};
	struct kd_probe_facts facts = { .family = 4,
					.protocol = 6,
					.local = { 10, 0, 2, 15 },
					.remote = { 192, 168, 1, 77 },
					.local_port = 50000,
					.remote_port = 80 };
	struct kd_probe_segment segment = { 0 };
	struct kd_probe_headers h;

	(void)test;
	kd_probe_headers_make(&h, &facts, KD_PROBE_OUT, &segment);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct kd_probe_program ours;
		struct bpf_program theirs;
		enum kd_bpf_answer answer;

		compile(rows[i].text, &ours, &theirs);
		assert_true(ours.n != 0);
		answer = kd_bpf_ask(ours.instructions, ours.n, &h);
		if (answer != rows[i].answer)
			fail_msg("'%s': %d, expected %d", rows[i].text, answer, rows[i].answer);
		pcap_freecode(&theirs);
	}
}

/*
 * Whatever passes the check runs to an end, and libpcap, which validates too, agrees with it. No
 * loads from scratch cells: there libpcap has what lay on its stack, and we have zeros.
 */
static void random_programs_are_refused_or_run(void **test)
{
	static const uint16_t codes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,  0x0C,
					  0x14, 0x15, 0x16, 0x1C, 0x1D, 0x20, 0x24, 0x25,  0x28,
					  0x30, 0x34, 0x35, 0x3C, 0x40, 0x44, 0x45, 0x48,  0x50,
					  0x54, 0x02, 0x03, 0x64, 0x74, 0x80, 0x81, 0x84,  0x87,
					  0x94, 0x9C, 0xA4, 0xAC, 0xB1, 0x0E, 0x16, 0xFFFF };
	unsigned n_good = 0;

	(void)test;
	for (int turn = 0; turn < 200000; turn++) {
		struct kd_bpf_instruction program[6];
		struct bpf_insn theirs[6];
		uint32_t n = 1 + next_random(6), where = 99;
		uint8_t bytes[100];

		for (uint32_t i = 0; i < n; i++) {
			program[i] = (struct kd_bpf_instruction){
				i == n - 1 && next_random(8) ? 0x06
							     : codes[next_random(sizeof codes / 2)],
				(uint8_t)next_random(4), (uint8_t)next_random(4),
				next_random(4) ? next_random(20)
					       : (uint32_t)next_random(1u << 30) * 4
			};
			if (program[i].code == 0x64 || program[i].code == 0x74)
				program[i].k %= 32; /* more is C's undefined behaviour there */
			theirs[i] = (struct bpf_insn){ program[i].code, program[i].jt,
						       program[i].jf, program[i].k };
		}
		if (kd_bpf_check(program, n, &where) != KD_OK) {
			assert_true(where < n);
			continue;
		}
		n_good++;
		assert_true(bpf_validate(theirs, (int)n));
		for (int k = 0; k < 3; k++) {
			struct kd_probe_facts facts = random_facts();
			struct kd_probe_segment segment = { .payload_size = next_random(100) };
			struct kd_probe_headers h;
			struct kd_bpf_packet packet = { &h, bytes, segment.payload_size };
			struct bpf_program whole = { n, theirs };

			random_bytes(bytes, sizeof bytes);
			kd_probe_headers_make(&h, &facts, KD_PROBE_OUT, &segment);
			if (kd_bpf_run(program, n, &packet) !=
			    they_match(&whole, &h, bytes, packet.size)) {
				for (uint32_t i = 0; i < n; i++)
					print_message("%#x %u %u %#x\n", program[i].code,
						      program[i].jt, program[i].jf, program[i].k);
				fail_msg("libpcap says otherwise of a packet of %u bytes",
					 packet.size);
			}
		}
	}
	assert_true(n_good > 1000);
}

/* --- filters --- */

static void random_filter(struct kd_probe_filter *f)
{
	struct bpf_program theirs;

	kd_probe_filter_init(f);
	f->generation = next_random(1000);
	f->n_rules = next_random(KD_PROBE_RULES_MAX + 1);
	memset(f->rules, 0, sizeof f->rules);
	for (uint32_t i = 0; i < f->n_rules; i++) {
		struct kd_probe_w_rule *r = &f->rules[i];

		r->match = next_random(KD_PROBE_MATCH_ALL + 1);
		r->action = (uint16_t)next_random(KD_PROBE_HOLD + 1);
		r->lists = (uint16_t)next_random(4);
		r->pid = next_random(100);
		r->family = next_random(2) ? 4 : 6;
		r->local_bits = (uint8_t)next_random(33);
		r->remote_bits = (uint8_t)next_random(33);
		r->path_size = (uint16_t)next_random(sizeof r->path + 1);
		random_bytes(r->path, r->path_size);
	}
	compile(expressions[next_random(20)], &f->capture, &theirs);
	if (f->capture.n)
		pcap_freecode(&theirs);
	compile(expressions[next_random(20)], &f->intercept, &theirs);
	if (f->intercept.n)
		pcap_freecode(&theirs);
}

static void filters_come_back(void **test)
{
	static struct kd_probe_filter one, two;
	static uint8_t bytes[KD_PROBE_FILTER_ROOM], again[KD_PROBE_FILTER_ROOM];

	(void)test;
	for (int turn = 0; turn < 30; turn++) {
		uint32_t size, where;

		random_filter(&one);
		size = kd_probe_filter_encode(bytes, &one);
		assert_true(size <= sizeof bytes);
		assert_int_equal(kd_probe_filter_decode(&two, bytes, size, &where),
				 KD_PROBE_FILTER_GOOD);
		assert_int_equal(kd_probe_filter_encode(again, &two), size);
		assert_memory_equal(bytes, again, size);
		for (uint32_t cut = 0; cut < size; cut++)
			assert_int_equal(kd_probe_filter_decode(&two, bytes, cut, &where),
					 KD_PROBE_FILTER_SIZE);
	}
}

static void globs_match(void **test)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "abc", "ABC", true },
		{ "abc", "abcd", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "*.exe", "chrome.EXE", true },
		{ "*.exe", "chrome.ex", false },
		{ "a*b*c", "aXXbYYc", true },
		{ "a*b*c", "aXXbYY", false },
		{ "**a", "bba", true },
		{ "*aab", "aaaab", true },
		{ "?", "", false },
		{ "*\\bulk.exe", "\\x\\y\\bulk.exe", true },
		{ "a*", "b", false },
		{ "chrome*", "chrome", true },
	};
	uint8_t evil[300];

	(void)test;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (kd_probe_glob_matches((const uint8_t *)rows[i].pattern,
					  (uint32_t)strlen(rows[i].pattern),
					  (const uint8_t *)rows[i].text,
					  (uint32_t)strlen(rows[i].text)) != rows[i].matches)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].text);
	/* no explosion: a*a*a*...b against aaa... */
	for (size_t i = 0; i < sizeof evil; i++)
		evil[i] = i % 2 && i < 60 ? '*' : 'a';
	evil[59] = 'b';
	assert_false(kd_probe_glob_matches(evil, 60, evil + 60, 240));
}

/* A rule with one condition, against a flow that has it and one that lacks it. */
static void rules_match(void **test)
{
	static const struct kd_probe_facts flow = { .family = 4,
						    .protocol = 6,
						    .direction = KD_PROBE_OUT,
						    .is_loopback = true,
						    .local = { 10, 0, 2, 15 },
						    .remote = { 192, 168, 1, 77 },
						    .local_port = 5000,
						    .remote_port = 80,
						    .pid = 42,
						    .path = (const uint8_t *)"\\a\\bulk.exe",
						    .path_size = 11 };
	static const struct {
		struct kd_probe_w_rule rule;
		bool fits;
	} rows[] = {
		{ { .match = 0 }, true },
		{ { .match = KD_PROBE_MATCH_PID, .pid = 42 }, true },
		{ { .match = KD_PROBE_MATCH_PID, .pid = 43 }, false },
		{ { .match = KD_PROBE_MATCH_DIRECTION, .direction = KD_PROBE_OUT }, true },
		{ { .match = KD_PROBE_MATCH_DIRECTION, .direction = KD_PROBE_IN }, false },
		{ { .match = KD_PROBE_MATCH_LOOPBACK, .is_loopback = 1 }, true },
		{ { .match = KD_PROBE_MATCH_LOOPBACK, .is_loopback = 0 }, false },
		{ { .match = KD_PROBE_MATCH_PROTOCOL, .protocol = 6 }, true },
		{ { .match = KD_PROBE_MATCH_PROTOCOL, .protocol = 17 }, false },
		{ { .match = KD_PROBE_MATCH_FAMILY, .family = 6 }, false },
		{ { .match = KD_PROBE_MATCH_LOCAL_PORT,
		    .local_port_first = 5000,
		    .local_port_last = 5000 },
		  true },
		{ { .match = KD_PROBE_MATCH_LOCAL_PORT,
		    .local_port_first = 5001,
		    .local_port_last = 65535 },
		  false },
		{ { .match = KD_PROBE_MATCH_REMOTE_PORT, .remote_port_last = 80 }, true },
		{ { .match = KD_PROBE_MATCH_REMOTE_PORT, .remote_port_last = 79 }, false },
		{ { .match = KD_PROBE_MATCH_REMOTE,
		    .family = 4,
		    .remote = { 192, 168, 1, 64 },
		    .remote_bits = 26 },
		  true },
		{ { .match = KD_PROBE_MATCH_REMOTE,
		    .family = 4,
		    .remote = { 192, 168, 1, 64 },
		    .remote_bits = 29 },
		  false },
		{ { .match = KD_PROBE_MATCH_REMOTE, .family = 4, .remote_bits = 0 }, true },
		{ { .match = KD_PROBE_MATCH_REMOTE, .family = 6, .remote_bits = 0 }, false },
		{ { .match = KD_PROBE_MATCH_LOCAL,
		    .family = 4,
		    .local = { 10, 0, 2, 15 },
		    .local_bits = 32 },
		  true },
		{ { .match = KD_PROBE_MATCH_PID | KD_PROBE_MATCH_PROTOCOL,
		    .pid = 42,
		    .protocol = 17 },
		  false },
	};

	(void)test;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct kd_probe_filter f;

		kd_probe_filter_init(&f);
		f.n_rules = 1;
		f.rules[0] = rows[i].rule;
		f.rules[0].action = KD_PROBE_HOLD;
		f.rules[0].lists = KD_PROBE_LIST_SHOW;
		if ((kd_probe_filter_action(&f, KD_PROBE_LIST_SHOW, &flow) == KD_PROBE_HOLD) !=
		    rows[i].fits)
			fail_msg("rule %zu", i);
		/* of another list: nobody asked it */
		assert_int_equal(kd_probe_filter_action(&f, KD_PROBE_LIST_HOLD, &flow),
				 KD_PROBE_BY_PROGRAM);
	}
}

/* --- headers --- */

static uint32_t sum_of(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < n ? bytes[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint32_t)sum;
}

/* A receiver's check: with pseudo header and the sum in it, it comes to ones. */
static void headers_sum_up(void **test)
{
	(void)test;
	for (int turn = 0; turn < 2000; turn++) {
		struct kd_probe_facts facts = random_facts();
		struct kd_probe_segment segment = { .payload_size = next_random(3000),
						    .seq = next_random(1u << 31),
						    .tcp_flags = KD_PROBE_TCP_ACK };
		static uint8_t whole[40 + 3100];
		uint8_t payload[3000];
		struct kd_probe_headers h;
		size_t addresses, at, transport;

		random_bytes(payload, sizeof payload);
		kd_probe_headers_make(&h, &facts, (enum kd_probe_direction)next_random(2),
				      &segment);
		kd_probe_headers_sum(&h, payload, segment.payload_size);
		transport = (size_t)h.size - h.ip_size + segment.payload_size;
		if (facts.family == 4)
			assert_int_equal(sum_of(h.bytes, h.ip_size), 0xFFFF);
		/* addresses, length, protocol; then the segment */
		addresses = facts.family == 4 ? 8 : 32;
		memcpy(whole, h.bytes + (facts.family == 4 ? 12 : 8), addresses);
		at = addresses;
		whole[at++] = 0;
		whole[at++] = facts.protocol;
		whole[at++] = (uint8_t)(transport >> 8);
		whole[at++] = (uint8_t)transport;
		memcpy(whole + at, h.bytes + h.ip_size, (size_t)h.size - h.ip_size);
		at += (size_t)h.size - h.ip_size;
		memcpy(whole + at, payload, segment.payload_size);
		assert_int_equal(sum_of(whole, at + segment.payload_size), 0xFFFF);
		if (facts.protocol == 17) /* none is a value of its own */
			assert_true(h.bytes[h.ip_size + 6] || h.bytes[h.ip_size + 7]);
	}
}

/* --- records and rings --- */

static void records_with_any_bit_flipped(void **test)
{
	enum { PAYLOAD = 100, INDEX = 4096 };
	struct kd_probe_w_record v = { .type = KD_PROBE_DATA,
				       .flags = KD_PROBE_HELD,
				       .item = 0x1122334455667788,
				       .flow = 9,
				       .time = 77,
				       .pid = 4,
				       .payload_size = PAYLOAD };
	uint8_t good[KD_PROBE_HDR];
	unsigned n_refused = 0;

	(void)test;
	kd_probe_hdr_encode(good, &v, INDEX);
	for (unsigned bit = 0; bit < 8 * KD_PROBE_HDR; bit++) {
		uint8_t bad[KD_PROBE_HDR];
		struct kd_probe_w_record got;
		uint32_t advance = 0, used = kd_probe_record_room(PAYLOAD);
		enum kd_status s;

		memcpy(bad, good, sizeof bad);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		s = kd_probe_hdr_decode(&got, bad, INDEX, used, 1 << 20, &advance);
		n_refused += s == KD_E_MALFORMED;
		if (s == KD_OK) { /* no size or place of it was touched */
			assert_int_equal(got.payload_size, PAYLOAD);
			assert_int_equal(advance, used);
		} else {
			assert_int_equal(s, KD_E_MALFORMED);
		}
	}
	assert_true(n_refused >= 3 * 32); /* size, place, payload's size */
}

/* Any two indices: a slot never reaches over the end of the ring or into what is not read. */
static void slots_stay_inside(void **test)
{
	enum { RING = 8192 };

	(void)test;
	for (int turn = 0; turn < 200000; turn++) {
		uint32_t tail = next_random(1u << 30) * 4, used = next_random(RING + 64);
		uint32_t head = tail + used, room = 0;
		struct kd_probe_slot slot;
		enum kd_status s;

		if (next_random(2)) {
			tail &= ~(uint32_t)(KD_PROBE_UNIT - 1);
			used &= ~(uint32_t)(KD_PROBE_UNIT - 1);
			head = tail + used;
		}
		room = kd_probe_record_room(next_random(RING / 2));
		s = kd_probe_slot_find(head, tail, RING, room, 0, &slot);
		if (room > RING / 2) {
			assert_int_equal(s, KD_E_TOO_BIG);
		} else if (used > RING || (head | tail) % KD_PROBE_UNIT) {
			assert_int_equal(s, KD_E_MALFORMED);
		} else if (s == KD_OK) {
			assert_int_equal(slot.index, head + slot.skip);
			assert_int_equal(slot.next, slot.index + room);
			assert_true(slot.index % RING + room <= RING);
			assert_true(slot.next - tail <= RING);
		} else {
			assert_int_equal(s, KD_E_FULL);
			assert_true(used + room >
				    RING - (RING - head % RING < room ? RING - head % RING : 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bpf_runs_as_libpcap_does),
		cmocka_unit_test(bpf_answers_for_flows),
		cmocka_unit_test(random_programs_are_refused_or_run),
		cmocka_unit_test(filters_come_back),
		cmocka_unit_test(globs_match),
		cmocka_unit_test(rules_match),
		cmocka_unit_test(headers_sum_up),
		cmocka_unit_test(records_with_any_bit_flipped),
		cmocka_unit_test(slots_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
