-- Removes executions from the examples of failures in an hour.
--
-- KEYS  1 failures of the hour, 2 counts of the partition (tally/doc.go)
-- ARGV  1 hour, then for each execution the short name of its state machine and its name

local gone = {}
for i = 2, #ARGV do gone[ARGV[i]] = true end

local fields = redis.call('HGETALL', KEYS[1])
local machines = {}
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 1) == 'g' then
    machines[string.sub(fields[i], 2)] = string.sub(fields[i + 1], 1, MACHINE_LENGTH)
  end
end

local changed = false
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 1) == 'e' then
    local machine, left = machines[string.sub(fields[i], 2)] or '', {}
    for line in string.gmatch(fields[i + 1], '[^\n]+') do
      if not gone[machine .. string.sub(line, MILLIS_DIGITS + 1)] then table.insert(left, line .. '\n') end
    end
    local text = table.concat(left)
    if text ~= fields[i + 1] then
      redis.call('HSET', KEYS[1], fields[i], text)
      changed = true
    end
  end
end
if changed then redis.call('HINCRBY', KEYS[2], 'f' .. ARGV[1], 1) end
return 1
