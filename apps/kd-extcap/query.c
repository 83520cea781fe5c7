/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/query.h"

#include <openkd/error.h>

enum { LINKTYPE_PKTAP = 258 };

static void put_controls(FILE *to)
{
	fprintf(to,
		"control {number=%d}{type=boolean}{display=Intercept}{default=false}"
		"{tooltip=Hold payloads until they are let go on}\n"
		"control {number=%d}{type=button}{display=Pass}"
		"{tooltip=Let the payload that waits longest go on, of the flow that is chosen}\n"
		"control {number=%d}{type=button}{display=Drop}"
		"{tooltip=Drop the payload that waits longest}\n"
		"control {number=%d}{type=button}{display=Edit...}"
		"{tooltip=Open the payload that waits longest in an editor; Pass sends what was "
		"saved}\n"
		"control {number=%d}{type=button}{display=Pass all}"
		"{tooltip=Let everything go on that is held}\n",
		CONTROL_INTERCEPT, CONTROL_PASS, CONTROL_DROP, CONTROL_EDIT, CONTROL_PASS_ALL);
	fprintf(to,
		"control {number=%d}{type=string}{display=Hold}"
		"{tooltip=Which payloads are held, as a capture filter: [process=chrome*] tcp port "
		"80}"
		"{placeholder=everything that is shown}\n"
		"control {number=%d}{type=selector}{display=Flow}"
		"{tooltip=Flows of which something is held: what the buttons work on}\n"
		"value {control=%d}{value=0}{display=all flows}{default=true}\n"
		"control {number=%d}{type=button}{role=logger}{display=Log}"
		"{tooltip=What was held, decided and lost}\n",
		CONTROL_HOLD, CONTROL_FLOW, CONTROL_FLOW, CONTROL_LOG);
}

void query_interfaces(FILE *to, const struct source_list *sources)
{
	fprintf(to, "extcap {version=%s}{display=OpenKD}\n", kd_library_version());
	for (size_t i = 0; i < sources->n; i++)
		fprintf(to, "interface {value=%s}{display=OpenKD: %s}\n", sources->source[i].id,
			sources->source[i].name);
	put_controls(to);
}

void query_dlts(FILE *to)
{
	fprintf(to, "dlt {number=%d}{name=PKTAP}{display=IP packets with their process}\n",
		LINKTYPE_PKTAP);
}

void query_config(FILE *to)
{
	fprintf(to, "arg {number=0}{call=--mode}{display=Mode}{type=selector}"
		    "{tooltip=intercept holds payloads until they are let go on}\n"
		    "value {arg=0}{value=capture}{display=capture: nothing waits}{default=true}\n"
		    "value {arg=0}{value=intercept}{display=intercept: payloads are held}"
		    "{default=false}\n"
		    "arg {number=1}{call=--hold}{display=Hold}{type=string}"
		    "{tooltip=Which payloads are held, as a capture filter}"
		    "{placeholder=everything that is shown}\n"
		    "arg {number=2}{call=--editor}{display=Editor}{type=string}"
		    "{tooltip=What Edit... starts on a payload}"
		    "{placeholder=an editor that is installed}\n"
		    "arg {number=3}{call=--symbols}{display=Symbols}{type=string}"
		    "{tooltip=For a VM without a session: folders with netprobe.pdb}"
		    "{placeholder=as in the configuration file}\n");
}
