-- SPDX-License-Identifier: MIT
-- OpenKD's comments on guest traffic as fields, with links between what was held and what went on.
-- The grammar is in docs/traffic-wireshark.md. Everything is in the comments without this.

local proto = Proto("openkd", "OpenKD traffic")
local f = {
    id = ProtoField.string("openkd.id", "Item"),
    flow = ProtoField.string("openkd.flow", "Flow"),
    pid = ProtoField.uint32("openkd.pid", "Process"),
    image = ProtoField.string("openkd.image", "Image"),
    verdict = ProtoField.string("openkd.verdict", "Verdict"),
    by = ProtoField.string("openkd.by", "Decided by"),
    original = ProtoField.uint32("openkd.original_size", "Bytes as it came"),
    now = ProtoField.uint32("openkd.size", "Bytes as it went on"),
    held_in = ProtoField.framenum("openkd.held_in", "Held in frame"),
    became = ProtoField.framenum("openkd.became", "Went on, or was dropped, in frame"),
}
proto.fields = { f.id, f.flow, f.pid, f.image, f.verdict, f.by, f.original, f.now, f.held_in, f.became }
local edited = ProtoExpert.new("openkd.edited", "Edited on its way", expert.group.COMMENTS_GROUP,
    expert.severity.NOTE)
proto.experts = { edited }

local comments = Field.new("frame.comment")

-- Frames by item: known from the first pass on.
local held, outcome = {}, {}

function proto.init()
    held, outcome = {}, {}
end

local function note_frame(item, number)
    local frames = item.verdict == "held" and held or outcome

    if not frames[item.id] then
        frames[item.id] = number
    end
end

-- "kd: id=9 flow=3 pid=52 img=webget.exe verdict=held by=user"; by is the rest of the line
local function take(text)
    local id, flow, pid, image, verdict, rest =
        text:match("^kd: id=(%d+) flow=(%d+) pid=(%d+) img=(%S+) verdict=(%a+)(.*)$")

    if id then
        return { id = id, flow = flow, pid = tonumber(pid), image = image, verdict = verdict,
            by = rest:match("^ by=(.*)$") }
    end
end

local function show(item, sizes, tree)
    tree:add(f.id, item.id)
    tree:add(f.flow, item.flow)
    tree:add(f.pid, item.pid)
    tree:add(f.image, item.image)
    tree:add(f.verdict, item.verdict)
    if item.by then
        tree:add(f.by, item.by)
    end
    if sizes then
        tree:add(f.original, sizes.from)
        tree:add(f.now, sizes.to)
        tree:add_proto_expert_info(edited)
    end
    if item.verdict == "held" and outcome[item.id] then
        tree:add(f.became, outcome[item.id])
    elseif item.verdict ~= "held" and held[item.id] then
        tree:add(f.held_in, held[item.id])
    end
end

function proto.dissector(_, pinfo, root)
    local item, sizes

    for _, info in ipairs({ comments() }) do
        local text = tostring(info.value)
        local from, to = text:match("^edited: original (%d+) bytes %-> (%d+) bytes$")

        item = item or take(text)
        if from then
            sizes = { from = tonumber(from), to = tonumber(to) }
        end
    end
    if not item then
        return
    end
    note_frame(item, pinfo.number)
    show(item, sizes, root:add(proto))
    if item.verdict ~= "pass" then
        pinfo.cols.info:prepend("[" .. item.verdict:upper() .. "] ")
    end
end

register_postdissector(proto)
