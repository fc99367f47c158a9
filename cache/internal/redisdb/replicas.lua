-- Answers whether a replica must confirm a write to this primary, and remembers
-- whether it has had one.
--
-- KEYS  hash of this primary: history, the id of its replication history; seen, when a
--       replica was last online, in ms, 0 for never; looked, when this was last asked
-- ARGV  id of its history now, and of the one before (zeros for none) | for how long it
--       runs, in whole seconds |
--       1 if a replica is online, else 0 |
--       1 if a replica is listed, connected or not, 0 if none, ? if that was not
--       checked | for how long a disconnected replica must be waited for, in ms
-- Answers 1 or 0 and for how much longer a disconnected replica must be waited for, in ms;
--       or -1 if nothing is remembered, so that the caller must check the listed replicas.
--
-- A primary that may not write remembers nothing new, but answers nevertheless.

local history, before, uptime, online, listed, memory = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5], tonumber(ARGV[6])
local time = redis.call('TIME')
local now_text = time[1] .. string.sub(1000000 + time[2], 2, 4)
local now = tonumber(now_text)

local stored = redis.call('HMGET', KEYS[1], 'history', 'seen', 'looked')
local seen, looked = tonumber(stored[2] or '0'), tonumber(stored[3] or '0')

-- After so long without a check, the stored state of the replicas is out of date.
local known = stored[1] and now - looked < memory

local keep = seen
if online then
  keep = now
elseif known and stored[1] == before and now - uptime * 1000 <= looked - 1000 then
  keep = 0 -- it already ran at the last look: a replica that took over, not a restarted primary
elseif not known then
  if listed == '?' then return {-1, 0} end
  keep = listed == '1' and now or 0
end

if history ~= stored[1] or keep ~= seen or now - looked > 1000 then
  redis.pcall('HSET', KEYS[1], 'history', history, 'seen', string.format('%.0f', keep), 'looked', now_text)
end
if online then return {1, 0} end
local left = keep + memory - now
if left <= 0 then return {0, 0} end
return {1, left}
