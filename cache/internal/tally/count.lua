-- Counts starts and ends of executions, for statistics. This text comes before the scripts that
-- change records. They call it, so that counters and records change together.
--
-- Each start and each end of an attempt is counted once, even if observations are repeated or
-- out of order. The record shows what has been counted: its start, and the end of its attempt if
-- that has ended. For earlier attempts and for erased executions, a hash stores what was counted,
-- for as long as the counters are kept (ended, below).
--
-- The keys are those of the partition (redisdb/keynames.go); tally/doc.go describes their form.
-- They are not in KEYS: most calls use few of them, and all share the slot.

local count = {}
do
  local sub, call = string.sub, redis.call
  local HOUR = 3600000
  local none = {}
  -- The entries of this call, by hour. All are written to the partition of the first one: readers
  -- add the partitions up, and one write for a call costs much less than one for each execution.
  -- Failures, marks and the numbers of running executions stay in their own partitions.
  local tallies, tallies_base = {}, nil
  local partitions = {} -- those of this call, by the beginning of their keys
  local SMALL = {[-3] = '-3', [-2] = '-2', [-1] = '-1', '1', '2', '3'} -- tostring is slow
  local all_looked = false

  count.off = false -- set while the slot moves, because the counters may be on another node

  -- The keys of a partition by their names, made when they are first needed.
  local full_names = {__index = function(keys, name)
    local key = keys.base .. name
    keys[name] = key
    return key
  end}

  -- Returns the partition whose keys begin with base. A script calls it for all its partitions
  -- before it counts anything, so that look_at_all needs one command.
  function count.partition(base)
    local p = partitions[base]
    if not p then
      p = {base = base, keys = setmetatable({base = base}, full_names)}
      partitions[base] = p
    end
    return p
  end

  -- Checks has_ended for all partitions at once. It is rarely true for any.
  local function look_at_all()
    local keys = {}
    for _, p in pairs(partitions) do keys[#keys + 1] = p.keys.ended end
    if call('EXISTS', unpack(keys)) > 0 then return end
    for _, p in pairs(partitions) do p.has_ended = false end
  end

  -- Whether the partition has any marks: something was counted that no record shows.
  local function has_ended(p)
    if p.has_ended == nil and not all_looked then
      all_looked = true
      look_at_all()
    end
    if p.has_ended == nil then p.has_ended = call('EXISTS', p.keys.ended) == 1 end
    return p.has_ended
  end

  local function ended_key(base, arn) return base .. 'ended:' .. sub(redis.sha1hex(arn), 1, 20) end

  -- Marks an attempt, or with 's' the start, as counted, and returns whether the mark is new.
  local function mark(p, arn, what)
    local key, expires = ended_key(p.base, arn), string.format('%.0f', count.now + (KEPT_HOURS + 2) * HOUR)
    local new = call('HSETNX', key, what, '') == 1
    call('PEXPIREAT', key, expires)
    call('SET', p.base .. 'ended', '', 'PXAT', expires)
    p.has_ended = true
    return new
  end

  -- Whether an attempt or a start that the record does not show as counted was not counted before.
  local function is_new(p, arn, what)
    if not has_ended(p) or call('EXISTS', ended_key(p.base, arn)) == 0 then return true end
    return mark(p, arn, what)
  end

  -- Adds an entry, which is given with its hour, to those to write, unless the hour is no longer
  -- kept. Returns whether it did.
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

  -- Whether the API reports that the attempt of a state has ended.
  local function ends(identity)
    local state = string.byte(identity, STATE)
    return state >= 30 and state ~= AWAITS_OUTPUT
  end

  local attempt_of = record.redrives

  local EVENT = HOUR_DIGITS + ENTRY_LENGTH

  -- An execution has begun. Nothing was observed of it before.
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

  -- The first attempt of a running execution has ended.
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

  -- The state is older than the stored one, which has the given identity.
  function count.late(o, identity)
    if count.off or o.stale or o.kind ~= 's' or attempt_of(o.identity) >= attempt_of(identity) then return end
    if mark(o.p, o.arn, attempt_of(o.identity)) then count_end(o.p, o.arn, o.counts) end
  end

  -- The record with the given identity is removed. A change that it shows as counted must not
  -- be counted again.
  function count.removed(p, arn, identity)
    if count.off or record.number(identity, START) == 0 then return end
    mark(p, arn, 's')
    if ends(identity) then mark(p, arn, attempt_of(identity)) end
  end

  -- More or fewer executions of a state machine run, according to the running index.
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

  -- The header of a new tally. Its generation differs from that of an earlier tally that was lost.
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

  -- The newest examples of a group, with one more. Each execution has its newest failure. Examples
  -- of the same time are ordered by a hash, so that the order of arrival does not matter.
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
