--[[
  Takes up to so many tokens of a subscription's rate limit, for the whole fleet: the generic cell rate algorithm
  (ITU-T I.371, annex A), which keeps one number, the time at which the limit would be even again.

  Input:
    KEYS[1]  the subscription's time of being even, in microseconds

    ARGV[1]  now in Unix microseconds, or '' for Redis's own clock
    ARGV[2]  microseconds per token: 1,000,000 / rate
    ARGV[3]  burst: how many may be taken at once after a pause
    ARGV[4]  how many are wanted

  Output:
    { how many are granted, in how many microseconds the next one can be }
]]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local interval, burst, wanted = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tolerance = (burst - 1) * interval
local even = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local available = math.floor((tolerance - (even - now)) / interval) + 1
local granted = math.max(0, math.min(wanted, available))
if granted > 0 then
  even = even + granted * interval
  redis.call('SET', KEYS[1], string.format('%.0f', even), 'PX', math.ceil((even - now) / 1000) + 1)
end
return { granted, math.max(0, math.ceil(even - tolerance - now)) }
