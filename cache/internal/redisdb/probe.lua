-- Writes a probe, to show that Redis accepts writes.
--
-- KEYS  1 the probe
-- ARGV  1 how long it is kept, in ms
return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
