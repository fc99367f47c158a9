-- Joins observations of executions, or their registrations, with the records.
-- All keys are on one node and, on a cluster, in one slot. Each is joined on its
-- own: an error of one leaves the others as they are.
--
-- KEYS  for each: record, running index, recent index, change channel
-- ARGV  for each:
--        1 ARN
--        2 version, 24 characters (execution.go), and hash of the body, 16 hex digits |
--          epoch: start date in ms, 14 digits, zero in a registration that does not tell it |
--          rank of the owner: 0 none, 1 from the input, 2 registered |
--          kind: r running, s stopped, g registered |
--          lengths of owner and input type, 3 and 2 digits | owner | input type
--        3 payload (codec.go)
--        4 when the record expires, in ms; in a registration how long it is kept, in ms
--       and at the end PUBLISH or SPUBLISH, and the size of the recent index
-- Answers for each a text:
--        a applied, s superseded, e expired or c conflict (another owner has it) |
--        rank of the owner before, of the same incarnation | start date in ms, 14 digits | owner
--      or f | why it failed
--
-- A record is: format of the payload 1 | version 24 | hash 16 | observed at 13 | first seen 13 |
-- epoch 14 | owner rank 1 | owner length 3 | input type length 2 | owner | input type | payload
-- The epoch tells the incarnations of a reused name apart: those that start more
-- than a day apart have registers of their own. In a registration it is the date
-- that was told only if that is plausible; the payload is the date to be shown.

local KEYS_EACH, ARGS_EACH = 4, 4
local DAY = 86400000
local SUSPICIOUS = 900000 -- RUNNING older than this and unknown: perhaps a replay of what has expired
local SUSPICIOUS_LIFE = 3600000
local RUNNING_LIFE = 400 * DAY
local FORMAT = '1'
local HEAD = 87           -- length of the part with fixed widths
local REGISTERS = 288     -- length of owner and input type at most
local TRIM_ONE_IN = 16    -- indexes may be a little too long
local NO_START = '00000000000000'

local sub, call = string.sub, redis.call
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

-- Whether the state is indexed as running: by its rank, or because readers are
-- told RUNNING until the output is there.
local function runs(identity)
  return sub(identity, 22, 22) < '3' or sub(identity, 22, 24) == '6-0'
end

local trims = tonumber(time[2]) % TRIM_ONE_IN == 0

-- What changed, by channel. It is announced at the end, once a channel.
local changes = {}

local function announce(k, arn)
  local channel = KEYS[k + 4]
  changes[channel] = changes[channel] and changes[channel] .. '\n' .. arn or arn
end

-- Stores a record, enters it into the indexes and has it announced. Nothing has
-- been written before: Redis does not roll back. indexed is the start date by
-- which the recent index has it already.
local function store(k, arn, text, expires, start, kind, indexed)
  announce(k, arn)
  call('SET', KEYS[k + 1], text, 'PXAT', expires)
  if kind ~= 's' then
    call('ZADD', KEYS[k + 2], start, arn)
    if trims then call('ZREMRANGEBYSCORE', KEYS[k + 2], '-inf', string.format('%.0f', now - RUNNING_LIFE)) end
  end
  if start ~= indexed then
    call('ZADD', KEYS[k + 3], start, arn)
    if trims then call('ZREMRANGEBYRANK', KEYS[k + 3], 0, -1 - recent_size) end
  end
end

local function forget(k, arn)
  announce(k, arn)
  call('DEL', KEYS[k + 1])
  call('ZREM', KEYS[k + 2], arn)
  call('ZREM', KEYS[k + 3], arn)
end

local function join(k, a)
  local arn, given, payload, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local identity, epoch, rank, kind = sub(given, 1, 40), sub(given, 41, 54), sub(given, 55, 55), sub(given, 56, 56)
  local lengths, registers = sub(given, 57, 61), sub(given, 62)
  local told = tonumber(epoch)
  if kind == 'g' then
    expires = string.format('%.0f', now + expires)
    if math.abs(told - now) > DAY then epoch = '0' .. now_text end
  end
  local stale = tonumber(expires) <= now

  local head = call('GETRANGE', KEYS[k + 1], 0, HEAD + REGISTERS + #NO_START)
  if head == '' then
    if stale then return 'e0' .. NO_START end
    if kind == 'r' and tonumber(epoch) < now - SUSPICIOUS then
      expires = string.format('%.0f', math.min(expires, now + SUSPICIOUS_LIFE))
    end
    store(k, arn, FORMAT .. identity .. now_text .. now_text .. epoch .. rank .. lengths
      .. registers .. payload, expires, epoch, kind)
    return 'a0' .. epoch .. sub(registers, 1, tonumber(sub(lengths, 1, 3)))
  end

  local owner_length = tonumber(sub(lengths, 1, 3))
  local owner, input_type = sub(registers, 1, owner_length), sub(registers, owner_length + 1)

  local old, old_rank, old_lengths = sub(head, 2, 41), sub(head, 82, 82), sub(head, 83, 87)
  local owner_end = HEAD + tonumber(sub(old_lengths, 1, 3))
  local type_end = owner_end + tonumber(sub(old_lengths, 4, 5))
  local old_owner, old_type = sub(head, HEAD + 1, owner_end), sub(head, owner_end + 1, type_end)
  local old_epoch, old_start = sub(head, 68, 81), sub(old, 1, 14)
  local indexed = old_start == NO_START and old_epoch or old_start
  if kind == 'g' and math.abs(told - old_epoch) <= DAY then epoch = old_epoch end
  local age = tonumber(epoch) - tonumber(old_epoch)

  if kind == 'g' and owner ~= old_owner and (old_rank == '2' or age > DAY) then
    return 'c' .. old_rank .. NO_START
  end

  -- A registration speaks of one execution. What an earlier one of the same name
  -- did is not told to its owner, and does not undo it.
  if old_start == NO_START and age < -DAY then
    local shown = tonumber(sub(head, type_end + 1, type_end + #NO_START))
    if not shown or math.abs(epoch - shown) > DAY then return 's' .. old_rank .. indexed .. old_owner end
    age = 0
  end

  local wins = newer(identity, old)
  if wins and stale then
    forget(k, arn)
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
    local start = sub(identity, 1, 14)
    store(k, arn, FORMAT .. identity .. now_text .. seen .. epoch .. rank .. lengths
      .. owner .. input_type .. payload, expires, start, kind, indexed)
    if kind == 's' and runs(old) then call('ZREM', KEYS[k + 2], arn) end
    return 'a' .. old_rank .. start .. owner
  end
  if rank ~= old_rank or owner ~= old_owner or input_type ~= old_type or epoch ~= old_epoch then
    announce(k, arn)
    call('SET', KEYS[k + 1], sub(head, 1, 54) .. seen .. epoch .. rank .. lengths .. owner .. input_type
      .. call('GETRANGE', KEYS[k + 1], type_end, -1), 'KEEPTTL')
  end
  return 's' .. old_rank .. indexed .. owner
end

local answers = {}
for i = 0, #KEYS / KEYS_EACH - 1 do
  local ok, answer = pcall(join, i * KEYS_EACH, i * ARGS_EACH)
  if not ok then
    answer = 'f' .. (type(answer) == 'table' and answer.err or tostring(answer))
  end
  answers[i + 1] = answer
end
for channel, arns in pairs(changes) do call(publish, channel, arns) end
return answers
