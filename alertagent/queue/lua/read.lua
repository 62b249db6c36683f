-- Read new entries stream by stream until the room is filled; answer {number of the stream, its entries} for each
-- that had any. One trip, where a read over all streams could not say which of them goes first.
-- KEYS: streams, the most urgent first. ARGV: group, consumer, room.
local room = tonumber(ARGV[3])
local found = {}
for number, stream in ipairs(KEYS) do
  if room <= 0 then
    break
  end
  local answer = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', room, 'STREAMS', stream, '>')
  if answer then
    local entries = answer[1][2]
    room = room - #entries
    found[#found + 1] = { number, entries }
  end
end
return found
