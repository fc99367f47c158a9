-- Joins any observation with any record. This text is the body of a function, so that the common
-- cases (merge_common.lua) do not pay for creating the functions below.

--
-- Identities: what decides between two states
--

-- Compares versions, then hashes, byte by byte: comparing strings follows the locale of the
-- server.
local function newer(a, b)
  if a == b then return false end
  if sub(a, 1, STATE - 1) == sub(b, 1, STATE - 1) then
    local x, y = byte(a, STATE), byte(b, STATE)
    if x ~= y then return x > y end
  end
  for i = 1, IDENTITY_LENGTH do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
end

-- Whether a state is indexed as running. The API reports RUNNING for a success whose output must
-- still be fetched.
local function runs(state) return state < 30 or state == AWAITS_OUTPUT end

local function succeeded(state) return floor(state / 10) == 6 end

-- Whether the state is a later change of an output (output.go): it was removed, or fetched
-- again. Such an observation changes a record, and never creates one.
local function of_output(state) return state == OUTPUT_CHANGED end

-- Whether the state of x is a success whose output has expired.
local function output_expired(x) return of_output(x.state) and byte(x.identity, OUTPUT_STATE) >= 16 end

-- Whether the API reports the same for an execution that awaits its output as it did while the
-- execution ran.
local function reads_the_same(o, r)
  return o.state == AWAITS_OUTPUT and r.state == RUNS
    and sub(o.identity, 1, REDRIVES_END) == sub(r.identity, 1, REDRIVES_END) and sub(o.identity, HASH) == sub(r.identity, HASH)
end

--
-- Records, indexes and lists
--

-- Writes a record that expires at a time in ms. It does not replace a key of another type,
-- although a read of such a key finds no record.
local function put(key, text, expires)
  if records[key] then
    call('SET', key, text, 'PXAT', expires)
  elseif not call('SET', key, text, 'PXAT', expires, 'NX') then
    call('STRLEN', key)
    error('its record has appeared meanwhile')
  end
  records[key] = text
end

-- The index of outputs is used only where outputs are kept for a shorter time than records.
local function leave_outputs(o)
  if success_kept ~= '' then with('ZREM', o.p, 'outputs', o.arn) end
end

-- Enters a success into the index of outputs, by the time since when its output is kept. No
-- record in this index lives longer than success_kept.
local function enter_outputs(o)
  if success_kept == '' or not succeeded(o.state) then return end
  if output_expired(o) then return leave_outputs(o) end
  local from = o.expires - success_kept -- its stop date
  if of_output(o.state) then
    local a, b, c, d = byte(o.identity, OUTPUT_FROM, OUTPUT_FROM + 3)
    from = (((a * 256 + b) * 256 + c) * 256 + d) * 1000
  end
  with('ZADD', o.p, 'outputs', string.format('%.0f', from), o.arn)
  if trims then with('PEXPIRE', o.p, 'outputs', success_kept) end
end

-- The member of the running and the recent index, if the record is compact or not.
local function member_of(o, compact) return compact and o.member or o.arn end

-- Both enter an execution into a list of executions to check with Step Functions. await does
-- this if output, owner or labels are missing, suspect if an event may be missing.
local function await(o) with('ZADD', o.p, 'awaiting', 'NX', now_text, o.arn) end

local function suspect(o)
  with('ZADD', o.p, 'doubted', 'NX', now_text, o.arn)
  if trims then with('ZREMRANGEBYRANK', o.p, 'doubted', MISMATCHES_KEPT, -1) end
end

-- Keeps an observation that came too late to be kept in a record.
local function note_late(o, entry)
  with('RPUSH', o.p, 'late', entry .. o.arn)
  if trims then with('LTRIM', o.p, 'late', -LATE_KEPT, -1) end
end

local function remove(o, identity)
  count.removed(o.p, o.arn, identity)
  announce(o.arn)
  call('DEL', o.key)
  records[o.key] = false
  leave_running(o.p, o.counts, o.arn, o.member)
  leave_outputs(o)
  with('ZREM', o.p, 'recent', o.arn, o.member)
  with('ZREM', o.p, 'awaiting', o.arn)
  with('ZREM', o.p, 'doubted', o.arn)
end

--
-- The given and the stored record
--

-- Returns a metatable that cuts parts out of a text when they are first needed: most never are.
local function cut_out(of, parts)
  return {__index = function(x, name)
    local part = parts[name]
    if not part then return nil end
    local value = sub(x[of], part[1], part[2])
    x[name] = value
    return value
  end}
end

local given_parts = cut_out('given', {
  identity = {GIVEN_IDENTITY, GIVEN_IDENTITY_END}, epoch = {GIVEN_EPOCH, GIVEN_EPOCH_END}, rank = {GIVEN_RANK, GIVEN_RANK},
  left_out = {GIVEN_LEFT_OUT, GIVEN_LEFT_OUT}, start = {GIVEN_START, GIVEN_START_END}, shape = {GIVEN_SHAPE, GIVEN_SHAPE_END},
  registers = {GIVEN_PAYLOAD_END + 1, -1},
})

-- Takes the arguments about one execution of a partition apart. The first is ARGV[a + 1].
local function read_given(key, p, a)
  local given, expires = ARGV[a + 2], ARGV[a + 4]
  local o = setmetatable({
    key = key, p = p, arn = ARGV[a + 1], given = given, payload = ARGV[a + 3], expires = expires, counts = ARGV[a + COUNTS], member = ARGV[a + MEMBER],
    kind = sub(given, GIVEN_KIND, GIVEN_KIND), compact = byte(given, GIVEN_COMPACT) == 49, state = byte(given, GIVEN_IDENTITY + STATE - 1),
  }, given_parts)
  if o.kind == 'g' then
    o.expires, o.reported = string.format('%.0f', now + expires), number(o.epoch, 1)
    if math.abs(o.reported - now) > DAY then o.epoch, o.start = now_bytes, '0' .. now_text end
  end
  o.stale = tonumber(o.expires) <= now
  return o
end

-- Reads the head of a record in a format of digits into r.
local function read_digits(r, head)
  r.identity = record.identity(head)
  r.observed, r.seen = record.time_bytes(sub(head, OBSERVED, OBSERVED_END)), record.time_bytes(sub(head, SEEN, SEEN_END))
  r.epoch, r.rank = record.time_bytes(sub(head, EPOCH, EPOCH_END)), sub(head, OWNER_RANK, OWNER_RANK)
  local owner, input_type, labels_length, payload, fixed = record.lengths(head)
  r.shape = record.bytes(owner, 2) .. string.char(input_type) .. record.bytes(labels_length, 2)
  r.current, r.registers_end = sub(head, 1, 1) ~= OLDER_FORMAT, fixed + owner + input_type + labels_length
  r.registers, r.payload_end = sub(head, fixed + 1, r.registers_end), r.current and r.registers_end + payload or #head -- the older has no trail
end

local record_parts = cut_out('text', {
  identity = {COMPACT_IDENTITY, COMPACT_IDENTITY_END}, observed = {COMPACT_OBSERVED, COMPACT_OBSERVED_END}, seen = {COMPACT_SEEN, COMPACT_SEEN_END},
  epoch = {COMPACT_EPOCH, COMPACT_EPOCH_END}, rank = {COMPACT_OWNER_RANK, COMPACT_OWNER_RANK}, shape = {COMPACT_LENGTHS, COMPACT_LENGTHS + 4},
})

-- Takes the record of an execution apart.
local function read_record(key, text)
  if record.compact(text) then
    local a, b, c, d, e, f, g, h = byte(text, COMPACT_LENGTHS, COMPACT_LENGTHS_END)
    local registers_end = COMPACT_HEAD + (a + d) * 256 + b + c + e
    return setmetatable({
      key = key, text = text, compact = true, current = true,
      start = sub(text, COMPACT_IDENTITY, COMPACT_IDENTITY + START_END - 1), state = byte(text, COMPACT_IDENTITY + STATE - 1),
      registers = sub(text, COMPACT_HEAD + 1, registers_end), registers_end = registers_end, payload_end = registers_end + (f * 256 + g) * 256 + h,
    }, record_parts)
  end
  if not record.known(text) then error('its record is of a format that this release does not know') end
  local r = {key = key, text = text, compact = false}
  read_digits(r, text)
  r.start, r.state = sub(r.identity, START, START_END), byte(r.identity, STATE)
  return r
end

-- The start date of a record in the indexes.
local function indexed(r) return r.start == NO_START and r.epoch or r.start end

local function owner_of(x)
  local a, b = byte(x.shape, 1, 2)
  return sub(x.registers, 1, a * 256 + b)
end

-- Owner, input type and labels.
local function split(x)
  local a, b, input_type = byte(x.shape, 1, 3)
  local owner = a * 256 + b
  return sub(x.registers, 1, owner), sub(x.registers, owner + 1, owner + input_type), sub(x.registers, owner + input_type + 1)
end

-- Sets the registers of x.
local function unite(x, owner, input_type, labels_text)
  x.shape = record.bytes(#owner, 2) .. string.char(#input_type) .. record.bytes(#labels_text, 2)
  x.registers = owner .. input_type .. labels_text
end

--
-- Trails
--

local function trail_of(r) return sub(r.text, r.payload_end + 1) end

-- The entries of a trail.
local function entries_of(trail)
  local all, at = {}, 1
  while at <= #trail do
    local length = sub(trail, at, at) == SHORT_APPLIED and SHORT_ENTRY or TRAIL_ENTRY
    all[#all + 1] = sub(trail, at, at + length - 1)
    at = at + length
  end
  return all
end

-- An entry in full, as it is in a record with another start date.
local function in_full(entry, start)
  if sub(entry, 1, 1) ~= SHORT_APPLIED then return entry end
  local a, b, c = byte(entry, 3, 5)
  local emitted = number(entry, 6) - (a * 256 + b) * 256 - c
  return 'ae' .. start .. '\0\0\0' .. sub(entry, 2, 2) .. record.bytes(emitted, 6)
    .. sub(entry, 6, 11 + EVENT_ID) .. record.digits(sub(entry, 12 + EVENT_ID), 13)
end

-- The entry of the given observation, without its verdict.
local function entry_of(o) return sub(o.given, GIVEN_ENTRY, GIVEN_ENTRY_END) .. now_text end

-- Adds an entry to the trail of a record that otherwise stays the same. If the trail is full, the
-- last entry is removed. If that is the entry of the current state, the entry before it is
-- removed instead: the trail must show how and when the record came to its state.
local function note(r, entry)
  if not r.current then return end
  local all = #r.text - r.payload_end >= TRAIL_KEPT * SHORT_ENTRY and entries_of(trail_of(r)) or {}
  if #all < TRAIL_KEPT then
    call('APPEND', r.key, entry)
    records[r.key] = r.text .. entry
    return
  end
  local verdict = sub(all[#all], 1, 1)
  table.remove(all, (verdict == 'a' or verdict == SHORT_APPLIED) and #all - 1 or #all)
  local trail = table.concat(all) .. entry -- no shorter than before
  call('SETRANGE', r.key, r.payload_end, trail)
  records[r.key] = sub(r.text, 1, r.payload_end) .. trail
end

-- The trail of r with one more entry. compact and start, which is in bytes, are those of the new
-- record.
local function longer_trail(r, entry, compact, start)
  if not r.current then return entry end
  local trail, before = trail_of(r), r.compact and r.start
  local keeps = #trail < TRAIL_KEPT * SHORT_ENTRY
  if keeps and (not before or compact and before == start) then return trail .. entry end
  local all = entries_of(trail)
  while #all >= TRAIL_KEPT do table.remove(all, 1) end
  if before and not (compact and before == start) then
    for i, each in ipairs(all) do all[i] = in_full(each, before) end
  end
  return table.concat(all) .. entry
end

-- The entry of an observation that became the state, for a compact record with its start date.
-- An ordinary observation has a short entry.
local function applied_entry(o)
  if byte(o.given, GIVEN_SHORT) == 0 then return 'a' .. entry_of(o) end
  return sub(o.given, GIVEN_SHORT, GIVEN_SHORT_END) .. now_bytes
end

--
-- Writing
--

-- A record in a format of digits: the identity and its date, then registers m, payload and trail.
local function in_digits(identity, observed, m, payload, trail)
  local owner, input_type, labels_text = split(m)
  local format, labels_length = FORMAT, ''
  if labels_text ~= '' then format, labels_length = LABELED_FORMAT, string.format('%04d', #labels_text) end
  return format .. record.identity_digits(identity) .. record.digits(observed, 13) .. record.digits(m.seen, 13)
    .. record.digits(m.epoch, 14) .. m.rank .. string.format('%03d%02d%07d', #owner, #input_type, #payload)
    .. labels_length .. m.registers .. payload .. trail
end

local function in_bytes(identity, observed, m, payload, trail)
  return COMPACT_FORMAT .. identity .. observed .. m.seen .. m.epoch .. m.rank .. m.shape .. record.bytes(#payload, 3)
    .. m.registers .. payload .. trail
end

-- The record of the given observation with registers m. r is the stored record, nil for none.
local function newest(o, observed, m, payload, r)
  local write = o.compact and in_bytes or in_digits
  local trail = o.compact and applied_entry(o) or 'a' .. entry_of(o)
  if r then trail = longer_trail(r, trail, o.compact, sub(o.identity, START, START_END)) end
  if o.compact and m.as_given and payload == o.payload then -- as in_bytes has it, in two pieces
    return sub(o.given, GIVEN_FORMAT, GIVEN_IDENTITY_END) .. observed .. m.seen .. sub(o.given, GIVEN_EPOCH) .. payload .. trail
  end
  return write(o.identity, observed, m, payload, trail)
end

-- The stored record with other registers and one more entry in its trail.
local function renewed(r, m, payload, entry)
  local write = r.compact and in_bytes or in_digits
  return write(r.identity, r.observed, m, payload, longer_trail(r, entry, r.compact, r.start))
end

-- Which members the indexes have, for the answer (apply.lua).
local function form(now_compact, was_compact)
  if now_compact == was_compact then return now_compact and '1' or '0' end
  return now_compact and '2' or '3'
end

-- Stores a record in place of r (nil: none), and enters it into the indexes by its start date.
-- The record comes first, because it may fail and Redis does not roll back.
local function store(o, text, r)
  put(o.key, text, o.expires)
  local member, renamed = member_of(o, o.compact), r and r.compact ~= o.compact
  if o.kind ~= 's' then enter_running(o.p, o.counts, member, o.start) end
  if renamed and o.member ~= o.arn then
    local other = member_of(o, r.compact)
    if o.kind ~= 's' then leave_running(o.p, o.counts, other) end
    with('ZREM', o.p, 'recent', other)
  end
  if renamed or not r or sub(o.identity, START, START_END) ~= indexed(r) then enter_recent(o.p, member, o.start) end
  enter_outputs(o)
end

-- Whether the registers m lack an owner or labels that the omitted input may contain.
local function lacks(o, m)
  if byte(o.given, GIVEN_LEFT_OUT) == 48 then return false end
  local _, _, labels_text = split(m)
  return m.rank == '0' and o.left_out ~= '2' or labels_text == '' and o.left_out ~= '1'
end

local function answer(verdict, rank, form_of, start, owner) return verdict .. rank .. form_of .. start .. owner end

-- The answer for an observation that was applied: it is the state now, with registers m.
local function applied(o, m, rank, was_compact)
  local said = 'a' .. rank .. form(o.compact, was_compact)
  return m.as_given and said or said .. sub(o.identity, START, START_END) .. owner_of(m)
end

-- The answer for a superseded observation: the stored state stays.
local function stays(r) return answer('s', r.rank, form(r.compact, r.compact), indexed(r), owner_of(r)) end

--
-- The steps of a join
--

-- Nothing is known of the execution yet.
local function insert(o)
  if o.stale then
    note_late(o, 'e' .. entry_of(o))
    return answer('e', '0', '0', NO_START, '')
  end
  if o.kind == 'r' and number(o.epoch, 1) < now - SUSPICIOUS then
    o.expires = string.format('%.0f', math.min(o.expires, now + SUSPICIOUS_LIFE))
    suspect(o)
  end
  announce(o.arn)
  o.seen, o.as_given = now_bytes, o.kind ~= 'g'
  store(o, newest(o, now_bytes, o, o.payload))
  if o.kind == 'w' or lacks(o, o) then await(o) end
  if o.kind ~= 'g' then
    count.started(o.p, o.arn, o.counts)
    count.ended(o)
  end
  return o.as_given and applied(o, o, '0', o.compact) or answer('a', '0', form(o.compact, o.compact), o.epoch, owner_of(o))
end

-- Whether a registration is for an earlier execution of the same name. The record comes from a
-- registration too.
local function names_another(o, r)
  local shown = (not r.current or r.payload_end > r.registers_end) and tonumber(sub(r.text, r.registers_end + 1, r.registers_end + DIGITS_START_END), 10)
  return not shown or math.abs(number(o.epoch, 1) - shown) > DAY
end

-- Whether a compact record already has the given registers and epoch, which is usual.
local function has_given(r, o)
  return r.compact and o.kind ~= 'g' and sub(o.given, GIVEN_EPOCH, GIVEN_SHAPE_END) == sub(r.text, COMPACT_EPOCH, COMPACT_LENGTHS + 4)
    and o.registers == r.registers
end

-- Merges the registers. Each is set once, a registration overrides the input, and a missing value
-- erases nothing. An incarnation that began more than a day later has its own registers. In the
-- result, before is the previous rank of the owner, of the same incarnation. as_given is set if
-- the registers and the epoch are the given ones.
local function merge_registers(o, r, age)
  if r.as_given then return r end
  if age > DAY then
    return {seen = now_bytes, epoch = o.epoch, rank = o.rank, shape = o.shape, registers = o.registers, before = '0'}
  end
  local m = {seen = r.seen, epoch = r.epoch, rank = r.rank, shape = r.shape, registers = r.registers, before = r.rank}
  if age < -DAY then return m end
  if o.registers ~= r.registers or o.shape ~= r.shape then
    local owner, input_type, labels_text = split(r)
    local given_owner, given_type, given_labels = split(o)
    if r.rank < o.rank then owner = given_owner end
    if input_type == '' then input_type = given_type end
    unite(m, owner, input_type, labels.join(labels_text, given_labels))
  end
  if r.rank < o.rank then m.rank = o.rank end
  if o.kind ~= 'g' and (age >= 0 or r.start == NO_START) then m.epoch = o.epoch end
  return m
end

local function same_registers(m, r) return m.registers == r.registers and m.shape == r.shape end

-- The given observation is the newer state.
local function replace(o, r, m)
  local observed, payload = now_bytes, o.payload
  if reads_the_same(o, r) and same_registers(m, r) then
    observed = r.observed
    payload = sub(payload, 1, 1) .. sub(r.text, r.registers_end + 2, r.registers_end + 2) .. sub(payload, 3) -- keep its source too
  else
    if output_expired(o) then observed = r.observed end -- when the success was observed
    announce(o.arn)
  end
  store(o, newest(o, observed, m, payload, r), r)
  if o.kind == 's' and runs(r.state) then
    if o.compact == r.compact then leave_running(o.p, o.counts, member_of(o, o.compact)) else leave_running(o.p, o.counts, o.arn, o.member) end
  end
  if o.kind == 'w' or lacks(o, m) then
    await(o)
  elseif succeeded(r.state) and o.state ~= GAVE_UP_OUTPUT and not of_output(o.state) then
    with('ZREM', o.p, 'awaiting', o.arn)
  end
  if succeeded(r.state) and not succeeded(o.state) then leave_outputs(o) end
  return applied(o, m, m.before, r.compact)
end

-- The stored state is the same or newer. It is entered into the indexes again, because an earlier
-- attempt may have stored it and failed after that, while its slot moved.
local function keep(o, r, m)
  if m.rank ~= m.before or m.epoch ~= r.epoch or not same_registers(m, r) then
    announce(o.arn)
    local text = renewed(r, m, sub(r.text, r.registers_end + 1, r.payload_end), 's' .. entry_of(o))
    call('SET', o.key, text, 'KEEPTTL')
    records[o.key] = text
  else
    note(r, 's' .. entry_of(o))
  end
  local member, start = member_of(o, r.compact), record.digits(indexed(r), 14)
  enter_recent(o.p, member, start)
  if o.identity == r.identity then enter_outputs(o) end
  if runs(r.state) then enter_running(o.p, o.counts, member, start) else leave_running(o.p, o.counts, o.arn, o.member) end
  if o.kind == 'v' and sub(o.identity, 1, REDRIVES_END) == sub(r.identity, 1, REDRIVES_END) and floor(o.state / 10) == floor(r.state / 10)
    and call('PTTL', o.key) <= SUSPICIOUS_LIFE then
    call('PEXPIREAT', o.key, o.expires) -- Step Functions confirms its status
  end
  return answer('s', m.before, form(r.compact, r.compact), indexed(r), owner_of(m))
end

return function(key, p, a)
  local o, text = read_given(key, p, a), records[key]
  if not text or text == '' then
    if of_output(o.state) then return answer('e', '0', '0', NO_START, '') end
    return insert(o)
  end
  local r = read_record(key, text)
  if has_given(r, o) then r.as_given, r.before = true, r.rank end
  if o.kind == 'g' and math.abs(o.reported - number(r.epoch, 1)) <= DAY then o.epoch = r.epoch end
  local age = (r.as_given or o.epoch == r.epoch) and 0 or number(o.epoch, 1) - number(r.epoch, 1)

  if o.kind == 'g' and (r.rank == '2' or age > DAY) and owner_of(o) ~= owner_of(r) then
    note(r, 'c' .. entry_of(o))
    return answer('c', r.rank, '0', NO_START, '')
  end
  -- A registration is for one execution. Observations of an earlier execution of the same
  -- name are not reported to its owner, and do not undo the registration.
  if r.start == NO_START and age < -DAY then
    if names_another(o, r) then
      note(r, 's' .. entry_of(o))
      return stays(r)
    end
    age = 0
  end
  local wins = newer(o.identity, r.identity)
  if wins and o.stale then
    remove(o, r.identity)
    note_late(o, 'e' .. entry_of(o))
    return answer('e', r.rank, '0', NO_START, '')
  end
  if of_output(o.state) and not wins then
    if output_expired(r) then leave_outputs(o) end
    return stays(r)
  end
  local m = merge_registers(o, r, age)
  if not wins then
    if age >= -DAY then count.late(o, r.identity) end
    return keep(o, r, m)
  end
  local said = replace(o, r, m)
  if r.start == NO_START or age > DAY then count.started(o.p, o.arn, o.counts) end
  count.ended(o, age <= DAY and r.identity or nil)
  return said
end
