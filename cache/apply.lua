-- Joins one observation of an execution, or its registration, with the record.
-- Everything is checked before the first write: Redis does not roll back.
--
-- KEYS  1 record   2 running index   3 recent index   4 change channel
-- ARGV  1 ARN
--       2 version, 24 characters (execution.go)
--       3 hash of the body, 16 hex digits
--       4 epoch: start date in ms, 14 digits; empty in a registration that leaves it to us
--       5 rank of the owner: 0 none, 1 from the input, 2 registered
--       6 owner   7 input type
--       8 payload (codec.go)
--       9 when the record expires, in ms; in a registration how long it is kept, in ms
--      10 running, stopped or registered
--      11 PUBLISH or SPUBLISH
--      12 size of the recent index
-- Answers {verdict, owner, start date in ms, rank of the owner before}, verdict
-- being applied, superseded, expired, or conflict (another owner has it).
--
-- A record is: format of the payload 1 | version 24 | hash 16 | observed at 13 | first seen 13 |
-- epoch 14 | owner rank 1 | owner length 3 | input type length 2 | owner | input type | payload
-- The epoch tells the incarnations of a reused name apart: one that starts more
-- than a day later has registers of its own.

local DAY = 86400000
local SUSPICIOUS = 900000     -- RUNNING older than this and unknown: perhaps a replay of what has expired
local SUSPICIOUS_LIFE = 3600000
local RUNNING_LIFE = 400 * DAY
local HEAD = 87               -- length of the part with fixed widths
local FORMAT = '1'

local record, running, recent, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local arn, version, hash = ARGV[1], ARGV[2], ARGV[3]
local rank, owner, input_type = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local expires, kind = tonumber(ARGV[9]), ARGV[10]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = tonumber(ARGV[4]) or now
if kind == 'registered' then expires = now + expires end

-- As numbers, because comparing strings follows the locale of the server.
local function newer(a_version, a_hash, b_version, b_hash)
  if a_version ~= b_version then
    for _, field in ipairs({{1, 14}, {16, 20}, {22, 22}, {24, 24}}) do
      local a = tonumber(string.sub(a_version, field[1], field[2]))
      local b = tonumber(string.sub(b_version, field[1], field[2]))
      if a ~= b then return a > b end
    end
  end
  for _, first in ipairs({1, 9}) do
    local a = tonumber(string.sub(a_hash, first, first + 7), 16)
    local b = tonumber(string.sub(b_hash, first, first + 7), 16)
    if a ~= b then return a > b end
  end
  return false
end

local function encode(format, v, h, observed, seen, ep, rk, ow, it, payload)
  return string.format('%s%s%s%013d%013d%014d%d%03d%02d', format, v, h, observed, seen, ep, rk, #ow, #it)
    .. ow .. it .. payload
end

local function index(start)
  if kind == 'stopped' then
    redis.call('ZREM', running, arn)
  else
    redis.call('ZADD', running, start, arn)
    redis.call('ZREMRANGEBYSCORE', running, '-inf', now - RUNNING_LIFE)
  end
  if redis.call('ZADD', recent, start, arn) == 1 then
    redis.call('ZREMRANGEBYRANK', recent, 0, -1 - ARGV[12])
  end
end

local function announce() redis.call(ARGV[11], channel, arn) end

local head = redis.call('GETRANGE', record, 0, HEAD + 288)
if #head == 0 then
  if expires <= now then return {'expired', '', 0, 0} end
  if kind == 'running' and epoch < now - SUSPICIOUS then expires = math.min(expires, now + SUSPICIOUS_LIFE) end
  redis.call('SET', record, encode(FORMAT, version, hash, now, now, epoch, rank, owner, input_type, ARGV[8]), 'PXAT', expires)
  index(epoch)
  announce()
  return {'applied', owner, epoch, 0}
end

local old_version, old_hash = string.sub(head, 2, 25), string.sub(head, 26, 41)
local observed, seen = tonumber(string.sub(head, 42, 54)), tonumber(string.sub(head, 55, 67))
local old_epoch, old_rank = tonumber(string.sub(head, 68, 81)), tonumber(string.sub(head, 82, 82))
local owner_length, type_length = tonumber(string.sub(head, 83, 85)), tonumber(string.sub(head, 86, 87))
local old_owner = string.sub(head, HEAD + 1, HEAD + owner_length)
local old_type = string.sub(head, HEAD + owner_length + 1, HEAD + owner_length + type_length)

local old_start = tonumber(string.sub(old_version, 1, 14)) -- 0: only registered

local later_incarnation = epoch > old_epoch + DAY
local earlier_incarnation = epoch < old_epoch - DAY

if kind == 'registered' and owner ~= old_owner and (old_rank == 2 or later_incarnation) then
  return {'conflict', '', 0, old_rank}
end

local wins = newer(version, hash, old_version, old_hash)
if wins and expires <= now then
  redis.call('DEL', record)
  redis.call('ZREM', running, arn)
  redis.call('ZREM', recent, arn)
  announce()
  return {'expired', '', 0, 0}
end

-- The registers: set once, registration before input, absent never erases.
if later_incarnation then
  seen = now
elseif earlier_incarnation then
  epoch, rank, owner, input_type = old_epoch, old_rank, old_owner, old_type
else
  if old_rank >= rank then rank, owner = old_rank, old_owner end
  if old_type ~= '' then input_type = old_type end
  if kind == 'registered' then
    epoch = old_epoch
  elseif old_start > 0 then -- else there was only a registration, and what is observed is exact
    epoch = math.max(epoch, old_epoch)
  end
end

if wins then
  redis.call('SET', record, encode(FORMAT, version, hash, now, seen, epoch, rank, owner, input_type, ARGV[8]), 'PXAT', expires)
  index(tonumber(string.sub(version, 1, 14)))
  announce()
  return {'applied', owner, tonumber(string.sub(version, 1, 14)), old_rank}
end

if rank ~= old_rank or owner ~= old_owner or input_type ~= old_type or epoch ~= old_epoch then
  local payload = redis.call('GETRANGE', record, HEAD + owner_length + type_length, -1)
  redis.call('SET', record, encode(string.sub(head, 1, 1), old_version, old_hash, observed, seen, epoch, rank, owner, input_type, payload), 'KEEPTTL')
  announce()
end
return {'superseded', owner, old_start > 0 and old_start or old_epoch, old_rank}
