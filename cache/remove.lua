-- Removes an execution if its record meets the condition.
--
-- KEYS  1 record, 2 running index, 3 recent index, 4 and 5 the lists of executions to describe
--       (awaited and mismatched), 6 change channel, 7 index of outputs
-- ARGV  1 ARN
--       2 PUBLISH or SPUBLISH
--       3 condition: version (the record has this version), owner (the record has this owner)
--         or absent (there is no record)
--       4 the version, in bytes, or the owner; unused for absent
--       5 short name of the state machine in the counters (tally/doc.go)
--       6 member of the indexes if the record is compact (internal/shortname)
-- Answers 1 if the condition is met, otherwise 0
--
-- Without a record only the indexes are cleaned: the execution may still have to be described,
-- and readers see no change. The constants of the record are those of luaconstants.go.

local arn, publish, condition, value, machine, member = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local time = redis.call('TIME')
count.now = time[1] * 1000 + math.floor(time[2] / 1000)

local partition = count.partition(string.sub(KEYS[2], 1, -1 - #'running'))

local head = redis.call('GETRANGE', KEYS[1], 0, LABELED_HEAD + #value - 1)

local function version_is()
  return record.known(head) and string.sub(record.identity(head), 1, STATE) == value
end

local function owner_is()
  if not record.known(head) then return false end
  local length, _, _, _, fixed = record.lengths(head)
  return length == #value and string.sub(head, fixed + 1, fixed + #value) == value
end

local function holds()
  if condition == 'version' then return version_is() end
  if condition == 'owner' then return owner_is() end
  return head == ''
end

if not holds() then return 0 end
local left = redis.call('ZREM', KEYS[2], arn, member)
if left > 0 then count.runs(partition, machine, -left) end
redis.call('ZREM', KEYS[3], arn, member)
redis.call('ZREM', KEYS[7], arn)
if condition ~= 'absent' then count.removed(partition, arn, record.identity(head)) end
pcall(count.write) -- a fault of the counters must not prevent the removal
if condition == 'absent' then return 1 end
for i = 4, 5 do redis.call('ZREM', KEYS[i], arn) end
redis.call('DEL', KEYS[1])
redis.call(publish, KEYS[6], arn)
return 1
