-- Turn a dead letter into an entry again, unless somebody else has done so.
-- KEYS: dead, stream. ARGV: dead letter, envelope.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', 't', ARGV[2])
return 1
