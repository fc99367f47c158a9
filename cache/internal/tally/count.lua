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
  local partitions = {} -- what is counted in this call, by the beginning of the keys
  local alone = #KEYS == 1 -- the slot moves, and the counters may be on another node: nothing is counted

  local function partition_of(o)
    local base = sub(KEYS[o.k + 2], 1, -1 - #'running')
    local p = partitions[base]
    if not p then
      p = {tallies = {}, running = {}, failures = {}}
      partitions[base] = p
    end
    return p, base
  end

  -- Whether something was counted of executions of the partition that does not follow
  -- from their records.
  local function has_ended(p, base)
    if p.has_ended == nil then p.has_ended = call('EXISTS', base .. 'ended') == 1 end
    return p.has_ended
  end

  local function ended_key(base, arn) return base .. 'ended:' .. sub(redis.sha1hex(arn), 1, 20) end

  -- Notes that an attempt, or with 's' the start, has been counted, and says whether that
  -- is new.
  local function mark(p, base, arn, what)
    local key, expires = ended_key(base, arn), string.format('%.0f', count.now + (KEPT_HOURS + 2) * HOUR)
    local new = call('HSETNX', key, what, '') == 1
    call('PEXPIREAT', key, expires)
    call('SET', base .. 'ended', '', 'PXAT', expires)
    p.has_ended = true
    return new
  end

  -- Whether what the record does not show as counted is new.
  local function is_new(p, base, arn, what)
    if not has_ended(p, base) or call('EXISTS', ended_key(base, arn)) == 0 then return true end
    return mark(p, base, arn, what)
  end

  -- Has an entry written, which is given with its hour, unless that is no longer kept.
  local function enter(p, given)
    local hour = sub(given, 1, HOUR_DIGITS) -- a text: the Lua of miniredis fills an array up to a number
    local now = math.floor(count.now / HOUR)
    if tonumber(hour) < now - KEPT_HOURS or tonumber(hour) > now + 1 then return false end
    local entry = sub(given, HOUR_DIGITS + 1)
    p.tallies[hour] = p.tallies[hour] and p.tallies[hour] .. entry or entry
    return true
  end

  -- Whether the attempt of a state has ended, as the API reports it.
  local function ends(identity) return sub(identity, RANK, RANK) >= '3' and sub(identity, RANK, COMPLETE) ~= '6-0' end

  local function attempt_of(identity) return tonumber(sub(identity, REDRIVE, REDRIVE_END)) end

  local EVENT = HOUR_DIGITS + ENTRY_LENGTH

  -- An execution has begun of which nothing had been observed.
  function count.started(o)
    if alone then return end
    local p, base = partition_of(o)
    if is_new(p, base, o.arn, 's') then enter(p, sub(o.counts, 1, EVENT)) end
  end

  local function count_end(p, o)
    if not enter(p, sub(o.counts, EVENT + 1, 2 * EVENT)) or #o.counts <= 2 * EVENT then return end
    local g = 2 * EVENT + MILLIS_DIGITS + 1
    table.insert(p.failures, {
      hour = sub(o.counts, EVENT + 1, EVENT + HOUR_DIGITS), at = sub(o.counts, 2 * EVENT + 1, g - 1),
      machine = sub(o.counts, HOUR_DIGITS + 1, HOUR_DIGITS + MACHINE_LENGTH),
      group = sub(o.counts, g, g + GROUP_LENGTH - 1), cause = sub(o.counts, g + GROUP_LENGTH),
      name = string.match(o.arn, '[^:]*$'),
    })
  end

  -- An attempt may have ended. before is the identity of the state before, nil if there is
  -- none.
  function count.ended(o, before)
    if alone then return end
    local p, base = partition_of(o)
    local attempt = attempt_of(o.identity)
    if before and ends(before) then
      if attempt_of(before) == attempt then return end
      mark(p, base, o.arn, attempt_of(before))
    end
    if o.kind == 's' and is_new(p, base, o.arn, attempt) then count_end(p, o) end
  end

  -- The state is older than what is known, of which identity is the identity.
  function count.late(o, identity)
    if alone or o.stale or o.kind ~= 's' or attempt_of(o.identity) >= attempt_of(identity) then return end
    local p, base = partition_of(o)
    if mark(p, base, o.arn, attempt_of(o.identity)) then count_end(p, o) end
  end

  -- The record is removed, of which identity is the identity. What it shows as counted must
  -- not be counted again.
  function count.removed(k, arn, identity)
    if alone or tonumber(sub(identity, START, START_END)) == 0 then return end
    local p, base = partition_of({k = k})
    mark(p, base, arn, 's')
    if ends(identity) then mark(p, base, arn, attempt_of(identity)) end
  end

  -- One execution of a state machine more or less runs, as the running index has it.
  function count.runs(k, machine, difference)
    if alone then return end
    local p = partition_of({k = k})
    p.running[machine] = (p.running[machine] or 0) + difference
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
    call('HINCRBY', counts, 't' .. hour, 1)
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
    for base, p in pairs(partitions) do
      for hour, entries in pairs(p.tallies) do write_tally(base, string.format('%.0f', tonumber(hour)), entries) end
      write_failures(base, p.failures)
      for machine, difference in pairs(p.running) do
        if difference ~= 0 then call('HINCRBY', base .. 'counts', 'r' .. machine, difference) end
      end
    end
  end
end

