/* SPDX-License-Identifier: MIT */
/* The language of !traffic filter: what it makes of flows and payloads, and where mistakes are. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/shark/traffic_filter.h"

static struct kd_probe_filter filter;

static struct kd_probe_facts facts_of(const char *path, uint32_t pid, uint8_t protocol, bool in,
				      bool loopback, const char *remote, uint16_t local_port,
				      uint16_t remote_port)
{
	struct kd_probe_facts f = { .protocol = protocol,
				    .direction = in,
				    .is_loopback = loopback,
				    .local_port = local_port,
				    .remote_port = remote_port,
				    .pid = pid,
				    .path = (const uint8_t *)path,
				    .path_size = (uint16_t)strlen(path) };

	f.family = strchr(remote, ':') ? 6 : 4;
	inet_pton(f.family == 6 ? AF_INET6 : AF_INET, remote, f.remote);
	inet_pton(f.family == 6 ? AF_INET6 : AF_INET, f.family == 6 ? "fec0::15" : "10.0.2.15",
		  f.local);
	return f;
}

/* 's': shown; 'h': and held; '-': neither. For a payload that goes out. */
static char look(const struct kd_probe_facts *f, const char *payload)
{
	struct kd_probe_wish w = kd_probe_filter_ask(&filter, f, KD_PROBE_OUT);
	const uint8_t *bytes = (const uint8_t *)payload;
	uint32_t size = (uint32_t)strlen(payload);
	bool shown = w.is_shown == KD_BPF_ALWAYS ||
		     (w.is_shown == KD_BPF_DEPENDS &&
		      kd_probe_program_matches(&filter.capture, f, KD_PROBE_OUT, 0, bytes, size));
	bool held = w.is_held == KD_BPF_ALWAYS ||
		    (w.is_held == KD_BPF_DEPENDS &&
		     kd_probe_program_matches(&filter.intercept, f, KD_PROBE_OUT, 0, bytes, size));

	return !shown ? '-' : held ? 'h' : 's';
}

static void texts_say_what_they_mean(void **state)
{
	static const char chrome[] = "\\device\\harddiskvolume1\\Program Files\\Chrome\\chrome.exe";
	static const char svchost[] = "\\device\\harddiskvolume1\\windows\\svchost.exe";
	const struct kd_probe_facts flows[] = {
		facts_of(chrome, 10, 6, false, false, "93.184.216.34", 50000, 80),
		facts_of(chrome, 10, 6, false, false, "2606:2800::1", 50001, 443),
		facts_of(svchost, 20, 17, false, false, "10.0.2.3", 50002, 53),
		facts_of(svchost, 21, 6, true, false, "192.168.1.9", 445, 60000),
		facts_of(chrome, 11, 6, false, true, "127.0.0.1", 50003, 9000),
		facts_of(svchost, 20, 17, false, false, "239.255.255.250", 50004, 1900),
	};
	static const struct {
		const char *filter, *intercept, *want;
	} rows[] = {
		{ NULL, NULL, "hhhshs" }, /* file sharing and multicast are not held */
		{ "", "", "hhhshs" },
		{ "tcp", NULL, "hh-sh-" },
		{ "tcp port 80", NULL, "h-----" },
		{ "tcp port 80 or udp port 53", "udp", "s-h---" },
		{ "[process=chrome*]", NULL, "hh--h-" },
		{ "[process=CHROME.EXE]", NULL, "hh--h-" },
		{ "[process=*\\windows\\*]", NULL, "--hs-s" },
		{ "[process=chrome*] tcp port 443", NULL, "-h----" },
		{ "[pid=20] [pid=21]", "[pid=20]", "--hs-s" },
		{ "[ignore process=svchost*]", NULL, "hh--h-" },
		{ "[ignore process=svchost*] [out] ip", NULL, "h---h-" },
		{ "[loopback]", NULL, "----h-" },
		{ "[!loopback out]", NULL, "hhh--s" },
		{ "[in]", "[hold local=445]", "---h--" },
		{ NULL, "[hold remote=1900]", "sssssh" },
		{ "[remote=93.184.0.0/16]", NULL, "h-----" },
		{ "[remote=2606:2800::/32 tcp]", NULL, "-h----" },
		{ "[remote=50-100]", NULL, "h-h---" },
		{ "[ip6]", NULL, "-h----" },
		{ "[udp]", "[ip4]", "--h--s" },
		{ "[show udp] tcp port 80", NULL, "--h--s" },
		{ NULL, "tcp[20:4] = 0x47455420", "hsssss" }, /* "GET " : by the bytes */
		{ "greater 1000", NULL, "------" },
		{ NULL, "[process=nobody.exe]", "ssssss" },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		char got[KD_ARRAY_LEN(flows) + 1] = "";
		struct kd_error err;

		if (kd__traffic_filter_compile(rows[i].filter, rows[i].intercept, 0, &filter,
					       &err) != KD_OK)
			fail_msg("row %zu: %s", i, err.text);
		for (size_t k = 0; k < KD_ARRAY_LEN(flows); k++)
			got[k] = look(&flows[k], k == 0 ? "GET / HTTP/1.0" : "other bytes");
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu (%s, %s): %s, not %s", i,
				 rows[i].filter ? rows[i].filter : "",
				 rows[i].intercept ? rows[i].intercept : "", got, rows[i].want);
	}
}

static void the_debuggers_own_port_is_ignored(void **state)
{
	struct kd_probe_facts own = facts_of("x", 1, 17, false, false, "10.0.2.2", 5000, 50010);
	struct kd_error err;

	(void)state;
	assert_int_equal(kd__traffic_filter_compile(NULL, NULL, 50010, &filter, &err), KD_OK);
	assert_int_equal(look(&own, "x"), '-');
	own.remote_port = 50011;
	assert_int_equal(look(&own, "x"), 'h');
}

static void mistakes_are_told_with_their_place(void **state)
{
	static const struct {
		const char *filter, *intercept;
		unsigned where;
		const char *text;
	} rows[] = {
		{ "[process=a", NULL, 10, "] is missing" },
		{ "[]", NULL, 1, "a condition is missing" },
		{ "[prozess=a]", NULL, 1, "are the conditions" },
		{ "[tcp pid=x]", NULL, 5, "a process id" },
		{ "[remote=70000]", NULL, 1, "a port" },
		{ "[remote=80-70]", NULL, 1, "not below" },
		{ "[local=10.0.0.1 remote=::1]", NULL, 16, "one family" },
		{ "[remote=10.0.0.0/33]", NULL, 1, "prefix" },
		{ "[process=]", NULL, 1, "1 to 60" },
		{ "tcp prt 80", NULL, 4, "filter, column 5" },
		{ "[tcp] udp and porrt 53", NULL, 10, "filter" },
		{ NULL, "vlan", 0, "intercept" },
		{ NULL, "[tcp] tcp porrt 80", 10, "intercept, column 11" },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct kd_error err = { 0 };
		enum kd_status s = kd__traffic_filter_compile(rows[i].filter, rows[i].intercept, 0,
							      &filter, &err);

		if (s != KD_E_SYNTAX || err.where != rows[i].where ||
		    !strstr(err.text, rows[i].text))
			fail_msg("row %zu: status %d at %u: %s", i, s, (unsigned)err.where,
				 err.text);
	}
}

static void too_much_is_refused(void **state)
{
	char text[8192] = "";
	struct kd_error err;

	(void)state;
	for (unsigned i = 0; i < 33; i++)
		strcat(text, "[pid=1] ");
	assert_int_equal(kd__traffic_filter_compile(text, NULL, 0, &filter, &err), KD_E_TOO_BIG);
	text[0] = '\0';
	for (unsigned i = 0; i < 300; i++)
		sprintf(text + strlen(text), "%sport %u", i ? " or " : "", 1000 + 7 * i);
	assert_int_equal(kd__traffic_filter_compile(NULL, text, 0, &filter, &err), KD_E_TOO_BIG);
	assert_non_null(strstr(err.text, "512"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_say_what_they_mean),
		cmocka_unit_test(the_debuggers_own_port_is_ignored),
		cmocka_unit_test(mistakes_are_told_with_their_place),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
