-- Sets when an entry of a list is due, if it is on the list.
--
-- KEYS  1 list: a sorted set by when each entry is due, in ms
-- ARGV  1 entry
--       2 from now, in ms

local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
