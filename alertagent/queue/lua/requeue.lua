-- Turn a dead letter into an entry again, unless somebody else has done so.
-- KEYS: dead, stream. ARGV: dead letter, envelope.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
-- First what a full Redis refuses: a script that fails half-way is not taken back.
redis.call('XADD', KEYS[2], '*', 't', ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
