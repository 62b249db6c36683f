-- Move what is due from the delayed set into the streams; answer the milliseconds until the next one, -1 for none.
-- KEYS: delayed, stream of priority 0, 1, 2. ARGV: limit. The server's clock decides, so that workers need not agree.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local level = tonumber(string.sub(member, 1, 1)) or 1
  -- First what a full Redis refuses: a script that fails half-way is not taken back.
  redis.call('XADD', KEYS[2 + math.min(level, 2)], '*', 't', string.sub(member, 2))
  redis.call('ZREM', KEYS[1], member)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then
  return -1
end
return math.max(0, math.ceil(tonumber(first[2]) - now))
