-- Whether the server knows XACKDEL, which Redis does from 8.2 on. Called so, it complains in any case: of what, tells.
-- KEYS: any key of the queue, for a cluster to find the server.
local complaint = redis.pcall('XACKDEL')
return string.find(complaint.err, 'nknown') and 0 or 1
