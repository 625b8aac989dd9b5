--[[
  Reads the circuit breakers of subscriptions, or applies events to them, atomically for the whole fleet.
  The specification is core/breaker.ts (reduceBreaker); a model test drives both with the same events.

  A breaker is a hash { state, failures, generation, until, failedAt } that expires after a week without a write. A
  missing hash is a closed breaker, so a breaker that Redis loses is closed.

  Input:
    KEYS[1]      sorted set of the subscriptions with an open breaker, scored by the expiry of their breaker keys
    KEYS[2]      the same for half-open breakers
    KEYS[3 ...]  the breaker of each event, in order; a breaker may occur several times

    ARGV[1]      now in Unix milliseconds, or '' for Redis's own clock
    ARGV[2]      threshold: failures in a row that open a breaker
    ARGV[3]      cooldown in milliseconds
    ARGV[4 ...]  six per event: the subscription, and
                   'read',    '', '', '', ''
                   'success', generation, milliseconds since its request began, '', ''
                   'failure', generation, the same, '1' for a probe else '0', Retry-After in milliseconds or '0'
                   'probe',   lease in milliseconds, '', '', ''
                   'reset',   '', '', '', ''

  Output:
    { now, then per event: state, failures, generation, until, failedAt, 1 if the state changed else 0 }
]]
local DAYS_7 = 604800000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local threshold = tonumber(ARGV[2])
local cooldown = tonumber(ARGV[3])

local function read(key)
  local stored = redis.call('HMGET', key, 'state', 'failures', 'generation', 'until', 'failedAt')
  return {
    state = stored[1] or 'closed',
    failures = tonumber(stored[2] or 0),
    generation = tonumber(stored[3] or 0),
    till = tonumber(stored[4] or 0),
    failedAt = tonumber(stored[5] or 0),
  }
end

local function write(key, breaker)
  redis.call('HSET', key, 'state', breaker.state, 'failures', breaker.failures,
    'generation', breaker.generation, 'until', string.format('%.0f', breaker.till),
    'failedAt', string.format('%.0f', breaker.failedAt))
  redis.call('PEXPIRE', key, DAYS_7)
end

local function transition(key, id, breaker, state, failures, till)
  breaker.state, breaker.failures, breaker.till = state, failures, till
  breaker.generation = breaker.generation + 1
  write(key, breaker)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  if state ~= 'closed' then
    redis.call('ZADD', state == 'open' and KEYS[1] or KEYS[2], string.format('%.0f', now + DAYS_7), id)
  end
  return 1
end

local function supersedesOpening(breaker, generation, began)
  return breaker.state == 'open' and generation == breaker.generation - 1 and began >= breaker.failedAt
end

local function succeed(key, id, breaker)
  breaker.failedAt = 0
  if breaker.state ~= 'closed' then return transition(key, id, breaker, 'closed', 0, 0) end
  if breaker.failures > 0 then
    breaker.failures = 0
    write(key, breaker)
  end
  return 0
end

local function fail(key, id, breaker, began, isProbe, retryAfter)
  local failures = breaker.failures + 1
  local till = now + math.max(cooldown, retryAfter)
  local failedAt = math.max(breaker.failedAt, began)
  local failedAtOpening = retryAfter > cooldown and till or failedAt
  if breaker.state == 'closed' and failures < threshold then
    breaker.failures, breaker.failedAt = failures, failedAt
    write(key, breaker)
  elseif breaker.state == 'closed' or (isProbe and breaker.state == 'half_open') then
    breaker.failedAt = failedAtOpening
    return transition(key, id, breaker, 'open', failures, till)
  end
  return 0
end

local result = { string.format('%.0f', now) }
for index = 1, #KEYS - 2 do
  local key = KEYS[index + 2]
  local at = 4 + (index - 1) * 6
  local id, kind = ARGV[at], ARGV[at + 1]
  local breaker = read(key)
  local changed = 0
  if kind == 'success' then
    local generation, began = tonumber(ARGV[at + 2]), now - tonumber(ARGV[at + 3])
    if generation == breaker.generation or supersedesOpening(breaker, generation, began) then
      changed = succeed(key, id, breaker)
    end
  elseif kind == 'failure' then
    if tonumber(ARGV[at + 2]) == breaker.generation then
      local began = now - tonumber(ARGV[at + 3])
      changed = fail(key, id, breaker, began, ARGV[at + 4] == '1', tonumber(ARGV[at + 5]))
    end
  elseif kind == 'probe' then
    if breaker.state ~= 'closed' and now >= breaker.till then
      changed = transition(key, id, breaker, 'half_open', breaker.failures, now + tonumber(ARGV[at + 2]))
    end
  elseif kind == 'reset' then
    if breaker.state ~= 'closed' or breaker.failures > 0 then
      breaker.failedAt = 0
      changed = transition(key, id, breaker, 'closed', 0, 0)
    end
  end
  result[#result + 1] = breaker.state
  result[#result + 1] = breaker.failures
  result[#result + 1] = breaker.generation
  result[#result + 1] = string.format('%.0f', breaker.till)
  result[#result + 1] = string.format('%.0f', breaker.failedAt)
  result[#result + 1] = changed
end
return result
