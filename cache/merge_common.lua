-- Joins the two common cases at little cost: an execution begins, or its first attempt ends. The
-- result is the same as that of merge.lua, in a third of the time, with few calls and few texts.
-- For any other case begin_common and end_common return nil, and merge.lua joins it.

local not_suspicious = string.format('%014.0f', now - SUSPICIOUS) -- texts of digits have the same order in each locale

local applied_of_rank = {[48] = 'a01', [49] = 'a11', [50] = 'a21'}

local function begin_common(key, p, a)
  local given = ARGV[a + 2]
  local start = sub(given, GIVEN_START, GIVEN_START_END)
  if start < not_suspicious then return nil end
  local text = sub(given, GIVEN_FORMAT, GIVEN_IDENTITY_END) .. now_bytes .. now_bytes .. sub(given, GIVEN_EPOCH) .. ARGV[a + 3]
    .. sub(given, GIVEN_SHORT, GIVEN_SHORT_END) .. now_bytes
  if not call('SET', key, text, 'PXAT', ARGV[a + 4], 'NX') then return nil end
  records[key] = text
  local arn, counts, member, keys = ARGV[a + 1], ARGV[a + COUNTS], ARGV[a + MEMBER], p.keys
  announce(arn)
  if trims then
    enter_running(p, counts, member, start)
    enter_recent(p, member, start)
  else
    if call('ZADD', keys.running, start, member) == 1 then count.runs(p, machine_of(counts), 1) end
    call('ZADD', keys.recent, start, member)
  end
  count.started(p, arn, counts)
  return applied_of_rank[48]
end

local function end_common(key, p, a, old)
  local given, expires = ARGV[a + 2], ARGV[a + 4]
  local b, c, d, e, f, g, h, i = byte(old, COMPACT_LENGTHS, COMPACT_LENGTHS_END)
  local registers_end = COMPACT_HEAD + (b + e) * 256 + c + d + f
  local payload_end = registers_end + (g * 256 + h) * 256 + i
  if byte(old, COMPACT_IDENTITY + STATE - 1) ~= RUNS or byte(given, GIVEN_IDENTITY + STATE - 1) == OUTPUT_CHANGED
    or sub(given, GIVEN_IDENTITY, GIVEN_IDENTITY + REDRIVES_END - 1) ~= sub(old, COMPACT_IDENTITY, COMPACT_IDENTITY + REDRIVES_END - 1)
    or sub(given, GIVEN_EPOCH, GIVEN_SHAPE_END) ~= sub(old, COMPACT_EPOCH, COMPACT_LENGTHS + 4)
    or sub(given, GIVEN_PAYLOAD_END + 1) ~= sub(old, COMPACT_HEAD + 1, registers_end)
    or #old - payload_end >= TRAIL_KEPT * SHORT_ENTRY or #expires ~= #now_text or expires <= now_text then return nil end
  local text = sub(given, GIVEN_FORMAT, GIVEN_IDENTITY_END) .. now_bytes .. sub(old, COMPACT_SEEN, COMPACT_SEEN_END) .. sub(given, GIVEN_EPOCH)
    .. ARGV[a + 3] .. sub(old, payload_end + 1) .. sub(given, GIVEN_SHORT, GIVEN_SHORT_END) .. now_bytes
  call('SET', key, text, 'PXAT', expires)
  records[key] = text
  local arn, counts = ARGV[a + 1], ARGV[a + COUNTS]
  announce(arn)
  if call('ZREM', p.keys.running, ARGV[a + MEMBER]) == 1 then count.runs(p, machine_of(counts), -1) end
  count.ran(p, arn, counts)
  return applied_of_rank[byte(given, GIVEN_RANK)]
end

-- A short entry in the trail says that it is an event of a first attempt.
local function merge_common(key, p, a)
  local kind, left_out, compact = byte(ARGV[a + 2], GIVEN_KIND, GIVEN_COMPACT)
  if alone or compact ~= 49 or left_out ~= 48 or byte(ARGV[a + 2], GIVEN_SHORT) == 0 then return nil end
  local old = records[key]
  if kind == 114 and not old then return begin_common(key, p, a) end
  if kind == 115 and old and success_kept == '' and record.compact(old) then return end_common(key, p, a, old) end
end

local steps

local function join(key, p, a)
  steps = steps or make_steps()
  return steps(key, p, a)
end

local partitions, answers, joined = {}, {}, 0
local stored = call('MGET', unpack(KEYS, 1, all))
for i = 1, all do
  local key = KEYS[i]
  records[key] = stored[i]
  partitions[i] = count.partition(sub(key, 1, -11 - #ARGV[i * ARGS_EACH - 5])) -- without 'execution:' and the ARN
end

local function join_rest()
  while joined < all do
    joined = joined + 1
    local key, p, a = KEYS[joined], partitions[joined], (joined - 1) * ARGS_EACH
    answers[joined] = merge_common(key, p, a) or join(key, p, a)
  end
end

while joined < all do
  local ok, reason = pcall(join_rest)
  if not ok then answers[joined] = 'f' .. (type(reason) == 'table' and reason.err or tostring(reason)) end
end
pcall(count.write) -- a fault of the counters must not undo the join
if changed > 0 and not alone then call(publish, KEYS[#KEYS], table.concat(changes, '\n')) end
return answers
