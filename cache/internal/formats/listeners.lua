-- Publishes empty messages and counts the receivers.
--
-- KEYS  1 change channel, 2 channel of those that know the format
-- ARGV  1 PUBLISH or SPUBLISH
--
-- Answers the time in ms, the listeners to changes, and those of them that know the compact
-- format.
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call(ARGV[1], KEYS[1], ''), redis.call(ARGV[1], KEYS[2], '')}
