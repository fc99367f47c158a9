-- Counts the running executions of each state machine again, from the running index of a
-- partition: an older release changes the index without counting, and records expire.
--
-- KEYS  1 running index, 2 counts (tally/doc.go)
-- ARGV  1 how long a count is valid, in ms
-- Answers 1 if it has counted, 0 if the last count is still valid

local call, sub = redis.call, string.sub
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counted = tonumber(call('HGET', KEYS[2], 'c') or 0)
if now >= counted and now - counted < tonumber(ARGV[1]) then return 0 end

-- Returns the short name of the state machine of an ARN or a short form.
local names = {}
local function machine_of(arn)
  if sub(arn, 1, 4) ~= 'arn:' then return sub(arn, 2, 1 + MACHINE_LENGTH) end
  local head, machine = string.match(arn, '^([^:]*:[^:]*:[^:]*:[^:]*:[^:]*:)[^:]*:([^:]*):')
  if not head then return nil end
  local name = head .. 'stateMachine:' .. machine
  if not names[name] then
    local hex = sub(redis.sha1hex(name), 1, 2 * MACHINE_LENGTH)
    names[name] = string.gsub(hex, '..', function(byte) return string.char(tonumber(byte, 16)) end)
  end
  return names[name]
end

local running = {}
for _, arn in ipairs(call('ZRANGE', KEYS[1], 0, -1)) do
  local machine = machine_of(arn)
  if machine then running[machine] = (running[machine] or 0) + 1 end
end
local fields = call('HGETALL', KEYS[2])
for i = 1, #fields, 2 do
  local machine = sub(fields[i], 2)
  if sub(fields[i], 1, 1) == 'r' and not running[machine] then call('HDEL', KEYS[2], fields[i]) end
end
for machine, n in pairs(running) do call('HSET', KEYS[2], 'r' .. machine, n) end
call('HSET', KEYS[2], 'c', string.format('%.0f', now))
return 1
