-- Append entries to a stream, in their order.
-- KEYS: stream. ARGV: envelope, ...
for i = 1, #ARGV do
  redis.call('XADD', KEYS[1], '*', 't', ARGV[i])
end
