-- Puts an entry on a list unless the list is full.
--
-- KEYS  1 list: a sorted set by when each entry is due, in ms
-- ARGV  1 entry
--       2 how many entries the list may have
--       3 how long an entry counts, in ms; 0: until it is removed
-- Answers 0 if the entry is on the list now, otherwise after how many ms there is space, or -1

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counts = tonumber(ARGV[3])
if counts > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - counts)) end
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  if counts == 0 then return -1 end
  return math.max(1, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] + counts - now)
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
if counts > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 0
