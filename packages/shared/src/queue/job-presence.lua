--[[
  Looks jobs up by id. The cost does not depend on how many others are queued: no list is read.

  KEYS[1..4]  sorted sets of the queue: completed, failed, delayed, prioritized
  KEYS[5..]   hashes of the jobs

  ARGV[1]     a job that is delayed until later than this is not live, Unix milliseconds
  ARGV[2]     "1" removes the jobs that are stuck or unlisted
  ARGV[3..]   ids of the jobs, in the order of their hashes

  Returns one word per job:
    live      it is being worked on, or it will be
    absent    there is no such job (any more)
    stuck     it will not run (in time), and adding it again would do nothing
    unlisted  it is in no sorted set and has no lock: it waits in a list of its queue, or it will never run
]]
local function presenceOf(key, id)
  if redis.call("EXISTS", key .. ":lock") == 1 then return "live" end
  if redis.call("EXISTS", key) == 0 then return "absent" end
  -- BullMQ makes a hash without data when it takes a job whose hash was lost.
  if redis.call("HEXISTS", key, "data") == 0 then return "stuck" end
  if redis.call("ZSCORE", KEYS[4], id) then return "live" end
  local delayed = redis.call("ZSCORE", KEYS[3], id)
  -- BullMQ's score is the time in milliseconds, times 4,096, plus a counter.
  if delayed then return math.floor(tonumber(delayed) / 4096) <= tonumber(ARGV[1]) and "live" or "stuck" end
  if redis.call("ZSCORE", KEYS[1], id) or redis.call("ZSCORE", KEYS[2], id) then return "stuck" end
  return "unlisted"
end

local presences = {}
for index = 5, #KEYS do
  local key, id = KEYS[index], ARGV[index - 2]
  local presence = presenceOf(key, id)
  if ARGV[2] == "1" and (presence == "stuck" or presence == "unlisted") then
    for set = 1, 4 do redis.call("ZREM", KEYS[set], id) end
    redis.call("DEL", key, key .. ":logs")
    presence = "absent"
  end
  presences[#presences + 1] = presence
end
return presences
