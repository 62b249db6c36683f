-- Take an entry out of its stream and into the delayed set. Does nothing when somebody else has taken it out.
-- KEYS: stream, delayed. ARGV: group, entry, delay in ms, member.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then
  return 0
end
local time = redis.call('TIME')
local due = time[1] * 1000 + math.ceil(time[2] / 1000) + tonumber(ARGV[3])
-- First what a full Redis refuses: a script that fails half-way is not taken back.
redis.call('ZADD', KEYS[2], due, ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
