-- Take an entry out of its stream and append it to another one, or to the end of its own. Does nothing when
-- somebody else has taken it out: that makes it safe to send this twice.
-- KEYS: stream, target. ARGV: group, entry, how many to keep in the target (0 for all), field, value, ...
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then
  return 0
end
-- First what a full Redis refuses: a script that fails half-way is not taken back.
if ARGV[3] == '0' then
  redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
else
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
