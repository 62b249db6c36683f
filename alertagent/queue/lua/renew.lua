-- Renew the lease on entries that are still ours; answer those that another worker has taken over.
-- KEYS: stream. ARGV: group, consumer, entry, ... A plain XCLAIM would take them back from the one that now runs them.
local lost = {}
local group, consumer = ARGV[1], ARGV[2]
for i = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], group, ARGV[i], ARGV[i], 1)
  if #pending > 0 then
    if pending[1][2] == consumer then
      redis.call('XCLAIM', KEYS[1], group, consumer, 0, ARGV[i], 'JUSTID')
    else
      lost[#lost + 1] = ARGV[i]
    end
  end
end
return lost
