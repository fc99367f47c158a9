-- Joins observations of executions, or their registrations, with the records.
-- All keys are on one node and, on a cluster, in one slot. Each is joined on its
-- own: an error of one leaves the others as they are.
--
-- With the record of one as the only key it joins that and leaves the rest to its
-- caller: the slot is on its way to another node, and so may be the other keys.
--
-- KEYS  for each: record, running index, recent index, change channel, and of the
--       partition what is awaited, what is doubted, what came too late (redisdb/keynames.go)
-- ARGV  for each:
--        1 ARN
--        2 identity: version and hash of the body |
--          epoch: start date in ms, 14 digits, zero in a registration that does not tell it |
--          rank of the owner: 0 none, 1 from the input, 2 registered |
--          kind: r running, v running as Step Functions says now, w stopped with the output to be
--          fetched, s stopped, g registered |
--          what the input that was left out may name, so that it is to be asked for:
--          0 nothing, 1 the owner, 2 labels, 3 both |
--          lengths of owner and input type, 3 and 2 digits | owner | input type | labels
--        3 payload (codec.go)
--        4 when the record expires, in ms; in a registration how long it is kept, in ms
--        5 what the trail is to keep of it (trail.go)
--        6 what is to be counted: hour and entry of the start, and of the end if it has ended (internal/tally/tally.go)
--       and at the end how long a success is kept, in ms, if its output is kept for a shorter
--       time, else nothing; PUBLISH or SPUBLISH; the size of the recent index
-- Answers for each a text:
--        a applied, s superseded, e expired or c conflict (another owner has it) |
--        rank of the owner before, of the same incarnation | start date in ms, 14 digits | owner
--      or f | why it failed
--
-- Where things stand in a record and in an identity say constants in capitals that
-- layout.go puts in front of this text: NAME is where something begins, NAME_END where it
-- ends. The epoch in a registration is the date that was reported only if that is
-- plausible; its payload is the date to be shown.

local DAY = 86400000
local SUSPICIOUS = 900000 -- RUNNING older than this and unknown: perhaps a replay of what has expired
local SUSPICIOUS_LIFE = 3600000
local RUNNING_LIFE = 400 * DAY
local LOOK = 1024         -- what is read of a record at first: more than the head, and all of most that run
local TRAIL_KEPT = 16     -- entries
local LATE_KEPT = 256     -- observations that came too late
local MISMATCHES_KEPT = 10000
local TRIM_ONE_IN = 16    -- indexes may be a little too long
local NO_START = '00000000000000'

local sub, call = string.sub, redis.call
local alone = #KEYS == 1
local success_kept, publish, recent_size = ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]

local time = call('TIME')
local now_text = time[1] .. sub(1000000 + time[2], 2, 4)
local now = tonumber(now_text)
local trims = tonumber(time[2]) % TRIM_ONE_IN == 0
count.now = now

--
-- Identities: what decides between two states
--

local function part(a, b, first, last, base)
  return tonumber(sub(a, first, last), base), tonumber(sub(b, first, last), base)
end

-- Compares versions, then hashes. As numbers, because comparing strings follows
-- the locale of the server.
local function newer(a, b)
  if a == b then return false end
  local x, y = part(a, b, START, START_END, 10)
  if x == y then x, y = part(a, b, REDRIVE, REDRIVE_END, 10) end
  if x == y then x, y = part(a, b, RANK, RANK, 10) end
  if x == y then x, y = part(a, b, COMPLETE, COMPLETE, 10) end
  if x == y then x, y = part(a, b, HASH, HASH + 7, 16) end
  if x == y then x, y = part(a, b, HASH + 8, HASH + 15, 16) end
  return x > y
end

-- Whether the state is a success whose output is still to be fetched. The API
-- reports RUNNING.
local function awaits(identity) return sub(identity, RANK, COMPLETE) == '6-0' end

-- Whether the state is indexed as running.
local function runs(identity) return sub(identity, RANK, RANK) < '3' or awaits(identity) end

-- Whether the state says what became of an output later (output.go): it was removed, or
-- fetched again. That changes what is known, and makes nothing known.
local function of_output(identity) return sub(identity, COMPLETE, COMPLETE) == OUTPUT_CHANGED end

-- Whether the state is a success whose output is not there any more.
local function output_expired(identity) return of_output(identity) and sub(identity, OUTPUT_STATE, OUTPUT_STATE) ~= '0' end

-- Whether the API reports the same of an execution that awaits its output as it did
-- while that ran.
local function reads_the_same(identity, old)
  return awaits(identity) and sub(old, RANK, COMPLETE) == '1-2'
    and sub(identity, 1, REDRIVE_END) == sub(old, 1, REDRIVE_END) and sub(identity, HASH) == sub(old, HASH)
end

--
-- Indexes, lists and announcements. k is what stands before the keys of an execution.
--

-- What changed, by channel. It is announced at the end, once a channel.
local changes = {}

local function announce(k, arn)
  if alone then return end
  local channel = KEYS[k + 4]
  changes[channel] = changes[channel] and changes[channel] .. '\n' .. arn or arn
end

-- Does something to a key that is not a record, and returns the answer.
local function index(command, key, ...)
  if not alone then return call(command, KEYS[key], ...) end
end

-- The short name of the state machine, which the counters have.
local function machine_of(k)
  return sub(ARGV[k / KEYS_EACH * ARGS_EACH + COUNTS], HOUR_DIGITS + 1, HOUR_DIGITS + MACHINE_LENGTH)
end

local function enter_running(k, arn, start)
  if index('ZADD', k + 2, start, arn) == 1 then count.runs(k, machine_of(k), 1) end
  if trims then index('ZREMRANGEBYSCORE', k + 2, '-inf', string.format('%.0f', now - RUNNING_LIFE)) end
end

local function leave_running(k, arn)
  if index('ZREM', k + 2, arn) == 1 then count.runs(k, machine_of(k), -1) end
end

local function enter_recent(k, arn, start)
  index('ZADD', k + 3, start, arn)
  if trims then index('ZREMRANGEBYRANK', k + 3, 0, -1 - recent_size) end
end

-- The index of outputs is not among KEYS: it is used only where outputs are kept for a
-- shorter time than records.
local function outputs_of(k) return sub(KEYS[k + 2], 1, -1 - #'running') .. 'outputs' end

local function leave_outputs(k, arn)
  if success_kept ~= '' and not alone then call('ZREM', outputs_of(k), arn) end
end

-- Enters a success by since when its output is kept. No record that the index names lives
-- longer than success_kept.
local function enter_outputs(o)
  if success_kept == '' or alone or sub(o.identity, RANK, RANK) ~= '6' then return end
  if output_expired(o.identity) then return leave_outputs(o.k, o.arn) end
  local from = o.expires - success_kept -- it stopped then
  if of_output(o.identity) then from = tonumber(sub(o.identity, OUTPUT_FROM, OUTPUT_FROM_END), 16) * 1000 end
  call('ZADD', outputs_of(o.k), string.format('%.0f', from), o.arn)
  if trims then call('PEXPIRE', outputs_of(o.k), success_kept) end
end

-- Enters an execution among those that Step Functions is to be asked about: those whose
-- output or owner is missing, and those that may have been missed.
local function await(k, arn) index('ZADD', k + 5, 'NX', now_text, arn) end

local function suspect(k, arn)
  index('ZADD', k + 6, 'NX', now_text, arn)
  if trims then index('ZREMRANGEBYRANK', k + 6, MISMATCHES_KEPT, -1) end
end

-- Keeps an observation that came too late to be kept in a record.
local function note_late(k, arn, entry)
  index('RPUSH', k + 7, entry .. arn)
  if trims then index('LTRIM', k + 7, -LATE_KEPT, -1) end
end

local function remove(k, arn, identity)
  count.removed(k, arn, identity)
  announce(k, arn)
  call('DEL', KEYS[k + 1])
  leave_running(k, arn)
  leave_outputs(k, arn)
  for _, i in ipairs({3, 5, 6}) do index('ZREM', k + i, arn) end
end

--
-- What is given, and what is stored
--

-- Takes the arguments about one execution apart.
local function read_given(k, a)
  local given = ARGV[a + 2]
  local epoch, rank, kind = IDENTITY_LENGTH + 1, IDENTITY_LENGTH + 15, IDENTITY_LENGTH + 16
  local o = {
    k = k, arn = ARGV[a + 1], payload = ARGV[a + 3], expires = ARGV[a + 4], entry = ARGV[a + 5] .. now_text, counts = ARGV[a + COUNTS],
    identity = sub(given, 1, IDENTITY_LENGTH), epoch = sub(given, epoch, rank - 1), rank = sub(given, rank, rank),
    kind = sub(given, kind, kind), left_out = sub(given, kind + 1, kind + 1), lengths = sub(given, kind + 2, kind + 6),
  }
  local owner_end = kind + 6 + tonumber(sub(o.lengths, 1, 3))
  local type_end = owner_end + tonumber(sub(o.lengths, 4, 5))
  o.owner, o.input_type, o.labels = sub(given, kind + 7, owner_end), sub(given, owner_end + 1, type_end), sub(given, type_end + 1)
  o.reported = tonumber(o.epoch)
  if o.kind == 'g' then
    o.expires = string.format('%.0f', now + o.expires)
    if math.abs(o.reported - now) > DAY then o.epoch = '0' .. now_text end
  end
  o.stale = tonumber(o.expires) <= now
  return o
end

-- Takes the record of an execution apart, of which head is the beginning.
local function read_record(k, head)
  local format = sub(head, 1, 1)
  if format ~= OLDER_FORMAT and format ~= FORMAT and format ~= LABELED_FORMAT then error('its record is of a format that this release does not know') end
  local r = {
    k = k, head = head, current = format ~= OLDER_FORMAT, identity = sub(head, IDENTITY, IDENTITY_END),
    seen = sub(head, SEEN, SEEN_END), epoch = sub(head, EPOCH, EPOCH_END), rank = sub(head, OWNER_RANK, OWNER_RANK),
  }
  local fixed = ({[FORMAT] = HEAD, [LABELED_FORMAT] = LABELED_HEAD, [OLDER_FORMAT] = OLDER_HEAD})[format]
  local owner_end = fixed + tonumber(sub(head, OWNER_LENGTH, OWNER_LENGTH_END))
  local type_end = owner_end + tonumber(sub(head, TYPE_LENGTH, TYPE_LENGTH_END))
  r.registers_end = type_end
  if format == LABELED_FORMAT then r.registers_end = type_end + tonumber(sub(head, LABELS_LENGTH, LABELS_LENGTH_END)) end
  if r.registers_end + #NO_START > #head then -- its labels are long
    head = call('GETRANGE', KEYS[k + 1], 0, r.registers_end + LOOK)
    r.head = head
  end
  r.payload_end = r.current and r.registers_end + tonumber(sub(head, PAYLOAD_LENGTH, PAYLOAD_LENGTH_END)) or r.registers_end
  r.owner, r.input_type, r.labels = sub(head, fixed + 1, owner_end), sub(head, owner_end + 1, type_end), sub(head, type_end + 1, r.registers_end)
  r.start = sub(r.identity, START, START_END)
  r.indexed = r.start == NO_START and r.epoch or r.start -- the date by which the indexes have it
  return r
end

-- Adds to the trail of a record what has changed nothing else. Where that is full
-- the last entry gives way, or the one before it if the last is that of the state:
-- how it came to that, and when, must still be seen.
local function note(r, entry)
  if not r.current then return end
  local length = #r.head < LOOK and #r.head or call('STRLEN', KEYS[r.k + 1])
  if length - r.payload_end < TRAIL_KEPT * TRAIL_ENTRY then
    call('APPEND', KEYS[r.k + 1], entry)
    return
  end
  local last = r.payload_end + (TRAIL_KEPT - 1) * TRAIL_ENTRY
  if call('GETRANGE', KEYS[r.k + 1], last, last) == 'a' then last = last - TRAIL_ENTRY end
  call('SETRANGE', KEYS[r.k + 1], last, entry)
end

-- The trail of a record with one more entry.
local function longer_trail(r, entry)
  if not r.current then return entry end
  local trail = #r.head < LOOK and sub(r.head, r.payload_end + 1) or call('GETRANGE', KEYS[r.k + 1], r.payload_end, -1)
  return sub(trail, -(TRAIL_KEPT - 1) * TRAIL_ENTRY) .. entry
end

-- A record: what was observed, then registers m, payload and trail.
local function record(observed, m, payload, trail)
  local format, labels_length = FORMAT, ''
  if m.labels ~= '' then format, labels_length = LABELED_FORMAT, string.format('%04d', #m.labels) end
  return format .. observed .. m.seen .. m.epoch .. m.rank .. m.lengths .. string.format('%07d', #payload) .. labels_length
    .. m.owner .. m.input_type .. m.labels .. payload .. trail
end

-- Stores a record and enters it into the indexes. Nothing has been written
-- before: Redis does not roll back. indexed is the start date by which the recent
-- index has it already.
local function store(o, text, start, indexed)
  call('SET', KEYS[o.k + 1], text, 'PXAT', o.expires)
  if o.kind ~= 's' then enter_running(o.k, o.arn, start) end
  if start ~= indexed then enter_recent(o.k, o.arn, start) end
  enter_outputs(o)
end

-- Whether the owner or labels, which the registers m lack, are in an input that was left out.
local function lacks(o, m)
  return m.rank == '0' and (o.left_out == '1' or o.left_out == '3') or m.labels == '' and (o.left_out == '2' or o.left_out == '3')
end

--
-- The steps of a join
--

-- Nothing is known of the execution yet.
local function insert(o)
  if o.stale then
    note_late(o.k, o.arn, 'e' .. o.entry)
    return 'e0' .. NO_START
  end
  if o.kind == 'r' and tonumber(o.epoch) < now - SUSPICIOUS then
    o.expires = string.format('%.0f', math.min(o.expires, now + SUSPICIOUS_LIFE))
    suspect(o.k, o.arn)
  end
  announce(o.k, o.arn)
  o.seen = now_text
  store(o, record(o.identity .. now_text, o, o.payload, 'a' .. o.entry), o.epoch)
  if o.kind == 'w' or lacks(o, o) then await(o.k, o.arn) end
  if o.kind ~= 'g' then
    count.started(o)
    count.ended(o)
  end
  return 'a0' .. o.epoch .. o.owner
end

-- Whether a registration is of an earlier execution than the record, one that had the same
-- name. The record is that of a registration too.
local function names_another(o, r)
  local shown = (not r.current or r.payload_end > r.registers_end) and tonumber(sub(r.head, r.registers_end + 1, r.registers_end + #NO_START))
  return not shown or math.abs(o.epoch - shown) > DAY
end

-- The registers: set once, registration before input, absent never erases. An
-- incarnation that began more than a day later has its own. before is the rank of
-- the owner before, of the same incarnation.
local function merge_registers(o, r, age)
  if age > DAY then
    return {seen = now_text, epoch = o.epoch, rank = o.rank, owner = o.owner, input_type = o.input_type, labels = o.labels, lengths = o.lengths, before = '0'}
  end
  local m = {seen = r.seen, epoch = r.epoch, rank = r.rank, owner = r.owner, input_type = r.input_type, labels = r.labels, before = r.rank}
  if age >= -DAY then
    if r.rank < o.rank then m.rank, m.owner = o.rank, o.owner end
    if r.input_type == '' then m.input_type = o.input_type end
    m.labels = labels.join(r.labels, o.labels)
    if o.kind ~= 'g' and (age >= 0 or r.start == NO_START) then m.epoch = o.epoch end
  end
  m.lengths = string.format('%03d%02d', #m.owner, #m.input_type)
  return m
end

-- What is given is the newer state.
local function replace(o, r, m)
  local observed, payload = now_text, o.payload
  if reads_the_same(o.identity, r.identity) and m.owner == r.owner and m.input_type == r.input_type and m.labels == r.labels then
    observed = sub(r.head, OBSERVED, OBSERVED_END)
    payload = sub(payload, 1, 1) .. sub(r.head, r.registers_end + 2, r.registers_end + 2) .. sub(payload, 3) -- and its source
  else
    if output_expired(o.identity) then observed = sub(r.head, OBSERVED, OBSERVED_END) end -- that it succeeded
    announce(o.k, o.arn)
  end
  local start = sub(o.identity, START, START_END)
  store(o, record(o.identity .. observed, m, payload, longer_trail(r, 'a' .. o.entry)), start, r.indexed)
  if o.kind == 's' and runs(r.identity) then leave_running(o.k, o.arn) end
  if o.kind == 'w' or lacks(o, m) then
    await(o.k, o.arn)
  elseif sub(r.identity, RANK, RANK) == '6' and sub(o.identity, RANK, COMPLETE) ~= '6-1' and not of_output(o.identity) then
    index('ZREM', o.k + 5, o.arn)
  end
  if sub(r.identity, RANK, RANK) == '6' and sub(o.identity, RANK, RANK) ~= '6' then leave_outputs(o.k, o.arn) end
  return 'a' .. m.before .. start .. m.owner
end

-- What is stored is as new, or newer. It is entered into the indexes again: an attempt
-- before may have stored it and ended there, while its slot moved.
local function keep(o, r, m)
  if m.rank ~= m.before or m.owner ~= r.owner or m.input_type ~= r.input_type or m.labels ~= r.labels or m.epoch ~= r.epoch then
    announce(o.k, o.arn)
    local payload = call('GETRANGE', KEYS[o.k + 1], r.registers_end, r.current and r.payload_end - 1 or -1)
    call('SET', KEYS[o.k + 1], record(sub(r.head, IDENTITY, OBSERVED_END), m, payload, longer_trail(r, 's' .. o.entry)), 'KEEPTTL')
  else
    note(r, 's' .. o.entry)
  end
  enter_recent(o.k, o.arn, r.indexed)
  if o.identity == r.identity then enter_outputs(o) end
  if runs(r.identity) then enter_running(o.k, o.arn, r.indexed) else leave_running(o.k, o.arn) end
  if o.kind == 'v' and sub(o.identity, 1, RANK) == sub(r.identity, 1, RANK) and call('PTTL', KEYS[o.k + 1]) <= SUSPICIOUS_LIFE then
    call('PEXPIREAT', KEYS[o.k + 1], o.expires) -- it runs after all
  end
  return 's' .. m.before .. r.indexed .. m.owner
end

local function join(k, a)
  local o = read_given(k, a)
  local head = call('GETRANGE', KEYS[k + 1], 0, LOOK - 1)
  if head == '' then
    if of_output(o.identity) then return 'e0' .. NO_START end
    return insert(o)
  end
  local r = read_record(k, head)
  if o.kind == 'g' and math.abs(o.reported - r.epoch) <= DAY then o.epoch = r.epoch end
  local age = tonumber(o.epoch) - tonumber(r.epoch)

  if o.kind == 'g' and o.owner ~= r.owner and (r.rank == '2' or age > DAY) then
    note(r, 'c' .. o.entry)
    return 'c' .. r.rank .. NO_START
  end
  -- A registration speaks of one execution. What an earlier one of the same name
  -- did is not reported to its owner, and does not undo it.
  if r.start == NO_START and age < -DAY then
    if names_another(o, r) then
      note(r, 's' .. o.entry)
      return 's' .. r.rank .. r.indexed .. r.owner
    end
    age = 0
  end
  local wins = newer(o.identity, r.identity)
  if wins and o.stale then
    remove(k, o.arn, r.identity)
    note_late(k, o.arn, 'e' .. o.entry)
    return 'e' .. r.rank .. NO_START
  end
  if of_output(o.identity) and not wins then
    if output_expired(r.identity) then leave_outputs(k, o.arn) end
    return 's' .. r.rank .. r.indexed .. r.owner
  end
  local m = merge_registers(o, r, age)
  if not wins then
    if age >= -DAY then count.late(o, r.identity) end
    return keep(o, r, m)
  end
  local answer = replace(o, r, m)
  if r.start == NO_START or age > DAY then count.started(o) end
  count.ended(o, age <= DAY and r.identity or nil)
  return answer
end

local answers = {}
for i = 0, math.max(1, #KEYS / KEYS_EACH) - 1 do
  local ok, answer = pcall(join, i * KEYS_EACH, i * ARGS_EACH)
  if not ok then
    answer = 'f' .. (type(answer) == 'table' and answer.err or tostring(answer))
  end
  answers[i + 1] = answer
end
pcall(count.write) -- whatever is the matter with counters, what was joined is joined
for channel, arns in pairs(changes) do call(publish, channel, arns) end
return answers
