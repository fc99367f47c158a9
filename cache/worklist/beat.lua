-- Counts a beat of a partition, and begins where there is none.
--
-- KEYS  1 born: a hash of id and beats
-- ARGV  1 id to begin with
-- Answers {id, beats before this one}

local id = redis.call('HGET', KEYS[1], 'id')
if not id then
  id = ARGV[1]
  redis.call('HSET', KEYS[1], 'id', id)
end
return {id, redis.call('HINCRBY', KEYS[1], 'beats', 1) - 1}
