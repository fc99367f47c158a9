-- Stores API keys and announces them. A revocation is final. Of the stored and the given
-- record, the one that was restored more often takes precedence. If that is equal, the one
-- that was revoked first does. Otherwise the given record replaces the stored one.
--
-- KEYS  1 the keys: a hash of HMAC -> record   2 the channel of changes   3 how often keys changed
-- ARGV  1 PUBLISH or SPUBLISH; then for each key
--       its HMAC, its record as JSON, how often it was restored
-- Answers the records that are stored now. Each is written in any case, so that a
-- following WAIT covers it.

local EACH = 3

-- Everything is read before anything is written, because Redis does not roll back.
local answers, hashes = {}, {}
for i = 1, #ARGV - 1, EACH do
  local hash, given, restored = ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local stored = redis.call('HGET', KEYS[1], hash)
  if stored then
    local key = cjson.decode(stored)
    local before = key.restored or 0
    if before > restored or before == restored and key.revokedAt then given = stored end
  end
  hashes[#hashes + 1], answers[#answers + 1] = hash, given
end
for i, hash in ipairs(hashes) do redis.call('HSET', KEYS[1], hash, answers[i]) end
redis.call('INCR', KEYS[3])
redis.call(ARGV[1], KEYS[2], table.concat(hashes, '\n'))
return answers
