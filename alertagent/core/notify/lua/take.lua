-- Count one message if no window is full. KEYS[1]: the messages of an account, a set sorted by time in ms. KEYS[2], where
-- there is one: those of them that must keep a distance. ARGV: now, a name for the message, the distance, and of each
-- window its length and how many it may hold. Answers 0, or how many ms there is no room.
local now = tonumber(ARGV[1])
local distance = tonumber(ARGV[3])
local longest = distance
local wait = 0

local function look(key, length, limit)
  -- The clock was put back: what lies ahead of it would count for ever.
  redis.call('ZREMRANGEBYSCORE', key, '(' .. now + 1000, '+inf')
  local since = '(' .. (now - length)
  local count = redis.call('ZCOUNT', key, since, '+inf')
  if count >= limit then
    local leaving = redis.call('ZRANGEBYSCORE', key, since, '+inf', 'WITHSCORES', 'LIMIT', count - limit, 1)
    wait = math.max(wait, tonumber(leaving[2]) + length - now)
  end
end

for index = 4, #ARGV, 2 do
  local length = tonumber(ARGV[index])
  look(KEYS[1], length, tonumber(ARGV[index + 1]))
  longest = math.max(longest, length)
end
if KEYS[2] then
  look(KEYS[2], distance, 1)
end
if wait > 0 then
  return math.ceil(wait)
end
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - longest)
  redis.call('ZADD', key, now, ARGV[2])
  redis.call('PEXPIRE', key, longest + 1000)
end
return 0
