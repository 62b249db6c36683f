-- Take over entries whose worker has been silent for the lease; answer the next cursor and {entry, t, deliveries}.
-- KEYS: stream. ARGV: group, consumer, lease in ms, cursor, count. Entries that were deleted meanwhile are forgotten.
local answer = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local taken = {}
for _, entry in ipairs(answer[2]) do
  if entry and entry[2] then
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
    taken[#taken + 1] = { entry[1], entry[2], pending[1] and pending[1][4] or 1 }
  end
end
return { answer[1], taken }
