-- Counts what executions do, for the questions about many of them. It is in front of
-- apply.lua, whose steps call it: what is counted changes together with the record.
--
-- Each start and each end of an attempt is counted once, whatever is repeated and in which
-- order it comes. What has been counted follows from the record: its start, and the end
-- of its attempt if it has ended. Of earlier attempts, and of executions that were erased,
-- a hash keeps what was counted for as long as the counters are kept (ended, below).
--
-- The keys are those of the partition (redisdb/keynames.go), their form is that of package
-- tally. They are not among KEYS: most calls use few of them, and all share the slot.

local count = {}
do
  local sub, call = string.sub, redis.call
  local HOUR = 3600000
  local none = {}
  -- What happened in this call, by hour. It is counted in the partition of the first of which
  -- there is something to count: readers add the partitions up, and one entry for a call costs
  -- much less than one for each. What follows from indexes and marks of a partition stays there.
  local tallies, tallies_base = {}, nil
  local partitions = {} -- what is counted in this call, by what their keys begin with
  local SMALL = {[-3] = '-3', [-2] = '-2', [-1] = '-1', '1', '2', '3'} -- tostring is slow
  local all_looked = false

  count.off = false -- while the slot moves the counters may be on another node: nothing is counted

  -- The keys of a partition by their names, made when they are first needed.
  local full_names = {__index = function(keys, name)
    local key = keys.base .. name
    keys[name] = key
    return key
  end}

  -- Returns the partition whose keys begin so. Those of a call are best known before anything
  -- is counted.
  function count.partition(base)
    local p = partitions[base]
    if not p then
      p = {base = base, keys = setmetatable({base = base}, full_names)}
      partitions[base] = p
    end
    return p
  end

  -- Looks whether any of the partitions has_ended. Hardly one has.
  local function look_at_all()
    local keys = {}
    for _, p in pairs(partitions) do keys[#keys + 1] = p.keys.ended end
    if call('EXISTS', unpack(keys)) > 0 then return end
    for _, p in pairs(partitions) do p.has_ended = false end
  end

  -- Whether something was counted of executions of the partition that does not follow
  -- from their records.
  local function has_ended(p)
    if p.has_ended == nil and not all_looked then
      all_looked = true
      look_at_all()
    end
    if p.has_ended == nil then p.has_ended = call('EXISTS', p.keys.ended) == 1 end
    return p.has_ended
  end

  local function ended_key(base, arn) return base .. 'ended:' .. sub(redis.sha1hex(arn), 1, 20) end

  -- Notes that an attempt, or with 's' the start, has been counted, and says whether that
  -- is new.
  local function mark(p, arn, what)
    local key, expires = ended_key(p.base, arn), string.format('%.0f', count.now + (KEPT_HOURS + 2) * HOUR)
    local new = call('HSETNX', key, what, '') == 1
    call('PEXPIREAT', key, expires)
    call('SET', p.base .. 'ended', '', 'PXAT', expires)
    p.has_ended = true
    return new
  end

  -- Whether what the record does not show as counted is new.
  local function is_new(p, arn, what)
    if not has_ended(p) or call('EXISTS', ended_key(p.base, arn)) == 0 then return true end
    return mark(p, arn, what)
  end

  -- Has an entry written, which is given with its hour, unless that is no longer kept.
  local function enter(p, given)
    local hour = sub(given, 1, HOUR_DIGITS) -- a text: the Lua of miniredis fills an array up to a number
    local entries = tallies[hour]
    if not entries then
      local now = math.floor(count.now / HOUR)
      if tonumber(hour, 10) < now - KEPT_HOURS or tonumber(hour, 10) > now + 1 then return false end
      entries = {n = 0}
      tallies[hour] = entries
      tallies_base = tallies_base or p.base
    end
    local n = entries.n + 1
    entries.n, entries[n] = n, sub(given, HOUR_DIGITS + 1)
    return true
  end

  -- Whether the attempt of a state has ended, as the API reports it.
  local function ends(identity)
    local state = string.byte(identity, STATE)
    return state >= 30 and state ~= AWAITS_OUTPUT
  end

  local attempt_of = record.redrives

  local EVENT = HOUR_DIGITS + ENTRY_LENGTH

  -- An execution has begun of which nothing had been observed.
  function count.started(p, arn, counts)
    if not count.off and (p.has_ended == false or is_new(p, arn, 's')) then enter(p, sub(counts, 1, EVENT)) end
  end

  local function count_end(p, arn, counts)
    if not enter(p, sub(counts, EVENT + 1, 2 * EVENT)) or #counts <= 2 * EVENT then return end
    local g = 2 * EVENT + MILLIS_DIGITS + 1
    p.failures = p.failures or {}
    table.insert(p.failures, {
      hour = sub(counts, EVENT + 1, EVENT + HOUR_DIGITS), at = sub(counts, 2 * EVENT + 1, g - 1),
      machine = sub(counts, HOUR_DIGITS + 1, HOUR_DIGITS + MACHINE_LENGTH),
      group = sub(counts, g, g + GROUP_LENGTH - 1), cause = sub(counts, g + GROUP_LENGTH),
      name = string.match(arn, '[^:]*$'),
    })
  end

  -- The first attempt has ended, of an execution that ran.
  function count.ran(p, arn, counts)
    if not count.off and (p.has_ended == false or is_new(p, arn, 0)) then count_end(p, arn, counts) end
  end

  -- An attempt may have ended. before is the identity of the state before, nil if there is
  -- none.
  function count.ended(o, before)
    if count.off then return end
    local p = o.p
    local attempt = attempt_of(o.identity)
    if before and ends(before) then
      if attempt_of(before) == attempt then return end
      mark(p, o.arn, attempt_of(before))
    end
    if o.kind == 's' and is_new(p, o.arn, attempt) then count_end(p, o.arn, o.counts) end
  end

  -- The state is older than what is known, of which identity is the identity.
  function count.late(o, identity)
    if count.off or o.stale or o.kind ~= 's' or attempt_of(o.identity) >= attempt_of(identity) then return end
    if mark(o.p, o.arn, attempt_of(o.identity)) then count_end(o.p, o.arn, o.counts) end
  end

  -- The record is removed, of which identity is the identity. What it shows as counted must
  -- not be counted again.
  function count.removed(p, arn, identity)
    if count.off or record.number(identity, START) == 0 then return end
    mark(p, arn, 's')
    if ends(identity) then mark(p, arn, attempt_of(identity)) end
  end

  -- One execution of a state machine more or less runs, as the running index has it.
  function count.runs(p, machine, difference)
    if count.off then return end
    local running = p.running
    if not running then
      running = {}
      p.running = running
    end
    running[machine] = (running[machine] or 0) + difference
  end

  -- Forgets the hours that are no longer kept.
  local function trim(counts)
    local oldest = math.floor(count.now / HOUR) - KEPT_HOURS
    local fields = call('HGETALL', counts)
    for i = 1, #fields, 2 do
      local field = fields[i]
      local kind, hour = sub(field, 1, 1), tonumber(sub(field, 2))
      if (kind == 't' or kind == 'f') and (not hour or hour < oldest) then call('HDEL', counts, field) end
    end
  end

  -- The header of a new tally. Its generation differs from that of one before it that was
  -- lost.
  local function header()
    local generation = math.floor(count.now % 65536)
    return string.char(math.floor(generation / 256), generation % 256) .. string.rep('\0', HEADER_LENGTH - 2)
  end

  local function write_tally(base, hour, entries)
    local key, counts = base .. 'tally:' .. hour, base .. 'counts'
    if call('APPEND', key, entries) == #entries then
      call('SET', key, header() .. entries, 'PXAT', string.format('%.0f', (hour + KEPT_HOURS + 2) * HOUR))
      trim(counts)
    end
    call('HINCRBY', counts, 't' .. hour, '1')
  end

  -- The newest examples of a group with one more, each execution by its newest failure.
  -- Those of the same time are ordered by name, so that the order of arrival does not matter.
  local function more_examples(old, at, name)
    local all = {at .. name}
    for line in string.gmatch(old or '', '[^\n]+') do
      if sub(line, MILLIS_DIGITS + 1) ~= name then
        table.insert(all, line)
      elseif sub(line, 1, MILLIS_DIGITS) > at then
        all[1] = line
      end
    end
    table.sort(all, function(a, b)
      local x, y = sub(a, 1, MILLIS_DIGITS), sub(b, 1, MILLIS_DIGITS)
      if x ~= y then return x > y end
      return redis.sha1hex(a) > redis.sha1hex(b) -- comparing names would follow the locale
    end)
    return table.concat(all, '\n', 1, math.min(#all, MAX_EXAMPLES)) .. '\n'
  end

  local function write_failure(key, f)
    local slot = string.char(65 + math.floor(f.at % HOUR / (HOUR / SLOTS)))
    local stored = call('HMGET', key, 'g' .. f.group, 'e' .. f.group)
    local seen = stored[1]
    local first, last = f.at, f.at
    if seen then
      local from = MACHINE_LENGTH + MILLIS_DIGITS
      first, last = sub(seen, MACHINE_LENGTH + 1, from), sub(seen, from + 1, from + MILLIS_DIGITS)
      if f.at < first then first = f.at end
      if f.at > last then last = f.at end
    else
      local groups = call('HINCRBY', key, 'l' .. f.machine, 1)
      if groups == 1 then call('PEXPIREAT', key, string.format('%.0f', (f.hour + KEPT_HOURS + 2) * HOUR)) end
      if groups > MAX_GROUPS then
        call('HINCRBY', key, 'l' .. f.machine, -1)
        call('HINCRBY', key, 'o' .. f.machine .. slot, 1)
        return
      end
    end
    call('HINCRBY', key, 'n' .. f.group .. slot, 1)
    call('HSET', key, 'g' .. f.group, f.machine .. first .. last .. f.cause, 'e' .. f.group, more_examples(stored[2], f.at, f.name))
  end

  local function write_failures(base, failures)
    local hours = {}
    for _, f in ipairs(failures) do
      hours[f.hour] = true
      write_failure(base .. 'failures:' .. f.hour, f)
    end
    for hour in pairs(hours) do call('HINCRBY', base .. 'counts', 'f' .. hour, 1) end
  end

  -- Writes what was counted in this call.
  function count.write()
    for hour, entries in pairs(tallies) do write_tally(tallies_base, string.gsub(hour, '^0+', ''), table.concat(entries)) end
    for _, p in pairs(partitions) do
      if p.failures then write_failures(p.base, p.failures) end
      for machine, difference in pairs(p.running or none) do
        if difference ~= 0 then call('HINCRBY', p.keys.counts, 'r' .. machine, SMALL[difference] or tostring(difference)) end
      end
    end
  end
end
