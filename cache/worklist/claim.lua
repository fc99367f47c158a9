-- Takes a lease on an entry of a list that is due, by postponing it.
--
-- KEYS  1 list: a sorted set by when each entry is due, in ms
-- ARGV  1 entry
--       2 lease in ms
-- Answers {the time now, the time when it was due}, in ms; {} if it is not due or another process was faster

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > now then return {} end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return {now, math.floor(tonumber(due))}
