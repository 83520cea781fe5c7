/* SPDX-License-Identifier: MIT */
/*
 * kd-extcap: what Wireshark and tshark run to list sessions and VMs and to capture from them.
 * docs/traffic-wireshark.md. Which file does what:
 *
 *	option.c   the command line             capture.c       a capture's life
 *	sources.c  what there is                link_session.c  a session of somebody else's
 *	query.c    Wireshark's questions        link_vm.c       a session of our own
 *	toolbar.c  the toolbar's meaning        control.c       its messages and pipes
 *	editor.c   payloads in editors          install.c       links to this program
 */
#include <stdio.h>

#include <openkd/error.h>
#include <openkd/traffic.h>

#include "apps/kd-extcap/capture.h"
#include "apps/kd-extcap/install.h"
#include "apps/kd-extcap/option.h"
#include "apps/kd-extcap/query.h"

static int list(void)
{
	struct source_list sources;

	if (!sources_find(&sources))
		return EXTCAP_FAILED;
	query_interfaces(stdout, &sources);
	sources_free(&sources);
	return EXTCAP_OK;
}

/* Silence means that it is one. */
static int check_filter(const char *filter)
{
	struct kd_error err;

	if (kd_traffic_check_filter(filter, NULL, &err) == KD_OK)
		return EXTCAP_OK;
	printf("%s\n", err.text);
	return EXTCAP_FAILED;
}

int main(int argc, char **argv)
{
	struct extcap_options o;
	char message[200];

	if (!extcap_options_parse(&o, argc, argv, message, sizeof(message))) {
		fprintf(stderr, "kd-extcap: %s\n", message);
		return EXTCAP_USAGE;
	}
	switch (o.verb) {
	case EXTCAP_INTERFACES: return list();
	case EXTCAP_DLTS: query_dlts(stdout); return EXTCAP_OK;
	case EXTCAP_CONFIG: query_config(stdout); return EXTCAP_OK;
	case EXTCAP_CAPTURE: return capture_run(&o);
	case EXTCAP_CHECK_FILTER: return check_filter(o.filter);
	case EXTCAP_INSTALL: return extcap_install(stdout);
	case EXTCAP_UNINSTALL: return extcap_uninstall(stdout);
	case EXTCAP_HELP_RST: extcap_help_rst(stdout); return EXTCAP_OK;
	case EXTCAP_VERSION:
		printf("kd-extcap (OpenKD) %s\n", kd_library_version());
		return EXTCAP_OK;
	case EXTCAP_NOTHING:
	case EXTCAP_HELP: break;
	}
	extcap_help(stdout);
	return EXTCAP_OK;
}
