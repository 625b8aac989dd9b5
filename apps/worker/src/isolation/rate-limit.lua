--[[
  Takes tokens of a subscription's rate limit, for the whole fleet. The generic cell rate algorithm (ITU-T I.371,
  annex A) keeps one number per subscription, the theoretical arrival time (TAT): when the next request would arrive if
  all came exactly at the rate.

  Input:
    KEYS[1]  the subscription's TAT, in microseconds

    ARGV[1]  now in Unix microseconds, or '' for Redis's own clock
    ARGV[2]  microseconds per token: 1,000,000 / rate
    ARGV[3]  burst: how many tokens can be taken at once after a pause
    ARGV[4]  how many tokens are wanted

  Output:
    { how many tokens are granted, microseconds until the next one is available }
]]
-- The expiry only frees memory: a TAT in the past counts as `now`. It comes a minute late, so that a caller whose clock
-- runs slower than Redis's does not find the key expired before the TAT has passed.
local EXPIRY_SLACK_MS = 60000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local interval, burst, wanted = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tolerance = (burst - 1) * interval
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local available = math.floor((tolerance - (tat - now)) / interval) + 1
local granted = math.max(0, math.min(wanted, available))
if granted > 0 then
  tat = tat + granted * interval
  redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + EXPIRY_SLACK_MS)
end
return { granted, math.max(0, math.ceil(tat - tolerance - now)) }
