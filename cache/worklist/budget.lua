-- Books a call in a budget that all processes share, or makes the budget slower because AWS
-- throttles, or faster again because AWS answers.
--
-- KEYS  1 the budget: a hash of next (when the next call may be made, in ms), share (of the
--         rate that is used; absent: all), halved (when that was last halved, in ms) and
--         throttled and passed (calls since then)
-- ARGV  1 what: take, throttled or passed
--       2 ms between two calls at the full rate
--       3 take: how long a call may be booked ahead, in ms
-- Answers {1 if it is booked, otherwise 0; ms until the call, or until the next attempt;
-- 1 if the rate is below the full one, otherwise 0; the time of the call, in ms of Redis's
-- clock}
--
-- A throttled call halves the rate, and each answered call adds a twentieth of the full rate.
-- Other callers may keep the account throttled for hours, so that half of the calls are
-- throttled, but calls must continue. So the rate is halved once in WINDOW, and more often
-- only if almost no call is answered.

local WINDOW = 20000
local UNDER_WAY = 2000 -- ms after a halving: answers until then are to calls from before it
local SLOWEST = 2000   -- ms between two calls
local STEP = 0.05
local FURTHEST = 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local what, every = ARGV[1], tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 'next', 'share', 'halved', 'throttled', 'passed')
local following, share, halved = tonumber(state[1] or 0), tonumber(state[2] or 1), tonumber(state[3] or 0)
local throttled, passed = tonumber(state[4] or 0), tonumber(state[5] or 0)

local least = math.min(1, every / SLOWEST)
local function interval() return every / math.max(share, least) end

-- A clock that was set back must not stop calls for the same time.
local since = now - halved
if since < 0 then since = WINDOW end
if following > now + interval() + FURTHEST then following = now end

local booked = 0
local at = math.max(now, following)
if what == 'take' then
  if at - now <= tonumber(ARGV[3]) then
    booked, following = 1, at + interval()
  end
elseif what == 'throttled' then
  if since >= UNDER_WAY then throttled = throttled + 1 end
  if since >= WINDOW or throttled > 2 * passed + 3 then
    share = math.max(share / 2, least)
    halved, throttled, passed = now, 0, 0
    at = math.max(at, now + interval())
    following = at
  end
else
  if since >= UNDER_WAY then passed = passed + 1 end
  share = math.min(1, share + STEP)
end
redis.call('HSET', KEYS[1], 'next', string.format('%.3f', following), 'share', string.format('%.4f', share),
  'halved', string.format('%.0f', halved), 'throttled', throttled, 'passed', passed)
redis.call('PEXPIRE', KEYS[1], 3600000)
return {booked, math.ceil(at - now), share < 1 and 1 or 0, math.ceil(at)}
