/* SPDX-License-Identifier: MIT */
/*
 * Every row of the tables "target state machine", "debugger state machine" and "pitfalls" of the
 * protocol (facts 1.11, 1.12, 1.13) that a link can obey, one conversation each. The language of
 * the scripts is described in link_script.h. Times: byte gap 250 ms, ack wait 500 ms, RESET gap
 * 1 s (target 250 ms), debugger's retries 4, target's 20 (5 before a debugger was heard).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/core/link_script.h"

#include "lib/base.h"

/* clang-format off */

/* What many cases begin with. */
#define UP /* debugger: next_send 0x80800000, expected 0x80800001 */ \
	"< data 3 80800800 up\n" "= restarted\n" "= packet 3 80800800 up\n" "> ack 80800000\n"
#define READ /* a request is out */ \
	"! send 2 01__read\n" "> data 2 80800000 01__read\n"
#define T_UP /* target: its first packet is acknowledged; both ids at 0x80800001, 0x80800000 */ \
	"! send 7 stop\n" "> data 7 80800800 stop\n" "< ack 80800000\n" "= acked\n"

/* 1.11, leader hunt */
static const struct link_case hunt[] = {
	{ "four equal leader bytes are a leader, three are not", KD_LINK_TARGET,
	  T_UP "< text 000x\n" "< data 2 80800000 r\n" "= noise 000x\n" "= packet 2 80800000 r\n"
	  "> ack 80800000\n" },
	{ "leader bytes of the other kind start the count again", KD_LINK_TARGET,
	  T_UP "< text 00iii\n" "< data 2 80800000 r\n" "= noise 00iii\n" "= packet 2 80800000 r\n"
	  "> ack 80800000\n" },
	{ "break-in and silence: Ctrl-C pending, resend", KD_LINK_TARGET,
	  T_UP "< break\n" "+ 249\n" "+ 1\n" "= breakin\n" "= resend-asked\n" "= noise b\n"
	  "+ 5000\n" "? breakins 1\n" },
	{ "break-in in garbage does not count", KD_LINK_TARGET,
	  T_UP "< text bx\n" "+ 300\n" "= noise bx\n" "+ 5000\n" "? breakins 0\n" },
	{ "garbage, then break-in and silence", KD_LINK_TARGET,
	  T_UP "< text xb\n" "+ 300\n" "= breakin\n" "= resend-asked\n" "= noise xb\n" },
	{ "leader bytes that become no leader leave the break-in alone", KD_LINK_TARGET,
	  T_UP "< text b0i\n" "+ 300\n" "= breakin\n" "= resend-asked\n" "= noise b0i\n" },
	{ "garbage behind leader bytes forgets the break-in", KD_LINK_TARGET,
	  T_UP "< text b00x\n" "+ 300\n" "= noise b00x\n" },
	{ "break-in, then a leader at once: NT counts it", KD_LINK_TARGET,
	  T_UP "< break\n" "< data 2 80800000 r\n" "= breakin\n" "= noise b\n"
	  "= packet 2 80800000 r\n" "> ack 80800000\n" "+ 5000\n" "? breakins 1\n" },
	{ "break-in bytes inside packets are payload", KD_LINK_TARGET,
	  T_UP "< data 2 80800000 bbbbbbbb\n" "= packet 2 80800000 bbbbbbbb\n" "> ack 80800000\n"
	  "+ 5000\n" "? breakins 0\n" },
	{ "nor do they count when the packet is damaged", KD_LINK_TARGET,
	  T_UP "< cut=24 data 2 80800000 bbbbbbbb\n" "+ 250\n" "> resend\n" "+ 5000\n"
	  "? breakins 0\n" },
	{ "silence is only silence: a second break-in byte starts it again", KD_LINK_TARGET,
	  T_UP "< break\n" "+ 200\n" "< break\n" "+ 200\n" "+ 50\n" "= breakin\n" "= resend-asked\n"
	  "= noise bb\n" },
	{ "debuggers take no break-in", KD_LINK_DEBUGGER,
	  UP "< break\n" "+ 5000\n" "= noise b\n" "? breakins 0\n" },
	{ "a running target polls bytes: only the break-in byte matters", KD_LINK_TARGET,
	  T_UP "! poll 69 no\n" "! poll 30 no\n" "! poll 62 yes\n" "! poll 00 no\n" "+ 5000\n"
	  "? breakins 1\n" "? noise_bytes 3\n" },
	{ "half a packet from before it ran has no continuation", KD_LINK_TARGET,
	  T_UP "< cut=30 data 2 80800000 a request that was cut\n" "! poll 00 no\n" "+ 5000\n"
	  "! send 7 stop\n" "> data 7 80800001 stop\n" "< ack 80800001\n" "= acked\n"
	  "? resends_sent 0\n" },
};

/* 1.11, SEND */
static const struct link_case target_send[] = {
	{ "the first packet carries SYNC, the next two count", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< ack 80800000\n" "= acked\n"
	  "! send 3 b\n" "> data 3 80800001 b\n" "< ack 80800001\n" "= acked\n"
	  "! send 3 c\n" "> data 3 80800000 c\n" },
	{ "only one packet at a time", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "! busy 3 b\n" },
	{ "time-out: again, the same id, for ever", KD_LINK_TARGET,
	  "! send 7 a\n" "> data 7 80800800 a\n" "+ 500\n" "> data 7 80800800 a\n"
	  "+ 500\n" "> data 7 80800800 a\n" "+ 500\n" "> data 7 80800800 a\n"
	  "+ 500\n" "> data 7 80800800 a\n" "+ 500\n" "> data 7 80800800 a\n"
	  "+ 500\n" "> data 7 80800800 a\n" "+ 500\n" "> data 7 80800800 a\n"
	  "? retransmits 7\n" "? given_up 0\n" },
	{ "an abandonable packet: five times if nobody was ever heard", KD_LINK_TARGET,
	  "! print 3 a\n" "> data 3 80800800 a\n"
	  "+ 2500\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n"
	  "> data 3 80800800 a\n" "> data 3 80800800 a\n"
	  "+ 499\n" "+ 1\n" "= gave-up\n" "+ 9000\n" "? retransmits 5\n" },
	{ "giving up restarts the ids with SYNC", KD_LINK_TARGET,
	  T_UP "! print 3 a\n" "> data 3 80800001 a\n"
	  "+ 5000\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n"
	  "+ 5000\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n"
	  "+ 500\n" "= gave-up\n" "? retransmits 20\n"
	  "! send 7 stop\n" "> data 7 80800800 stop\n" "< data 2 80800000 r\n" "> resend\n"
	  "= acked\n" "< data 2 80800000 r\n" "= packet 2 80800000 r\n" "> ack 80800000\n" },
	{ "giving up forgets what was received, too", KD_LINK_TARGET,
	  T_UP "< data 2 80800000 r\n" "= packet 2 80800000 r\n" "> ack 80800000\n"
	  "! print 3 a\n" "> data 3 80800001 a\n"
	  "+ 5000\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n"
	  "+ 5000\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n" "> data 3 80800001 a\n" "> data 3 80800001 a\n"
	  "> data 3 80800001 a\n"
	  "+ 500\n" "= gave-up\n"
	  "< data 2 80800000 r\n" "= packet 2 80800000 r\n" "> ack 80800000\n" },
	{ "any traffic loads the counter again", KD_LINK_TARGET,
	  "! print 3 a\n" "> data 3 80800800 a\n"
	  "+ 2000\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n"
	  "> data 3 80800800 a\n" "< ack 12345678\n"
	  "+ 2500\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n" "> data 3 80800800 a\n"
	  "> data 3 80800800 a\n" "> data 3 80800800 a\n"
	  "+ 500\n" "> data 3 80800800 a\n" "? given_up 0\n" },
	{ "ACK of the id without SYNC counts, with SYNC it does not", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< ack 80800800\n" "< ack 80800000\n" "= acked\n" },
	{ "ACK of another id is ignored", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< ack 80800001\n" "< ack 0\n" "+ 500\n"
	  "> data 3 80800800 a\n" },
	{ "RESEND: again, at once, the same id", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< resend\n" "> data 3 80800800 a\n" },
	{ "break-in and silence: again as well", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< break\n" "+ 250\n" "= breakin\n"
	  "> data 3 80800800 a\n" "= noise b\n" },
	{ "RESET: initial ids, RESET back, again with the new id", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "< reset\n" "= reset-seen\n" "> reset\n"
	  "> data 3 80800000 a\n" "< ack 80800000\n" "= acked\n" "! send 3 b\n"
	  "> data 3 80800001 b\n" },
	{ "data with the expected id: RESEND, and our packet counts as acknowledged", KD_LINK_TARGET,
	  "! send 7 stop\n" "> data 7 80800800 stop\n" "< data 2 80800000 r\n" "> resend\n"
	  "= acked\n" "? implicit_acks 1\n" "< data 2 80800000 r\n" "= packet 2 80800000 r\n"
	  "> ack 80800000\n" "! send 2 reply\n" "> data 2 80800001 reply\n" },
	{ "data with another id: ACK that id, keep waiting", KD_LINK_TARGET,
	  T_UP "< data 2 80800000 r\n" "= packet 2 80800000 r\n" "> ack 80800000\n"
	  "! send 2 reply\n" "> data 2 80800001 reply\n" "< data 2 80800000 r\n" "> ack 80800000\n"
	  "? duplicates 1\n" "< ack 80800001\n" "= acked\n" },
	{ "silence is counted from the last byte", KD_LINK_TARGET,
	  "! send 3 a\n" "> data 3 80800800 a\n" "+ 400\n" "< text x\n" "+ 400\n" "= noise x\n"
	  "+ 100\n" "> data 3 80800800 a\n" },
};

/* 1.11, RECEIVE */
static const struct link_case target_receive[] = {
	{ "good: ACK, toggle, deliver", KD_LINK_TARGET,
	  T_UP "< data 2 80800000 a\n" "= packet 2 80800000 a\n" "> ack 80800000\n"
	  "< data 2 80800001 b\n" "= packet 2 80800001 b\n" "> ack 80800001\n" },
	{ "RESEND asks the owner", KD_LINK_TARGET, T_UP "< resend\n" "= resend-asked\n" },
	{ "RESET: answered, and the owner is asked", KD_LINK_TARGET,
	  T_UP "< reset\n" "= reset-seen\n" "> reset\n" "! send 7 stop\n" "> data 7 80800000 stop\n" },
	{ "ACK is ignored", KD_LINK_TARGET, T_UP "< ack 80800000\n" "< ack 80800001\n" "+ 5000\n" },
	{ "more than 4000 bytes", KD_LINK_TARGET,
	  T_UP "< raw 30303030 0200 a10f 00008080 00000000\n" "< text x\n" "+ 250\n" "> resend\n"
	  "+ 5000\n" },
	{ "less than the fixed header of the wanted type", KD_LINK_TARGET,
	  T_UP "! want 3\n" "< data 3 80800000 fifteen bytes..\n" "> resend\n"
	  "< data 3 80800000 sixteen bytes...\n" "= packet 3 80800000 sixteen bytes...\n"
	  "> ack 80800000\n" },
	{ "time-out inside the payload", KD_LINK_TARGET,
	  T_UP "< cut=20 data 2 80800000 request\n" "+ 249\n" "+ 1\n" "> resend\n" "+ 5000\n"
	  "? gap_timeouts 1\n" "< data 2 80800000 request\n" "= packet 2 80800000 request\n"
	  "> ack 80800000\n" },
	{ "trailer is not 0xAA", KD_LINK_TARGET,
	  T_UP "< trail=ab data 2 80800000 request\n" "> resend\n" "? trailer_errors 1\n"
	  "+ 300\n" "< data 2 80800000 request\n" "= packet 2 80800000 request\n"
	  "> ack 80800000\n" },
	{ "type that is not wanted: ACK, drop, the id stays expected", KD_LINK_TARGET,
	  T_UP "! want 3\n" "< data 2 80800000 request, long enough\n" "> ack 80800000\n" "? wrong_types 1\n"
	  "! want 2\n" "< data 2 80800000 a request of 56 bytes, as long as NT's header is: ......\n"
	  "= packet 2 80800000 a request of 56 bytes, as long as NT's header is: ......\n"
	  "> ack 80800000\n" },
	{ "the other valid id: duplicate, ACK, drop", KD_LINK_TARGET,
	  T_UP "< data 2 80800000 a\n" "= packet 2 80800000 a\n" "> ack 80800000\n"
	  "< data 2 80800000 a\n" "> ack 80800000\n" "< data 2 80800001 b\n"
	  "= packet 2 80800001 b\n" "> ack 80800001\n" "? duplicates 1\n" },
	{ "an id that is none: RESEND", KD_LINK_TARGET,
	  T_UP "< data 2 12345678 a\n" "> resend\n" "? rx_packets 0\n" },
	{ "an id with SYNC is none either", KD_LINK_TARGET, T_UP "< data 2 80800800 a\n" "> resend\n" },
	{ "checksum wrong", KD_LINK_TARGET,
	  T_UP "< sum=1 data 2 80800000 a\n" "> resend\n" "? checksum_errors 1\n"
	  "< data 2 80800000 a\n" "= packet 2 80800000 a\n" "> ack 80800000\n" },
	{ "one complaint in an episode, a new one behind a good packet", KD_LINK_TARGET,
	  T_UP "< sum=1 data 2 80800000 a\n" "> resend\n" "< sum=1 data 2 80800000 a\n"
	  "< sum=1 data 2 80800000 a\n" "< data 2 80800000 a\n" "= packet 2 80800000 a\n"
	  "> ack 80800000\n" "< sum=1 data 2 80800001 b\n" "> resend\n" "? resends_sent 2\n" },
	{ "or when the first complaint seems lost", KD_LINK_TARGET,
	  T_UP "< sum=1 data 2 80800000 a\n" "> resend\n" "+ 499\n" "< sum=1 data 2 80800000 a\n"
	  "+ 1\n" "< sum=1 data 2 80800000 a\n" "> resend\n" "? resends_sent 2\n" },
};

/* 1.12 */
static const struct link_case debugger[] = {
	{ "trailer wrong: RESEND", KD_LINK_DEBUGGER,
	  UP "< trail=00 data 3 80800001 hello\n" "> resend\n" "+ 300\n" },
	{ "checksum wrong: RESEND", KD_LINK_DEBUGGER,
	  UP "< sum=2 data 3 80800001 hello\n" "> resend\n" },
	{ "SYNC: ids restart, request dropped, ACK without SYNC", KD_LINK_DEBUGGER,
	  UP READ "< data 3 80800800 boot\n" "= restarted\n" "= packet 3 80800800 boot\n"
	  "> ack 80800000\n" "+ 9000\n" "! send 2 02__x\n" "> data 2 80800000 02__x\n"
	  "< data 3 80800001 hello\n" "= packet 3 80800001 hello\n" "> ack 80800001\n" },
	{ "SYNC after the toggle: our id starts again as well", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "< data 3 80800800 boot\n" "= restarted\n"
	  "= packet 3 80800800 boot\n" "> ack 80800000\n" "! send 2 02__x\n"
	  "> data 2 80800000 02__x\n" },
	{ "SYNC retransmission, byte-identical: ACK, nothing else", KD_LINK_DEBUGGER,
	  UP READ "< data 3 80800800 up\n" "> ack 80800000\n" "? duplicates 1\n" "< ack 80800000\n"
	  "= acked\n" },
	{ "the same bytes after the target took a request: it booted twice", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "< data 3 80800800 up\n" "= restarted\n"
	  "= packet 3 80800800 up\n" "> ack 80800000\n" },
	{ "and the retransmission of that second first packet", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "< data 3 80800800 up\n" "= restarted\n"
	  "= packet 3 80800800 up\n" "> ack 80800000\n" "< data 3 80800800 up\n" "> ack 80800000\n" },
	{ "the same bytes without SYNC were something else", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 a\n" "= packet 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800801 a\n" "= restarted\n" "= repeat 3 80800801 a\n" "> ack 80800001\n" },
	{ "SYNC with other bytes is no retransmission", KD_LINK_DEBUGGER,
	  UP "< data 3 80800800 UP\n" "= restarted\n" "= packet 3 80800800 UP\n" "> ack 80800000\n" },
	{ "SYNC on the odd id", KD_LINK_DEBUGGER,
	  "< data 3 80800801 a\n" "= restarted\n" "= packet 3 80800801 a\n" "> ack 80800001\n"
	  "< data 3 80800000 b\n" "= packet 3 80800000 b\n" "> ack 80800000\n" },
	{ "expected id: ACK, toggle, deliver", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 a\n" "= packet 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800000 b\n" "= packet 3 80800000 b\n" "> ack 80800000\n" },
	{ "the other id: duplicate, ACK, not delivered", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 a\n" "= packet 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "? duplicates 1\n" },
	{ "first packet after connect: its id is adopted", KD_LINK_DEBUGGER,
	  "< data 7 80800001 a\n" "= packet 7 80800001 a\n" "> ack 80800001\n"
	  "< data 7 80800000 b\n" "= packet 7 80800000 b\n" "> ack 80800000\n"
	  "< data 7 80800000 b\n" "> ack 80800000\n" },
	{ "first packet after our own RESET: adopted", KD_LINK_DEBUGGER,
	  UP "! reset\n" "> reset\n" "< data 7 80800000 a\n" "= packet 7 80800000 a\n"
	  "> ack 80800000\n" },
	{ "first packet after restart: adopted", KD_LINK_DEBUGGER,
	  UP "! restart\n" "< data 7 80800000 a\n" "= packet 7 80800000 a\n" "> ack 80800000\n" },
	{ "a strange id while syncing: adopted", KD_LINK_DEBUGGER,
	  "< data 7 00000066 a\n" "= packet 7 00000066 a\n" "> ack 00000066\n"
	  "< data 7 00000067 b\n" "= packet 7 00000067 b\n" "> ack 00000067\n"
	  "< data 7 80800000 c\n" "= packet 7 80800000 c\n" "> ack 80800000\n" },
	{ "a strange id later: may be damage, the second time RESET", KD_LINK_DEBUGGER,
	  UP "< data 7 80800041 a\n" "> resend\n" "< data 7 80800041 a\n" "> reset\n"
	  "? odd_ids 2\n" "? rx_packets 1\n" },
	{ "one damaged id is healed by RESEND", KD_LINK_DEBUGGER,
	  UP "< data 7 80800041 a\n" "> resend\n" "< data 7 80800001 a\n" "= packet 7 80800001 a\n"
	  "> ack 80800001\n" "< data 7 80800040 b\n" "> resend\n" "? resets_sent 0\n" },
	{ "ACK of our id: acknowledged, the next request counts", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n"
	  "< ack 80800001\n" "= acked\n" "! send 2 03__x\n" "> data 2 80800000 03__x\n" },
	{ "ACK of another id: ignored", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800001\n" "< ack 80800800\n" "+ 500\n" "> data 2 80800000 01__read\n" },
	{ "an ACK twice acknowledges once", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n"
	  "< ack 80800000\n" "< ack 80800001\n" "= acked\n" },
	{ "the reply before the ACK is the ACK", KD_LINK_DEBUGGER,
	  UP READ "< data 2 80800001 01__reply\n" "= acked\n" "= packet 2 80800001 01__reply\n"
	  "> ack 80800001\n" "? implicit_acks 1\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n" },
	{ "a reply to another API is not", KD_LINK_DEBUGGER,
	  UP READ "< data 2 80800001 02__reply\n" "= packet 2 80800001 02__reply\n"
	  "> ack 80800001\n" "+ 500\n" "> data 2 80800000 01__read\n" },
	{ "a print is not", KD_LINK_DEBUGGER,
	  UP READ "< data 3 80800001 hello\n" "= packet 3 80800001 hello\n" "> ack 80800001\n"
	  "+ 500\n" "> data 2 80800000 01__read\n" },
	{ "nor a state change: the target may have been reset", KD_LINK_DEBUGGER,
	  UP READ "< data 7 80800001 stop\n" "= packet 7 80800001 stop\n" "> ack 80800001\n"
	  "+ 500\n" "> data 2 80800000 01__read\n" },
	{ "a print after an unacknowledged Continue is", KD_LINK_DEBUGGER,
	  UP "! send 2 61\\x00\\x00go\n" "> data 2 80800000 61\\x00\\x00go\n"
	  "< data 3 80800001 hello\n" "= acked\n" "= packet 3 80800001 hello\n" "> ack 80800001\n"
	  "+ 5000\n" },
	{ "a new state change after Continue is", KD_LINK_DEBUGGER,
	  UP "< data 7 80800001 stop 1\n" "= packet 7 80800001 stop 1\n" "> ack 80800001\n"
	  "! send 2 61\\x00\\x00go\n" "> data 2 80800000 61\\x00\\x00go\n"
	  "< data 7 80800000 stop 2\n" "= acked\n" "= packet 7 80800000 stop 2\n"
	  "> ack 80800000\n" },
	{ "the same state change again is not", KD_LINK_DEBUGGER,
	  UP "< data 7 80800001 stop 1\n" "= packet 7 80800001 stop 1\n" "> ack 80800001\n"
	  "! send 2 61\\x00\\x00go\n" "> data 2 80800000 61\\x00\\x00go\n"
	  "< data 7 80800000 stop 1\n" "= packet 7 80800000 stop 1\n" "> ack 80800000\n"
	  "+ 500\n" "> data 2 80800000 61\\x00\\x00go\n" },
	{ "what follows the answer to a prompt acknowledges it", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 prompt\n" "= packet 3 80800001 prompt\n" "> ack 80800001\n"
	  "! send 3 answer\n" "> data 3 80800000 answer\n" "< data 3 80800000 print\n" "= acked\n"
	  "= packet 3 80800000 print\n" "> ack 80800000\n" },
	{ "the prompt again does not", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 prompt\n" "= packet 3 80800001 prompt\n" "> ack 80800001\n"
	  "! send 3 answer\n" "> data 3 80800000 answer\n" "< data 3 80800000 prompt\n"
	  "= packet 3 80800000 prompt\n" "> ack 80800000\n" "< ack 80800000\n" "= acked\n" },
	{ "RESEND while unacknowledged: again, same id", KD_LINK_DEBUGGER,
	  UP READ "< resend\n" "> data 2 80800000 01__read\n" "? retransmits 1\n" },
	{ "a RESEND storm: one retransmission at once, the next in silence", KD_LINK_DEBUGGER,
	  UP READ "< resend\n" "> data 2 80800000 01__read\n" "< resend\n" "< resend\n" "+ 400\n"
	  "< resend\n" "+ 499\n" "< resend\n" "+ 500\n" "> data 2 80800000 01__read\n"
	  "< resend\n" "+ 1199\n" "+ 1\n" "> data 2 80800000 01__read\n" "? retransmits 3\n" },
	{ "RESEND otherwise: ignored", KD_LINK_DEBUGGER,
	  UP "< resend\n" READ "< ack 80800000\n" "= acked\n" "< resend\n" "+ 5000\n"
	  "? resends_seen 2\n" "? retransmits 0\n" },
	{ "RESET as the answer to ours: ids restart, no answer", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "! reset\n" "> reset\n" "< reset\n" "= reset-seen\n"
	  "! send 2 02__x\n" "> data 2 80800000 02__x\n" "< data 7 80800000 stop\n"
	  "= packet 7 80800000 stop\n" "> ack 80800000\n" },
	{ "however late it comes", KD_LINK_DEBUGGER,
	  UP "! reset\n" "> reset\n" "+ 5000\n" "< reset\n" "= reset-seen\n" "+ 5000\n"
	  "? resets_sent 1\n" },
	{ "RESET unsolicited: one RESET, the request again with its new id", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n"
	  "< reset\n" "= reset-seen\n" "> reset\n" "> data 2 80800000 02__x\n" "< ack 80800000\n"
	  "= acked\n" },
	{ "the answer to our answer is not answered", KD_LINK_DEBUGGER,
	  UP "< reset\n" "= reset-seen\n" "> reset\n" "+ 3000\n" "< reset\n" "= reset-seen\n"
	  "+ 3000\n" "? resets_sent 1\n" },
	{ "a request on the wire is held back from the answer to a RESET to the repeated state change",
	  KD_LINK_DEBUGGER,
	  UP READ "! reset\n" "> reset\n" "< reset\n" "= reset-seen\n" "< data 7 80800000 stop\n"
	  "= packet 7 80800000 stop\n" "> ack 80800000\n" "> data 2 80800000 01__read\n" },
	{ "but not longer than ack_wait", KD_LINK_DEBUGGER,
	  UP READ "! reset\n" "> reset\n" "< reset\n" "= reset-seen\n" "+ 500\n"
	  "> data 2 80800000 01__read\n" },
	{ "no ACK: again with the same id, four times, then RESET", KD_LINK_DEBUGGER,
	  UP READ "+ 500\n" "> data 2 80800000 01__read\n" "+ 500\n"
	  "> data 2 80800000 01__read\n" "+ 1200\n" "> data 2 80800000 01__read\n" "+ 1200\n"
	  "> data 2 80800000 01__read\n" "+ 1199\n" "+ 1\n" "= gave-up\n" "> reset\n" "+ 9000\n" "? retransmits 4\n"
	  "? resets_sent 1\n" },
	{ "given up, and yet an ACK comes: it counts the id", KD_LINK_DEBUGGER,
	  UP READ "+ 500\n" "> data 2 80800000 01__read\n" "+ 500\n"
	  "> data 2 80800000 01__read\n" "+ 1200\n" "> data 2 80800000 01__read\n" "+ 1200\n"
	  "> data 2 80800000 01__read\n" "+ 1200\n" "= gave-up\n" "> reset\n"
	  "< ack 80800000\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n" },
	{ "text without end does not hold a retransmission back for ever", KD_LINK_DEBUGGER,
	  UP READ "+ 400\n" "< text x\n" "+ 240\n" "< text x\n" "+ 240\n" "< text x\n" "+ 240\n"
	  "< text x\n" "+ 240\n" "< text x\n" "+ 240\n" "< text x\n" "+ 240\n" "< text x\n"
	  "+ 159\n" "+ 1\n" "> data 2 80800000 01__read\n" "+ 90\n" "= noise xxxxxxx\n" },
	{ "ACKed, but no reply: nothing is repeated by itself", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "+ 9000\n" "! resend\n" "> resend\n" "+ 9000\n"
	  "? retransmits 0\n" "? resends_sent 1\n" },
	{ "a repeated state change is new to the ids and marked for the owner", KD_LINK_DEBUGGER,
	  UP "< data 7 80800001 stop\n" "= packet 7 80800001 stop\n" "> ack 80800001\n"
	  "! resend\n" "> resend\n" "< data 7 80800000 stop\n" "= repeat 7 80800000 stop\n"
	  "> ack 80800000\n" },
	{ "the same reply to a second request is no repetition", KD_LINK_DEBUGGER,
	  UP READ "< data 2 80800001 01__same\n" "= acked\n" "= packet 2 80800001 01__same\n"
	  "> ack 80800001\n" "! send 2 01__read\n" "> data 2 80800001 01__read\n"
	  "< data 2 80800000 01__same\n" "= acked\n" "= packet 2 80800000 01__same\n"
	  "> ack 80800000\n" },
	{ "cancelled: no retransmission, a late ACK still counts the id", KD_LINK_DEBUGGER,
	  UP READ "! cancel\n" "+ 9000\n" "< ack 80800000\n" "! send 2 02__x\n"
	  "> data 2 80800001 02__x\n" "? retransmits 0\n" },
	{ "cancelled: a late reply counts it too", KD_LINK_DEBUGGER,
	  UP READ "! cancel\n" "< data 2 80800001 01__late\n" "= packet 2 80800001 01__late\n"
	  "> ack 80800001\n" "! send 2 02__x\n" "> data 2 80800001 02__x\n" },
	{ "connect: RESET at once, then at most one a second", KD_LINK_DEBUGGER,
	  "! reset\n" "> reset\n" "! reset\n" "! reset\n" "+ 999\n" "+ 1\n" "> reset\n" "+ 9000\n"
	  "? resets_sent 2\n" },
	{ "connect: an answer satisfies the RESETs that still wait", KD_LINK_DEBUGGER,
	  "! reset\n" "> reset\n" "! reset\n" "< reset\n" "= reset-seen\n" "+ 9000\n"
	  "? resets_sent 1\n" },
	{ "connect: behind a break-in byte RESET waits 1.2 s", KD_LINK_DEBUGGER,
	  "! break\n" "> break\n" "! reset\n" "+ 1199\n" "+ 1\n" "> reset\n" },
	{ "restart does not let RESETs come closer", KD_LINK_DEBUGGER,
	  "! reset\n" "> reset\n" "! restart\n" "! reset\n" "+ 999\n" "+ 1\n" "> reset\n" },
};

/* 1.13, where it says more than the tables */
static const struct link_case pitfalls[] = {
	{ "firmware text before the first packet", KD_LINK_DEBUGGER,
	  "< text GRUB loading 0x00000000fee00000 biii\\n\n" "< data 3 80800800 Hi\n"
	  "= noise GRUB loading 0x00000000fee00000 biii\\n\n" "= restarted\n" "= packet 3 80800800 Hi\n" "> ack 80800000\n"
	  "? resends_sent 0\n" },
	{ "text without a newline is told at the next packet", KD_LINK_DEBUGGER,
	  "< text \\x1b[2Jboot0\n" "< data 3 80800800 Hi\n" "= noise \\x1b[2Jboot0\n" "= restarted\n"
	  "= packet 3 80800800 Hi\n" "> ack 80800000\n" },
	{ "or when it goes silent", KD_LINK_DEBUGGER,
	  "< text ready\n" "+ 249\n" "+ 1\n" "= noise ready\n" },
	{ "long text comes in pieces", KD_LINK_DEBUGGER,
	  "< text aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbccc\n"
	  "= noise aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
	  "+ 250\n" "= noise ccc\n" },
	{ "a run of leader bytes directly before a packet", KD_LINK_DEBUGGER,
	  "< text 0000000\n" "< data 3 80800800 Hi\n" "= noise 0000000\n" "= restarted\n"
	  "= packet 3 80800800 Hi\n" "> ack 80800000\n" "? header_errors 0\n" },
	{ "a run of the other leader bytes", KD_LINK_DEBUGGER,
	  UP READ "< text 0000iii\n" "< ack 80800000\n" "= noise 0000iii\n" "= acked\n"
	  "? header_errors 1\n" },
	{ "a leader, then nonsense: the hunt goes on at its second byte", KD_LINK_DEBUGGER,
	  "< raw 69696969 3030 3030 0300 0200 00088080\n"
	  "< raw b1000000 4869 aa\n"
	  "= noise iiii\n" "= restarted\n" "= packet 3 80800800 Hi\n" "> ack 80800000\n" },
	{ "control packets carry no payload", KD_LINK_DEBUGGER,
	  UP READ "< raw 69696969 0400 0100 00008080 00000000\n" "+ 300\n"
	  "= noise iiii\\x04\\x00\\x01\\x00\\x00\\x00\\x80\\x80\\x00\\x00\\x00\\x00\n"
	  "? header_errors 1\n" "? resends_sent 0\n" },
	{ "a sum that so few bytes cannot have: damage", KD_LINK_DEBUGGER,
	  UP "< raw 30303030 0300 0100 01008080 00010000\n" "+ 62\n" "+ 1\n" "> resend\n"
	  "+ 300\n" "? header_errors 1\n" },
	{ "a byte lost in the body: the next packet, swallowed, is found", KD_LINK_DEBUGGER,
	  UP READ "< lose=20 data 3 80800001 hello\n" "< ack 80800000\n" "> resend\n" "= acked\n"
	  "? trailer_errors 1\n" },
	{ "a byte lost in the header: all is in doubt up to a pause, then complaint", KD_LINK_DEBUGGER,
	  UP "< lose=5 data 3 80800001 hello\n" "+ 62\n" "+ 1\n" "> resend\n" "+ 300\n"
	  "? header_errors 1\n" "< data 3 80800001 hello\n" "= packet 3 80800001 hello\n"
	  "> ack 80800001\n" },
	{ "a byte of the leader lost: the same", KD_LINK_DEBUGGER,
	  UP "< lose=2 data 3 80800001 hello\n" "+ 63\n" "> resend\n" "+ 300\n" },
	{ "text before a damaged header is still text", KD_LINK_DEBUGGER,
	  "< text boot\n" "< lose=2 data 3 80800800 hello\n" "+ 63\n" "> resend\n" "+ 200\n"
	  "= noise boot\n" },
	{ "images in what follows a damaged header are not believed", KD_LINK_DEBUGGER,
	  UP READ "< lose=0 data 3 80800001 __iiii\\x04\\x00\\x00\\x00\\x00\\x00\\x80\\x80"
	  "\\x00\\x00\\x00\\x00iiii\\x06\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\n"
	  "+ 63\n" "> resend\n" "? acks_seen 0\n" "? resets_seen 0\n" },
	{ "doubt does not last while the peer chatters", KD_LINK_DEBUGGER,
	  UP "< lose=2 data 3 80800001 hello\n"
	  "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n"
	  "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n"
	  "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n"
	  "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n" "+ 60\n" "< text a\n"
	  "+ 39\n" "+ 1\n" "> resend\n" "< text b\n" "+ 250\n" "= noise b\n" },
	{ "an ACK without its first byte leaves the reply behind it alone", KD_LINK_DEBUGGER,
	  UP READ "< lose=1 ack 80800000\n" "< data 2 80800001 01__reply\n"
	  "= noise iii\\x04\\x00\\x00\\x00\\x00\\x00\\x80\\x80\\x00\\x00\\x00\\x00\n" "= acked\n"
	  "= packet 2 80800001 01__reply\n" "> ack 80800001\n" },
	{ "a packet cut in its header", KD_LINK_DEBUGGER,
	  UP "< cut=9 data 3 80800001 hello\n" "+ 249\n" "+ 1\n" "> resend\n"
	  "= noise 0000\\x03\\x00\\x05\\x00\\x01\n" "? gap_timeouts 1\n" },
	{ "text that ends in 0000 is no packet that was cut", KD_LINK_DEBUGGER,
	  UP "< text 0000\n" "+ 300\n" "= noise 0000\n" "? resends_sent 0\n" },
	{ "an ACK cut by one byte does not eat the leader behind it", KD_LINK_DEBUGGER,
	  UP READ "< cut=15 ack 80800000\n" "< data 2 80800001 01__reply\n" "= acked\n"
	  "= packet 2 80800001 01__reply\n" "> ack 80800001\n" },
	{ "corrupt ByteCount, too long: the gap ends it", KD_LINK_DEBUGGER,
	  UP "< raw 30303030 0300 0009 01008080 b1000000 4869 aa\n" "+ 250\n" "> resend\n"
	  "< data 3 80800001 Hi\n" "= packet 3 80800001 Hi\n" "> ack 80800001\n" },
	{ "corrupt ByteCount, beyond any limit", KD_LINK_DEBUGGER,
	  UP "< raw 30303030 0300 02ff 01008080 b1000000 4869 aa\n" "+ 63\n" "> resend\n"
	  "+ 250\n" },
	{ "ACK and drop without end: RESET", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 a\n" "= packet 3 80800001 a\n" "> ack 80800001\n"
	  "+ 999\n" "< data 3 80800001 a\n" "> ack 80800001\n" "+ 999\n" "< data 3 80800001 a\n"
	  "> ack 80800001\n" "+ 999\n" "< data 3 80800001 a\n" "> ack 80800001\n" "+ 999\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "+ 999\n" "< data 3 80800001 a\n"
	  "> ack 80800001\n" "+ 999\n" "< data 3 80800001 a\n" "> ack 80800001\n" "+ 999\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "+ 999\n" "< data 3 80800001 a\n"
	  "> ack 80800001\n" "> reset\n" },
	{ "duplicates that piled up while we slept are no reason", KD_LINK_DEBUGGER,
	  UP "< data 3 80800001 a\n" "= packet 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "< data 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "< data 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "< data 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "< data 3 80800001 a\n" "> ack 80800001\n"
	  "< data 3 80800001 a\n" "> ack 80800001\n" "? duplicates 9\n" "? resets_sent 0\n" },
	{ "RESET bounce: queued answers are adopted, not answered", KD_LINK_DEBUGGER,
	  UP "! reset\n" "> reset\n" "< reset\n" "= reset-seen\n" "< reset\n" "= reset-seen\n"
	  "< reset\n" "= reset-seen\n" "+ 5000\n" "? resets_sent 1\n" },
	{ "a burst of RESETs gets one answer from a target", KD_LINK_TARGET,
	  T_UP "< reset\n" "= reset-seen\n" "> reset\n" "< reset\n" "= reset-seen\n" "< reset\n"
	  "= reset-seen\n" "+ 250\n" "< reset\n" "= reset-seen\n" "> reset\n" },
	{ "RESETs in a burst while a packet is outstanding", KD_LINK_TARGET,
	  "! send 7 stop\n" "> data 7 80800800 stop\n" "< reset\n" "= reset-seen\n" "> reset\n"
	  "> data 7 80800000 stop\n" "< reset\n" "= reset-seen\n" "> data 7 80800000 stop\n" },
	{ "target reboots in mid-stream", KD_LINK_DEBUGGER,
	  UP READ "< ack 80800000\n" "= acked\n" "< cut=30 data 2 80800001 01__half a reply, then the power fails\n" "+ 250\n"
	  "> resend\n" "< text BIOS\\n\n" "= noise BIOS\\n\n" "< data 3 80800800 up\n"
	  "= restarted\n" "= packet 3 80800800 up\n" "> ack 80800000\n" },
	{ "debugger dies inside a request, the next one begins with RESET", KD_LINK_TARGET,
	  T_UP "< cut=40 data 2 80800000 a request of fifty-six bytes, cut by kill -9, and so on..\n"
	  "+ 250\n" "> resend\n" "< reset\n" "= reset-seen\n" "> reset\n" },
	{ "RESEND's trailing ten bytes: junk is tolerated", KD_LINK_DEBUGGER,
	  UP READ "< raw 69696969 0500 0000 78563412 efbeadde\n" "> data 2 80800000 01__read\n" },
	{ "ours are zeros", KD_LINK_DEBUGGER,
	  "! resend\n" "> raw 69696969 05000000 00000000 00000000\n"
	  "! reset\n" "> raw 69696969 06000000 00000000 00000000\n" },
	{ "the id in RESET is ignored", KD_LINK_TARGET,
	  T_UP "< raw 69696969 0600 0000 efbeadde 00000000\n" "= reset-seen\n" "> reset\n" },
	{ "an empty data packet has no trailer (VirtualBox)", KD_LINK_DEBUGGER,
	  UP "< raw 30303030 0200 0000 01008080 00000000\n" "= packet 2 80800001 \n"
	  "> ack 80800001\n" "< data 3 80800000 a\n" "= packet 3 80800000 a\n" "> ack 80800000\n" },
	{ "an image of a packet inside a damaged packet is payload", KD_LINK_DEBUGGER,
	  UP READ "< lose=17 data 3 80800001 __iiii\\x04\\x00\\x00\\x00\\x00\\x00\\x80\\x80"
	  "\\x00\\x00\\x00\\x00iiii\\x06\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
	  "0000\\x03\\x00\\x01\\x00\\x01\\x00\\x80\\x80\\x61\\x00\\x00\\x00\\x61\\xaa_______\n"
	  "+ 250\n" "> resend\n" },
};

/* clang-format on */

static void run_all(const struct link_case *cases, size_t n)
{
	static const size_t pieces[] = { 8192, 1, 3, 16 };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < KD_ARRAY_LEN(pieces); k++)
			link_script_run(&cases[i], pieces[k]);
}

#define TABLE_TEST(table)                            \
	static void test_##table(void **state)       \
	{                                            \
		run_all(table, KD_ARRAY_LEN(table)); \
	}

TABLE_TEST(hunt)
TABLE_TEST(target_send)
TABLE_TEST(target_receive)
TABLE_TEST(debugger)
TABLE_TEST(pitfalls)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hunt),           cmocka_unit_test(test_target_send),
		cmocka_unit_test(test_target_receive), cmocka_unit_test(test_debugger),
		cmocka_unit_test(test_pitfalls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
