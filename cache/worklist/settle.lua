-- Takes an execution off a list, unless its output is still awaited. The constants are
-- those of the record (layout.go of package cache).
--
-- KEYS  1 record, 2 list
-- ARGV  1 ARN
--       2 1 if the list is of what is awaited, else 0

local state = redis.call('GETRANGE', KEYS[1], IDENTITY + RANK - 2, IDENTITY + COMPLETE - 2)
if ARGV[2] == '1' and state == '6-0' then return 0 end
return redis.call('ZREM', KEYS[2], ARGV[1])
