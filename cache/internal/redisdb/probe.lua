-- Writes what shows that writes are taken.
--
-- KEYS  1 the probe
-- ARGV  1 how long it is kept, in ms
return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
