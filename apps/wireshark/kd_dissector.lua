-- The KD protocol of Windows kernel debuggers, for Wireshark and tshark: recordings of `kd --record`
-- (link type USER0, one block a read or write), serial lines over TCP, and what is in clear of KDNET.
-- The tables above are the facts; here is what is done with them.

local MAGIC_DATA, MAGIC_CONTROL = 0x30303030, 0x69696969
local HEADER, TRAILER, MEMBER, UNION, REPORT = 16, 0xAA, 16, 32, 192
local AMD64, X86, ARM64, ARM = 0x8664, 0x14C, 0xAA64, 0x1C4
local SPECIAL_AT = { [X86] = 0x2CC }
local REPORTS = { [X86] = "report_x86", [ARM64] = "report_arm64", [ARM] = "report_arm" }
local CONTINUE2 = { [X86] = "continue2_x86", [ARM64] = "continue2_arm64" }
local BREAK_IN = 0x62

local kd = Proto("kd", "Windows Kernel Debugger (KD)")
local kdnet = Proto("kdnet", "KD over UDP (KDNET)")

-- --- fields: kd.STRUCTURE.FIELD, as `kd decode --json` names them ---

local fields, structs = {}, {}

local function text_table(format)
	return format == "NTSTATUS" and STATUSES or format == "API" and CODES or nil
end

local function new_field(abbrev, name, size, count, format)
	if format == "CHARS" or format == "UTF16" then
		return ProtoField.string(abbrev, name)
	elseif count > 1 or format == "BYTES" or size > 8 then
		return ProtoField.bytes(abbrev, name)
	elseif size == 8 then
		return ProtoField.uint64(abbrev, name, format == "DEC" and base.DEC or base.HEX)
	end
	local make = ({ ProtoField.uint8, ProtoField.uint16, nil, ProtoField.uint32 })[size]
	return make(abbrev, name, format == "DEC" and base.DEC or base.HEX, text_table(format))
end

local function add_field(structure, name, size, count, format)
	local abbrev = "kd." .. structure .. "." .. name
	if not fields[abbrev] then
		fields[abbrev] = new_field(abbrev, name, size, count, format)
	end
	return fields[abbrev]
end

for _, s in ipairs(STRUCTS) do
	structs[s.name] = s
	for _, f in ipairs(s.fields) do
		f.field = add_field(s.name, f[1], f[3], f[4], f[5])
	end
end
for _, machine in pairs(REGISTERS) do
	for name, layout in pairs(machine) do
		for _, r in ipairs(layout.fields) do
			-- One width for all machines: kd.context.dr7 is one filter.
			r.field = add_field(name, r[1], r[3] > 8 and r[3] or 8, 1, r[3] > 8 and "BYTES" or "HEX")
		end
	end
end

local packet_names = {}
for number, p in pairs(PACKETS) do
	packet_names[number] = p.name
end
local p = {
	leader = ProtoField.uint32("kd.packet.leader", "leader", base.HEX),
	type = ProtoField.uint16("kd.packet.type", "type", base.DEC, packet_names),
	length = ProtoField.uint16("kd.packet.length", "length", base.DEC),
	id = ProtoField.uint32("kd.packet.id", "id", base.HEX),
	checksum = ProtoField.uint32("kd.packet.checksum", "checksum", base.HEX),
	checksum_good = ProtoField.bool("kd.packet.checksum_good", "checksum is good"),
	trailer = ProtoField.uint8("kd.packet.trailer", "trailer", base.HEX),
	name = ProtoField.string("kd.name", "name"),
	to_target = ProtoField.bool("kd.to_target", "to the target"),
	machine = ProtoField.uint16("kd.machine", "machine (learned)", base.HEX),
	answer_in = ProtoField.framenum("kd.answer_in", "answer in", base.NONE, frametype.RESPONSE),
	answer_to = ProtoField.framenum("kd.answer_to", "answer to", base.NONE, frametype.REQUEST),
	time = ProtoField.relative_time("kd.time", "round trip"),
	noise = ProtoField.bytes("kd.noise", "bytes outside of packets"),
	noise_text = ProtoField.string("kd.noise_text", "as text"),
	break_in = ProtoField.none("kd.break_in", "break-in"),
	bytes = ProtoField.bytes("kd.data.bytes", "bytes"),
	pattern = ProtoField.bytes("kd.data.pattern", "pattern"),
	text = ProtoField.string("kd.data.text", "text"),
	path_name = ProtoField.string("kd.data.path_name", "path name"),
	file_name = ProtoField.string("kd.data.file_name", "file name"),
	special_call = ProtoField.uint64("kd.data.special_calls", "special call", base.HEX),
	unnamed = ProtoField.bytes("kd.unnamed", "unnamed"),
}
local all_fields = {}
for _, field in pairs(fields) do
	all_fields[#all_fields + 1] = field
end
for _, field in pairs(p) do
	all_fields[#all_fields + 1] = field
end
kd.fields = all_fields

local bad_checksum = ProtoExpert.new("kd.bad_checksum", "wrong checksum", expert.group.CHECKSUM,
	expert.severity.WARN)
local bad_trailer = ProtoExpert.new("kd.bad_trailer", "no trailer byte", expert.group.MALFORMED,
	expert.severity.WARN)
local too_short = ProtoExpert.new("kd.too_short", "shorter than its type needs", expert.group.MALFORMED,
	expert.severity.WARN)
local again = ProtoExpert.new("kd.again", "said again", expert.group.SEQUENCE, expert.severity.NOTE)
kd.experts = { bad_checksum, bad_trailer, too_short, again }

-- --- one packet ---

local function add(tree, field, range)
	tree:add_le(field, range)
end

local function add_chars(tree, field, range)
	tree:add(field, range, (range:string():gsub("%z.*", "")))
end

-- A structure at `at`, as far as the packet goes. Returns where it ends.
local function add_struct(tree, tvb, at, name, limit)
	local s = structs[name]
	local size = math.min(limit or s.size, tvb:len() - at)
	if size <= 0 then
		return at
	end
	local branch = tree:add(kd, tvb(at, size), name)
	for _, f in ipairs(s.fields) do
		local offset, width = f[2], f[3] * f[4]
		if offset + width > size then
			break
		end
		add(branch, f.field, tvb(at + offset, width))
	end
	return at + size
end

local function add_registers(tree, tvb, at, layout, name)
	local branch = tree:add(kd, tvb(at), name)
	for _, r in ipairs(layout.fields) do
		if at + r[2] + r[3] > tvb:len() then
			break
		end
		add(branch, r.field, tvb(at + r[2], r[3]))
	end
end

local function u32(tvb, at)
	return at + 4 <= tvb:len() and tvb(at, 4):le_uint() or 0
end

local function is_at(tvb, at, address)
	return at + 8 <= tvb:len() and u32(tvb, at) == address and u32(tvb, at + 4) == 0
end

-- The register file that a packet carries, if it does.
local function registers_of(tvb, payload, api, info, machine)
	local layouts = REGISTERS[machine]
	if not layouts then
		return nil
	end
	if (info.name == "READ_CONTROL_SPACE" or info.name == "WRITE_CONTROL_SPACE") and
		is_at(tvb, payload + MEMBER, SPECIAL_AT[machine] or 2) then
		return layouts.special_registers, "special_registers"
	elseif info.name == "GET_CONTEXT" or info.name == "SET_CONTEXT" then
		return layouts.context, "context"
	elseif info.member == "context_ex" and u32(tvb, payload + MEMBER) == 0 and
		tvb:len() - payload - 56 == layouts.context.size then
		return layouts.context, "context"
	end
	return nil
end

local function add_entries(tree, tvb, at, name)
	while tvb:len() - at >= structs[name].size do
		at = add_struct(tree, tvb, at, name)
	end
	return at
end

local DATA = {
	WRITE_BPS = function(tree, tvb, at) return add_entries(tree, tvb, at, "write_breakpoint_entry") end,
	RESTORE_BPS = function(tree, tvb, at) return add_entries(tree, tvb, at, "restore_breakpoint_entry") end,
	U64S = function(tree, tvb, at)
		while tvb:len() - at >= 8 do
			add(tree, p.special_call, tvb(at, 8))
			at = at + 8
		end
		return at
	end,
	PATTERN = function(tree, tvb, at)
		tree:add(p.pattern, tvb(at))
		return tvb:len()
	end,
}

local function dissect_manipulate(tree, tvb, at, state)
	local api = u32(tvb, at)
	local info = APIS[api]
	add_struct(tree, tvb, at, "manipulate_hdr", MEMBER)
	if not info or tvb:len() < at + 56 then
		return CODES[api] or string.format("API 0x%x", api), api
	end
	local member = info.name == "CONTINUE2" and CONTINUE2[state.machine] or info.member
	if member ~= "none" then
		add_struct(tree, tvb, at + MEMBER, member, 40)
	end
	local data = at + 56
	if data < tvb:len() then
		local layout, name = registers_of(tvb, at, api, info, state.machine)
		local kind = info.data_in ~= "NONE" and info.data_in or info.data_out
		if layout then
			add_registers(tree, tvb, data, layout, name)
		else
			data = DATA[kind] and DATA[kind](tree, tvb, data) or data
			if data < tvb:len() then
				tree:add(p.bytes, tvb(data))
			end
		end
	end
	return info.name, api
end

local STATES = { [0x3030] = "exception", [0x3031] = "load_symbols", [0x3032] = "command_string" }

local function dissect_state_change(tree, tvb, at, state)
	local code = bit.band(u32(tvb, at), 0xFFFF)
	add_struct(tree, tvb, at, "state_change_hdr", UNION)
	if STATES[code] then
		add_struct(tree, tvb, at + UNION, STATES[code], REPORT - UNION)
	end
	add_struct(tree, tvb, at + REPORT, REPORTS[state.machine] or "report_amd64")
	if at + 240 < tvb:len() then
		add_chars(tree, p.path_name, tvb(at + 240))
	end
	return CODES[code] or string.format("state change 0x%x", code), code
end

local function dissect_state_change32(tree, tvb, at)
	local code = u32(tvb, at)
	add_struct(tree, tvb, at, "state_change32_hdr")
	if STATES[code] and structs[STATES[code] .. "32"] then
		add_struct(tree, tvb, at + 20, STATES[code] .. "32")
	end
	return CODES[code] or "state change of NT 4", code
end

local function dissect_debug_io(tree, tvb, at)
	local code = u32(tvb, at)
	add_struct(tree, tvb, at, "debug_io")
	if at + 16 < tvb:len() then
		add_chars(tree, p.text, tvb(at + 16))
	end
	return CODES[code] or string.format("debug I/O 0x%x", code), code
end

local FILES = { [0x3430] = "file_create", [0x3431] = "file_transfer", [0x3432] = "file_transfer",
	[0x3433] = "file_close" }

local function dissect_file_io(tree, tvb, at)
	local code = u32(tvb, at)
	add_struct(tree, tvb, at, "file_io_hdr", 8)
	if FILES[code] then
		add_struct(tree, tvb, at + 8, FILES[code])
	end
	if at + 64 < tvb:len() then
		local rest = tvb(at + 64)
		if code == 0x3430 then
			tree:add(p.file_name, rest, rest:le_ustring())
		else
			tree:add(p.bytes, rest)
		end
	end
	return CODES[code] or string.format("file I/O 0x%x", code), code
end

local function dissect_plain(name)
	return function(tree, tvb, at)
		local code = u32(tvb, at)
		local done = add_struct(tree, tvb, at, name)
		if done < tvb:len() then
			tree:add(p.bytes, tvb(done))
		end
		return CODES[code] or string.format("%s 0x%x", name, code), code
	end
end

local PAYLOADS = { [1] = dissect_state_change32, [2] = dissect_manipulate, [3] = dissect_debug_io,
	[7] = dissect_state_change, [9] = dissect_plain("trace_io"), [10] = dissect_plain("control_request"),
	[11] = dissect_file_io }

local function checksum_of(tvb, at)
	local sum = 0
	for i = at, tvb:len() - 1 do
		sum = sum + tvb(i, 1):uint()
	end
	return sum
end

-- item: what was found in the stream (below); tvb: header and payload, trailer not in it.
local function dissect_packet(item, tvb, tree)
	local packet = PACKETS[item.type]
	local branch = tree:add(kd, tvb(), string.format("KD: %s", packet.name))
	local head = branch:add(kd, tvb(0, HEADER), "packet")
	local name, payload = packet.name, tvb(0)
	add(head, p.leader, tvb(0, 4))
	add(head, p.type, tvb(4, 2))
	add(head, p.length, tvb(6, 2))
	add(head, p.id, tvb(8, 4))
	add(head, p.checksum, tvb(12, 4))
	if not packet.is_control then
		local good = checksum_of(tvb, HEADER) == tvb(12, 4):le_uint()
		head:add(p.checksum_good, good):set_generated()
		if not good then
			head:add_proto_expert_info(bad_checksum)
		end
		if item.has_no_trailer then
			head:add_proto_expert_info(bad_trailer)
		end
		if tvb:len() - HEADER < packet.fixed_size then
			branch:add_proto_expert_info(too_short)
		end
		if PAYLOADS[item.type] and tvb:len() > HEADER then
			name = PAYLOADS[item.type](branch, tvb, HEADER, item)
		end
		branch:append_text(", " .. name)
	end
	branch:add(p.name, name):set_generated()
	branch:add(p.to_target, item.to_target):set_generated()
	if item.machine then
		branch:add(p.machine, item.machine):set_generated()
	end
	if item.answer_in then
		branch:add(p.answer_in, item.answer_in):set_generated()
	end
	if item.answer_to then
		branch:add(p.answer_to, item.answer_to):set_generated()
		branch:add(p.time, NSTime.new(math.floor(item.time), math.floor(item.time % 1 * 1e9))):set_generated()
		name = name .. " reply"
	end
	if item.is_again then
		branch:add_proto_expert_info(again)
		name = name .. " (again)"
	end
	return name
end

-- --- the stream: packets are put together once, in the order of the capture ---

local streams, found, learned

function kd.init()
	streams = {} -- direction -> bytes that wait for more
	found = {}   -- frame -> what ended in it
	learned = { requests = {} }
end

local function learn_machine(item, tvb)
	if item.type == 2 and u32(tvb, HEADER) == 0x3146 and not item.to_target and tvb:len() >= HEADER + 56 then
		local machine = tvb(HEADER + MEMBER + 8, 2):le_uint()
		if machine ~= 0 then
			learned.machine = machine
		end
	elseif item.type == 7 and not learned.machine and tvb:len() >= HEADER + 32 then
		-- Sign-extended: a 32-bit target. GetVersion tells for sure.
		item.machine = u32(tvb, HEADER + 28) == 0xFFFFFFFF and X86 or AMD64
	end
	item.machine = learned.machine or item.machine or AMD64
end

local function link_answers(item, tvb, frame, time)
	if item.type ~= 2 then
		return
	end
	local key = string.format("%x", u32(tvb, HEADER))
	if item.to_target then
		learned.requests[key] = { item = item, frame = frame, time = time }
	elseif learned.requests[key] then
		local request = learned.requests[key]
		item.answer_to, item.time = request.frame, time - request.time
		request.item.answer_in = frame
		learned.requests[key] = nil
	end
end

local function note_repetition(item, tvb)
	local last = learned[item.to_target]
	local text = tvb:bytes():tohex()
	item.is_again = not PACKETS[item.type].is_control and last == text
	if not PACKETS[item.type].is_control then
		learned[item.to_target] = text
	end
end

local function leader_at(bytes, at)
	local n = 0
	while at + n < bytes:len() and n < 4 and bytes:get_index(at + n) == bytes:get_index(at) do
		n = n + 1
	end
	local first = bytes:get_index(at)
	return (first == 0x30 or first == 0x69) and n or 0, first == 0x69
end

local function le(bytes, at, size)
	local value = 0
	for i = size - 1, 0, -1 do
		value = value * 256 + bytes:get_index(at + i)
	end
	return value
end

-- What stands at `at`: an item, or nil when more bytes are needed.
local function next_item(bytes, at)
	local same, is_control = leader_at(bytes, at)
	local left = bytes:len() - at
	if same == 4 then
		if left < HEADER then
			return nil
		end
		local type, length = le(bytes, at + 4, 2), le(bytes, at + 6, 2)
		local packet = PACKETS[type]
		if packet and packet.is_control == is_control and length <= PAYLOAD_ACCEPT and
			not (is_control and length > 0) then
			local size = HEADER + length + (is_control and 0 or 1)
			if left < size then
				return nil
			end
			local last = bytes:get_index(at + size - 1)
			local bad = not is_control and last ~= TRAILER
			-- A byte that is no trailer belongs to what follows.
			return { kind = "packet", type = type, at = at, size = HEADER + length,
				next = at + size - (bad and 1 or 0), has_no_trailer = bad }
		end
	elseif same > 0 and same == left then
		return nil -- the beginning of a leader
	end
	if bytes:get_index(at) == BREAK_IN then
		return { kind = "break-in", at = at, size = 1, next = at + 1 }
	end
	return { kind = "noise", at = at, size = 1, next = at + 1 }
end

-- Neighbouring bytes of noise are one item.
local function push(items, item)
	local last = items[#items]
	if item.kind == "noise" and last and last.kind == "noise" and last.at + last.size == item.at then
		last.size = last.size + 1
	else
		items[#items + 1] = item
	end
end

local function split(bytes)
	local items, at = {}, 0
	while at < bytes:len() do
		local item = next_item(bytes, at)
		if not item then
			break
		end
		push(items, item)
		at = item.next
	end
	return items, at
end

-- First visit: the frame's bytes behind those that waited.
local function collect(tvb, pinfo, to_target)
	local waiting = streams[to_target]
	local bytes = waiting and waiting .. tvb:bytes() or tvb:bytes()
	local before = bytes:len() - tvb:len()
	local items, done = split(bytes)
	for _, item in ipairs(items) do
		item.to_target = to_target
		item.start = item.at - before -- in this frame; negative: it began earlier
		item.bytes = bytes:subset(item.at, item.size)
		if item.kind == "packet" then
			local whole = item.bytes:tvb("KD packet")
			learn_machine(item, whole)
			note_repetition(item, whole)
			link_answers(item, whole, pinfo.number, pinfo.abs_ts)
		end
	end
	streams[to_target] = done < bytes:len() and bytes:subset(done, bytes:len() - done) or nil
	items.rest = bytes:len() - done
	return items
end

local function show_other(item, range, tree)
	if item.kind == "break-in" then
		tree:add(p.break_in, range)
		return "break-in"
	end
	local branch = tree:add(p.noise, range)
	branch:add(p.noise_text, range, range:raw():gsub("[^\32-\126]", "."))
	return "noise"
end

local function show(items, tvb, pinfo, tree)
	local names = {}
	for _, item in ipairs(items) do
		local part = item.start >= 0 and tvb(item.start, item.size):tvb() or item.bytes:tvb("KD packet")
		if item.kind == "packet" then
			names[#names + 1] = dissect_packet(item, part, tree)
		else
			names[#names + 1] = show_other(item, part(), tree)
		end
	end
	if items.rest > 0 then
		tree:add(kd, tvb(math.max(0, tvb:len() - items.rest)),
			"the beginning of a packet that ends in a later frame")
		names[#names + 1] = "..."
	end
	pinfo.cols.protocol = "KD"
	pinfo.cols.info = table.concat(names, ", ")
end

local packet_flags = Field.new("frame.packet_flags_direction")

function kd.dissector(tvb, pinfo, tree)
	local flags = packet_flags()
	local to_target = flags ~= nil and flags.value == 2
	pinfo.cols.protocol = "KD"
	pinfo.cols.src = to_target and "debugger" or "target"
	pinfo.cols.dst = to_target and "target" or "debugger"
	if tvb:reported_length_remaining() == 0 then
		-- `link up`, `link down`: nothing before it goes on behind it.
		streams, learned.requests = {}, {}
		pinfo.cols.info = "connection"
		return 0
	end
	if not found[pinfo.number] then
		found[pinfo.number] = collect(tvb, pinfo, to_target)
	end
	show(found[pinfo.number], tvb, pinfo, tree)
	return tvb:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, kd)

-- --- a serial line over TCP: Wireshark puts the bytes together ---

local function is_leader(tvb)
	if tvb:len() < HEADER then
		return false
	end
	local leader, packet = tvb(0, 4):uint(), PACKETS[tvb(4, 2):le_uint()]
	return packet ~= nil and leader == (packet.is_control and MAGIC_CONTROL or MAGIC_DATA) and
		tvb(6, 2):le_uint() <= PAYLOAD_ACCEPT
end

local function dissect_tcp(tvb, pinfo, tree)
	local bytes = tvb:bytes()
	local items, done = split(bytes)
	for _, item in ipairs(items) do
		item.start, item.machine = item.at, AMD64
		item.to_target = pinfo.dst_port < pinfo.src_port
	end
	if done < bytes:len() then
		pinfo.desegment_offset = done
		pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
	end
	items.rest = 0
	if #items > 0 then
		show(items, tvb, pinfo, tree)
	end
	return tvb:len()
end

kd:register_heuristic("tcp", function(tvb, pinfo, tree)
	if not is_leader(tvb) then
		return false
	end
	dissect_tcp(tvb, pinfo, tree)
	return true
end)

-- --- KDNET: what is in clear; the rest is for `kd decode --key KEY -w plain.pcapng` ---

local n = {
	version = ProtoField.uint8("kdnet.version", "version", base.DEC),
	channel = ProtoField.uint8("kdnet.channel", "channel", base.DEC, { [0] = "data", [1] = "control" }),
	ciphertext = ProtoField.bytes("kdnet.ciphertext", "ciphertext"),
	tag = ProtoField.bytes("kdnet.tag", "tag (and IV)"),
}
kdnet.fields = { n.version, n.channel, n.ciphertext, n.tag }

kdnet:register_heuristic("udp", function(tvb, pinfo, tree)
	local size = tvb:len()
	if size < 38 or tvb(0, 4):string() ~= "MDBG" or tvb(5, 1):uint() > 1 or (size - 22) % 16 ~= 0 then
		return false
	end
	local branch = tree:add(kdnet, tvb(), "KDNET, encrypted: kd decode --key KEY -w plain.pcapng shows what is in it")
	branch:add(n.version, tvb(4, 1))
	branch:add(n.channel, tvb(5, 1))
	branch:add(n.ciphertext, tvb(6, size - 22))
	branch:add(n.tag, tvb(size - 16))
	pinfo.cols.protocol = "KDNET"
	pinfo.cols.info = string.format("version %d, %s channel, %d bytes", tvb(4, 1):uint(),
		tvb(5, 1):uint() == 0 and "data" or "control", size - 22)
	return true
end)
