-- Stores that records were lost, unless an earlier loss is stored.
--
-- KEYS  1 lost: a hash
-- ARGV  1 why
--       2 how many API keys there were; 0 if there are no fewer but older ones; empty if none is lost

local time = redis.call('TIME')
if redis.call('HSETNX', KEYS[1], 'at', time[1] .. string.sub(1000000 + time[2], 2, 4)) == 1 then
  redis.call('HSET', KEYS[1], 'why', ARGV[1], 'running', 1, 'results', 1)
end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'keys', ARGV[2]) end
