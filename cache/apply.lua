-- Joins observations or registrations of executions with their records. Two files follow this
-- text: merge.lua joins any observation, merge_common.lua the common cases at less cost.
-- All keys are on one node and, on a cluster, in one slot. Each execution is joined separately:
-- an error in one does not affect the others.
--
-- If the record of one execution is the only key, the slot is moving to another node, and
-- other keys may be there already. The script then changes only this record, and the caller
-- updates the rest.
--
-- KEYS  the record of each; then the change channel. A channel never exists as a key, so a
--       cluster does not run the script while the slot moves. The indexes and lists of the
--       partitions (redisdb/keynames.go) are not in KEYS: they share the slot.
-- ARGV  for each:
--        1 ARN
--        2 the observation, with the field lengths of givenParts (applyscript.go), times in 6 bytes:
--          kind: r running, v running as Step Functions says now, w stopped with the output to be
--          fetched, s stopped, g registered |
--          what the omitted input may contain, so that it must be fetched:
--          0 nothing, 1 the owner, 2 labels, 3 both |
--          whether the record is to be compact: 1, else 0 |
--          start date in ms, 14 digits |
--          its trail entry (trail.go), first in full, then as a short entry with its letter;
--          zeros if it has no short entry |
--          the compact format and the identity: version and hash of the body |
--          epoch: start date; zero in a registration without one |
--          rank of the owner: 0 none, 1 from the input, 2 registered |
--          lengths of owner, input type, labels and payload, as in a compact record |
--          owner | input type | labels
--        3 payload (payload.go)
--        4 when the record expires, in ms; in a registration how long it is kept, in ms
--        5 what to count: hour and entry of the start, and of the end if it has ended (internal/tally/tally.go)
--        6 member of the indexes in place of the ARN if the record is compact (internal/shortname)
--       and at the end: how long a success is kept, in ms, empty unless its output is kept for a
--       shorter time; PUBLISH or SPUBLISH; the size of the recent index
-- Answers for each a text:
--        a applied, s superseded, e expired or c conflict (another owner has it) |
--        rank of the owner before, of the same incarnation |
--        member of the indexes: 0 the ARN, 1 its short form, 2 the short form and before that the
--        ARN, 3 the ARN and before that the short form |
--        start date, 6 bytes | owner; both are left out if they are as given
--      or f | why it failed
--
-- Constants in capitals have the positions in a record and in an identity. luaconstants.go puts
-- them before this text: NAME is where a field begins, NAME_END where it ends. The epoch of a
-- registration is the reported date only if that is plausible; its payload is the date to show.

local DAY = 86400000
local SUSPICIOUS = 900000 -- an unknown RUNNING that is older may be a replay of an expired execution
local SUSPICIOUS_LIFE = 3600000
local RUNNING_LIFE = 400 * DAY
local TRAIL_KEPT = 16     -- entries
local LATE_KEPT = 256     -- observations that came too late
local MISMATCHES_KEPT = 10000
local TRIM_ONE_IN = 16    -- indexes may be a little too long
local NO_START = '\0\0\0\0\0\0'

local sub, byte, call, floor = string.sub, string.byte, redis.call, math.floor
local number = record.number
local KEYS, ARGV = KEYS, ARGV -- local variables are faster than global ones
local all = (#ARGV - 3) / ARGS_EACH -- executions
local alone = #KEYS == all
local success_kept, publish, recent_size = ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]

local time = call('TIME')
local now_text = time[1] .. sub(1000000 + time[2], 2, 4)
local now_bytes = record.time_bytes(now_text)
local now = tonumber(now_text)
local trims = tonumber(time[2]) % TRIM_ONE_IN == 0
count.now, count.off = now, alone

--
-- Records, indexes, lists and announcements
--

-- The records of this call by their keys, as they are now; false for none.
local records = {}

-- Changes are announced at the end.
local changes, changed = {}, 0

local function announce(arn)
  changed = changed + 1
  changes[changed] = arn
end

-- Runs a command on a key of the partition that is not a record, and returns the answer.
local function with(command, p, name, ...)
  if not alone then return call(command, p.keys[name], ...) end
end

-- The short name of the state machine in the counters.
local function machine_of(counts) return sub(counts, HOUR_DIGITS + 1, HOUR_DIGITS + MACHINE_LENGTH) end

local function enter_running(p, counts, member, start)
  if with('ZADD', p, 'running', start, member) == 1 then count.runs(p, machine_of(counts), 1) end
  if trims then with('ZREMRANGEBYSCORE', p, 'running', '-inf', string.format('%.0f', now - RUNNING_LIFE)) end
end

local function leave_running(p, counts, ...)
  local left = with('ZREM', p, 'running', ...)
  if left and left > 0 then count.runs(p, machine_of(counts), -left) end
end

local function enter_recent(p, member, start)
  with('ZADD', p, 'recent', start, member)
  if trims then with('ZREMRANGEBYRANK', p, 'recent', 0, -1 - recent_size) end
end
