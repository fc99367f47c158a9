-- Spends a part of an API key's daily limit, or gives some back.
--
-- KEYS  1 the spent part: a hash of day and spent
-- ARGV  1 the limit   2 day on which the returned part was taken, '' to take   3 how many to give back
-- Answers {granted, day, ms until midnight UTC}. Granted is at most a 32nd of the
-- rest, so that many processes share the rest.

local time = redis.call('TIME')
local day = math.floor(time[1] / 86400)
local left_today = (day + 1) * 86400000 - (time[1] * 1000 + math.floor(time[2] / 1000))

local state = redis.call('HMGET', KEYS[1], 'day', 'spent')
local spent = 0
if tonumber(state[1]) == day then spent = tonumber(state[2]) end

local granted = 0
if ARGV[2] == '' then
  local left = tonumber(ARGV[1]) - spent
  if left > 0 then granted = math.max(1, math.floor(left / 32)) end
  spent = spent + granted
elseif tonumber(ARGV[2]) == day then
  spent = math.max(0, spent - tonumber(ARGV[3]))
end
redis.call('HSET', KEYS[1], 'day', day, 'spent', spent)
redis.call('PEXPIRE', KEYS[1], 172800000)
return {granted, day, left_today}
