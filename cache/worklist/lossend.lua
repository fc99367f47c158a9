-- Ends parts of a loss unless there was another loss since. With its last part, the loss ends.
--
-- KEYS  1 lost: a hash
-- ARGV  1 when the loss was noticed, in ms; then the parts

if redis.call('HGET', KEYS[1], 'at') ~= ARGV[1] then return end
for i = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
for _, part in ipairs({'running', 'results', 'keys'}) do
  if redis.call('HEXISTS', KEYS[1], part) == 1 then return end
end
redis.call('DEL', KEYS[1])
