-- Removes an execution from a list, unless its output is still awaited. The constants are
-- those of the record (luaconstants.go and record.lua of package cache).
--
-- KEYS  1 record, 2 list
-- ARGV  1 ARN
--       2 1 if it is the awaited list, otherwise 0

local head = redis.call('GETRANGE', KEYS[1], 0, IDENTITY_END - 1)
if ARGV[2] == '1' and record.known(head) and string.byte(record.identity(head), STATE) == AWAITS_OUTPUT then return 0 end
return redis.call('ZREM', KEYS[2], ARGV[1])
