--[[
  Counts a retry among those of its tenant that fall due in the same second, and decides its priority.

  KEYS[1]  hash of the second: how many retries each field (a tenant) has in it
  KEYS[2]  the retry's job, if it is active and will be delayed again: its priority is set

  ARGV[1]  field
  ARGV[2]  how many retries of a field share a priority
  ARGV[3]  the largest priority
  ARGV[4]  time to live of the hash, seconds

  Returns the BullMQ priority: 0 for the first ARGV[2] retries, 1 for the next ones, and so on.
]]
local count = redis.call("HINCRBY", KEYS[1], ARGV[1], 1)
redis.call("EXPIRE", KEYS[1], ARGV[4])
local priority = math.min(math.floor((count - 1) / tonumber(ARGV[2])), tonumber(ARGV[3]))
-- A job that Redis lost must not come back as a hash without a queue.
if KEYS[2] and redis.call("EXISTS", KEYS[2]) == 1 then
  redis.call("HSET", KEYS[2], "priority", priority)
end
return priority
