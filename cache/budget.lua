-- Books a call of a budget that all processes share, or stops it for a while
-- because AWS throttles.
--
-- KEYS  1 the budget: a hash of next (when the next call may be made, in ms), until
--         (none may be made before, in ms) and strikes (how often AWS throttled in a row)
-- ARGV  1 what: take, throttled or passed
--       2 take: ms between two calls; throttled: the first pause, in ms, of which each in a row is twice the one before
--       3 take: how long a call may be booked ahead, in ms; throttled: the longest pause, in ms
-- Answers {1 if it is booked, else 0; ms until then, or until it is worth asking again; strikes; then, in ms of Redis's clock}

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'next', 'until', 'strikes')
local following, stopped, strikes = tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or 0)
local answer

-- A clock that went back must not stop all for as long.
local FURTHEST, LONGEST = 60000, 300000
if ARGV[1] == 'take' and following > now + ARGV[2] + ARGV[3] + FURTHEST then following = now end
if stopped > now + LONGEST then stopped = 0 end

if ARGV[1] == 'take' then
  local at = math.max(now, following)
  if stopped > now then
    answer = {0, stopped - now, strikes, stopped}
  elseif at - now > tonumber(ARGV[3]) then
    answer = {0, at - now, strikes, at}
  else
    redis.call('HSET', KEYS[1], 'next', string.format('%.3f', at + ARGV[2]))
    answer = {1, math.ceil(at - now), strikes, math.ceil(at)}
  end
elseif ARGV[1] == 'throttled' then
  if stopped <= now then -- else it is one of those that were on their way
    strikes = strikes + 1
    stopped = now + math.min(ARGV[2] * 2 ^ (strikes - 1), tonumber(ARGV[3]))
    redis.call('HSET', KEYS[1], 'until', string.format('%.0f', stopped), 'strikes', strikes)
  end
  answer = {0, stopped - now, strikes, stopped}
else
  redis.call('HDEL', KEYS[1], 'strikes')
  answer = {0, 0, 0, now}
end
redis.call('PEXPIRE', KEYS[1], 3600000)
return answer
