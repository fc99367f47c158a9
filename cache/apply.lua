-- Joins observations of executions, or their registrations, with the records.
-- All keys are on one node and, on a cluster, in one slot. Each is joined on its
-- own: an error of one leaves the others as they are.
--
-- With the record of one as the only key it joins that and leaves the rest to its
-- caller: the slot is on its way to another node, and so may be the other keys.
--
-- KEYS  for each: record, running index, recent index, change channel, and of the
--       partition what is awaited, what is doubted, what came too late (keys.go)
-- ARGV  for each:
--        1 ARN
--        2 version, 24 characters (execution.go), and hash of the body, 16 hex digits |
--          epoch: start date in ms, 14 digits, zero in a registration that does not tell it |
--          rank of the owner: 0 none, 1 from the input, 2 registered |
--          kind: r running, v running as Step Functions says now, w stopped with the output to be
--          fetched, s stopped, g registered |
--          1 if the input was left out, so that the owner is to be asked for, else 0 |
--          lengths of owner and input type, 3 and 2 digits | owner | input type
--        3 payload (codec.go)
--        4 when the record expires, in ms; in a registration how long it is kept, in ms
--        5 what the trail is to keep of it (trail.go)
--       and at the end PUBLISH or SPUBLISH, and the size of the recent index
-- Answers for each a text:
--        a applied, s superseded, e expired or c conflict (another owner has it) |
--        rank of the owner before, of the same incarnation | start date in ms, 14 digits | owner
--      or f | why it failed
--
-- A record is: format 2 | version 24 | hash 16 | observed at 13 | first seen 13 |
-- epoch 14 | owner rank 1 | owner length 3 | input type length 2 | payload length 7 |
-- owner | input type | payload | trail
-- In format 1 there is no payload length, and no trail.
-- The epoch tells the incarnations of a reused name apart: those that start more
-- than a day apart have registers of their own. In a registration it is the date
-- that was told only if that is plausible; the payload is the date to be shown.

local KEYS_EACH, ARGS_EACH = 7, 5
local DAY = 86400000
local SUSPICIOUS = 900000 -- RUNNING older than this and unknown: perhaps a replay of what has expired
local SUSPICIOUS_LIFE = 3600000
local RUNNING_LIFE = 400 * DAY
local FORMAT = '2'
local HEAD = 94           -- length of the part with fixed widths
local LOOK = 1024         -- what is read of a record at first: more than the head, and all of most that run
local TRAIL_ENTRY = 53    -- length of an entry of the trail
local TRAIL_KEPT = 16     -- entries
local LATE_KEPT = 256     -- observations that came too late
local DOUBTS_KEPT = 10000
local TRIM_ONE_IN = 16    -- indexes may be a little too long
local NO_START = '00000000000000'

local sub, call = string.sub, redis.call
local alone = #KEYS == 1
local publish, recent_size = ARGV[#ARGV - 1], ARGV[#ARGV]

local time = call('TIME')
local now_text = time[1] .. sub(1000000 + time[2], 2, 4)
local now = tonumber(now_text)

local function part(a, b, first, last, base)
  return tonumber(sub(a, first, last), base), tonumber(sub(b, first, last), base)
end

-- Compares versions, then hashes. As numbers, because comparing strings follows
-- the locale of the server.
local function newer(a, b)
  if a == b then return false end
  local x, y = part(a, b, 1, 14, 10)
  if x == y then x, y = part(a, b, 16, 20, 10) end
  if x == y then x, y = part(a, b, 22, 22, 10) end
  if x == y then x, y = part(a, b, 24, 24, 10) end
  if x == y then x, y = part(a, b, 25, 32, 16) end
  if x == y then x, y = part(a, b, 33, 40, 16) end
  return x > y
end

-- Whether the state is a success whose output is still to be fetched. Readers
-- are told RUNNING.
local function awaits(identity) return sub(identity, 22, 24) == '6-0' end

-- Whether the state is indexed as running.
local function runs(identity) return sub(identity, 22, 22) < '3' or awaits(identity) end

-- Whether readers are told the same of an execution that awaits its output as
-- they were told when it ran.
local function tells_the_same(identity, old)
  return awaits(identity) and sub(old, 22, 24) == '1-2'
    and sub(identity, 1, 20) == sub(old, 1, 20) and sub(identity, 25) == sub(old, 25)
end

local trims = tonumber(time[2]) % TRIM_ONE_IN == 0

-- What changed, by channel. It is announced at the end, once a channel.
local changes = {}

local function announce(k, arn)
  if alone then return end
  local channel = KEYS[k + 4]
  changes[channel] = changes[channel] and changes[channel] .. '\n' .. arn or arn
end

-- Does something to a key that is not a record.
local function index(command, key, ...)
  if not alone then call(command, KEYS[key], ...) end
end

local function enter_running(k, arn, start)
  index('ZADD', k + 2, start, arn)
  if trims then index('ZREMRANGEBYSCORE', k + 2, '-inf', string.format('%.0f', now - RUNNING_LIFE)) end
end

local function enter_recent(k, arn, start)
  index('ZADD', k + 3, start, arn)
  if trims then index('ZREMRANGEBYRANK', k + 3, 0, -1 - recent_size) end
end

-- Stores a record and enters it into the indexes. Nothing has been written
-- before: Redis does not roll back. indexed is the start date by which the recent
-- index has it already.
local function store(k, arn, text, expires, start, kind, indexed)
  call('SET', KEYS[k + 1], text, 'PXAT', expires)
  if kind ~= 's' then enter_running(k, arn, start) end
  if start ~= indexed then enter_recent(k, arn, start) end
end

-- Enters a record that stays as it is into the indexes: an attempt before may have
-- stored it and ended there, while its slot moved.
local function enter_again(k, arn, identity, start)
  enter_recent(k, arn, start)
  if runs(identity) then enter_running(k, arn, start) else index('ZREM', k + 2, arn) end
end

-- Enters an execution among those that Step Functions is to be asked about, as
-- what is awaited or as what is doubted.
local function await_output(k, arn) index('ZADD', k + 5, 'NX', now_text, arn) end

local function doubt(k, arn)
  index('ZADD', k + 6, 'NX', now_text, arn)
  if trims then index('ZREMRANGEBYRANK', k + 6, DOUBTS_KEPT, -1) end
end

-- Keeps in mind an observation that came too late to be kept.
local function note_late(k, arn, entry)
  index('RPUSH', k + 7, entry .. arn)
  if trims then index('LTRIM', k + 7, -LATE_KEPT, -1) end
end

-- Adds to the trail of a record what has changed nothing else. Where that is full
-- the last entry gives way, or the one before it if the last is that of the state:
-- how it came to that, and when, must still be seen.
local function note(k, head, payload_end, entry)
  if sub(head, 1, 1) ~= FORMAT then return end
  local length = #head < LOOK and #head or call('STRLEN', KEYS[k + 1])
  local kept = length - payload_end
  if kept < TRAIL_KEPT * TRAIL_ENTRY then
    call('APPEND', KEYS[k + 1], entry)
  else
    local last = payload_end + (TRAIL_KEPT - 1) * TRAIL_ENTRY
    if call('GETRANGE', KEYS[k + 1], last, last) == 'a' then last = last - TRAIL_ENTRY end
    call('SETRANGE', KEYS[k + 1], last, entry)
  end
end

-- The trail of a record with one more entry.
local function longer_trail(k, head, payload_end, entry)
  if sub(head, 1, 1) ~= FORMAT then return entry end
  local trail = #head < LOOK and sub(head, payload_end + 1) or call('GETRANGE', KEYS[k + 1], payload_end, -1)
  return sub(trail, -(TRAIL_KEPT - 1) * TRAIL_ENTRY) .. entry
end

local function forget(k, arn)
  announce(k, arn)
  call('DEL', KEYS[k + 1])
  for i = 2, 3 do index('ZREM', k + i, arn) end
  for i = 5, 6 do index('ZREM', k + i, arn) end
end

local function join(k, a)
  local arn, given, payload, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local identity, epoch, rank, kind = sub(given, 1, 40), sub(given, 41, 54), sub(given, 55, 55), sub(given, 56, 56)
  local lengths, registers = sub(given, 58, 62), sub(given, 63)
  local wants_owner = sub(given, 57, 57) == '1'
  local entry = ARGV[a + 5] .. now_text -- of the trail, behind the verdict
  local told = tonumber(epoch)
  if kind == 'g' then
    expires = string.format('%.0f', now + expires)
    if math.abs(told - now) > DAY then epoch = '0' .. now_text end
  end
  local stale = tonumber(expires) <= now

  local head = call('GETRANGE', KEYS[k + 1], 0, LOOK - 1)
  if head == '' then
    if stale then
      note_late(k, arn, 'e' .. entry)
      return 'e0' .. NO_START
    end
    if kind == 'r' and tonumber(epoch) < now - SUSPICIOUS then
      expires = string.format('%.0f', math.min(expires, now + SUSPICIOUS_LIFE))
      doubt(k, arn)
    end
    announce(k, arn)
    store(k, arn, FORMAT .. identity .. now_text .. now_text .. epoch .. rank .. lengths
      .. string.format('%07d', #payload) .. registers .. payload .. 'a' .. entry, expires, epoch, kind)
    if kind == 'w' or wants_owner and rank == '0' then await_output(k, arn) end
    return 'a0' .. epoch .. sub(registers, 1, tonumber(sub(lengths, 1, 3)))
  end

  local owner_length = tonumber(sub(lengths, 1, 3))
  local owner, input_type = sub(registers, 1, owner_length), sub(registers, owner_length + 1)

  local format = sub(head, 1, 1)
  if format ~= '1' and format ~= FORMAT then error('its record is of a format that this release does not know') end
  local fixed = format == FORMAT and HEAD or HEAD - 7
  local old, old_rank, old_lengths = sub(head, 2, 41), sub(head, 82, 82), sub(head, 83, 87)
  local owner_end = fixed + tonumber(sub(old_lengths, 1, 3))
  local type_end = owner_end + tonumber(sub(old_lengths, 4, 5))
  local payload_end = format == FORMAT and type_end + tonumber(sub(head, 88, 94)) or type_end
  local old_owner, old_type = sub(head, fixed + 1, owner_end), sub(head, owner_end + 1, type_end)
  local old_epoch, old_start = sub(head, 68, 81), sub(old, 1, 14)
  local indexed = old_start == NO_START and old_epoch or old_start
  if kind == 'g' and math.abs(told - old_epoch) <= DAY then epoch = old_epoch end
  local age = tonumber(epoch) - tonumber(old_epoch)

  if kind == 'g' and owner ~= old_owner and (old_rank == '2' or age > DAY) then
    note(k, head, payload_end, 'c' .. entry)
    return 'c' .. old_rank .. NO_START
  end

  -- A registration speaks of one execution. What an earlier one of the same name
  -- did is not told to its owner, and does not undo it.
  if old_start == NO_START and age < -DAY then
    local shown = (format ~= FORMAT or payload_end > type_end) and tonumber(sub(head, type_end + 1, type_end + #NO_START))
    if not shown or math.abs(epoch - shown) > DAY then
      note(k, head, payload_end, 's' .. entry)
      return 's' .. old_rank .. indexed .. old_owner
    end
    age = 0
  end

  local wins = newer(identity, old)
  if wins and stale then
    forget(k, arn)
    note_late(k, arn, 'e' .. entry)
    return 'e' .. old_rank .. NO_START
  end

  -- The registers: set once, registration before input, absent never erases.
  local seen = sub(head, 55, 67)
  if age > DAY then
    seen, old_rank = now_text, '0'
  elseif age < -DAY then
    epoch, rank, owner, input_type, lengths = old_epoch, old_rank, old_owner, old_type, old_lengths
  else
    if old_rank >= rank then rank, owner = old_rank, old_owner end
    if old_type ~= '' then input_type = old_type end
    lengths = string.format('%03d%02d', #owner, #input_type)
    if kind == 'g' or age < 0 and old_start ~= NO_START then epoch = old_epoch end
  end

  if wins then
    local start, observed = sub(identity, 1, 14), now_text
    if tells_the_same(identity, old) and owner == old_owner and input_type == old_type then
      observed = sub(head, 42, 54)
      payload = sub(payload, 1, 1) .. sub(head, type_end + 2, type_end + 2) .. sub(payload, 3)
    else
      announce(k, arn)
    end
    store(k, arn, FORMAT .. identity .. observed .. seen .. epoch .. rank .. lengths .. string.format('%07d', #payload)
      .. owner .. input_type .. payload .. longer_trail(k, head, payload_end, 'a' .. entry), expires, start, kind, indexed)
    if kind == 's' and runs(old) then index('ZREM', k + 2, arn) end
    if kind == 'w' or wants_owner and rank == '0' then
      await_output(k, arn)
    elseif sub(old, 22, 22) == '6' and sub(identity, 22, 24) ~= '6-1' then
      index('ZREM', k + 5, arn)
    end
    return 'a' .. old_rank .. start .. owner
  end
  if rank ~= old_rank or owner ~= old_owner or input_type ~= old_type or epoch ~= old_epoch then
    announce(k, arn)
    local body = call('GETRANGE', KEYS[k + 1], type_end, format == FORMAT and payload_end - 1 or -1)
    call('SET', KEYS[k + 1], FORMAT .. sub(head, 2, 54) .. seen .. epoch .. rank .. lengths .. string.format('%07d', #body)
      .. owner .. input_type .. body .. longer_trail(k, head, payload_end, 's' .. entry), 'KEEPTTL')
  else
    note(k, head, payload_end, 's' .. entry)
  end
  enter_again(k, arn, old, indexed)
  if kind == 'v' and sub(identity, 1, 22) == sub(old, 1, 22) and call('PTTL', KEYS[k + 1]) <= SUSPICIOUS_LIFE then
    call('PEXPIREAT', KEYS[k + 1], expires) -- it runs after all
  end
  return 's' .. old_rank .. indexed .. owner
end

local answers = {}
for i = 0, math.max(1, #KEYS / KEYS_EACH) - 1 do
  local ok, answer = pcall(join, i * KEYS_EACH, i * ARGS_EACH)
  if not ok then
    answer = 'f' .. (type(answer) == 'table' and answer.err or tostring(answer))
  end
  answers[i + 1] = answer
end
for channel, arns in pairs(changes) do call(publish, channel, arns) end
return answers
