--[[
  Reads the breakers and paces of subscriptions, or applies events to them, atomically for the whole fleet. The
  specification is core/health.ts (reduceHealth, watchedUntil), core/breaker.ts and core/pace.ts; a model test sends the
  same events to both.

  Each subscription has one hash. A missing hash is a closed breaker without a pace, so a loss in Redis closes it.

  Input:
    KEYS[1]      sorted set of subscriptions with an open breaker, scored by the expiry of their hash
    KEYS[2]      the same for half-open breakers
    KEYS[3]      sorted set of watched subscriptions, scored by when they no longer are
    KEYS[4 ...]  the hash of each event's subscription, in order; repeats are allowed

    ARGV[1]      now in Unix milliseconds, or '' for Redis's own clock
    ARGV[2]      threshold: consecutive failures that open a breaker
    ARGV[3]      it opens only if the last success is older than this, milliseconds
    ARGV[4]      cooldown in milliseconds
    ARGV[5 ...]  nine per event: the subscription, and
                   'read'
                   'success', ms since the request was sent, successes, '1' if deliveries wait for any limit, ms since the
                              answer if it is reported late
                   'failure', ms since the request was sent, '1' if it counts for the pace, '1' if deliveries wait, '1' if
                              it is a probe, age of the last success that the worker knows of or '', id of the delivery
                              if its payload was refused (a success for the pace) or '', Retry-After in milliseconds
                   'probe',   lease in milliseconds
                   'reset'
                 padded with ''

  Output:
    { now, then per event: state, failures, until, restUntil, rate of the pace (text), 1 if the state
    changed or the probe was granted, else 0 }
]]
-- An open breaker is probed while anything is held. After a week without events nothing depends on the hash.
local EXPIRY = 604800000
-- A reset of a healthy subscription leaves only the time of the reset, which matters until requests sent before it have
-- been answered: their timeout is five minutes at most.
local RESET_EXPIRY = 600000
-- Milliseconds; core/health.ts and core/pace.ts say why.
local WATCHED, PACE_KEPT = 60000, 600000
-- Arguments per event; breakers.ts pads to this number.
local FIELDS = 9

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local threshold, recentSuccess, cooldown = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local NUMBERS = { 'failures', 'lastFailureAt', 'lastSuccessAt', 'closedAt', 'until', 'restUntil',
  'rate', 'since', 'answers', 'failed', 'waiting', 'badIntervals', 'shareBefore', 'rateBefore', 'immuneUntil' }
local NAMES = { 'state', 'refused', unpack(NUMBERS) }

local function clearPace(b)
  b.rate, b.since, b.answers, b.failed, b.waiting = 0, 0, 0, 0, 0
  b.badIntervals, b.shareBefore, b.rateBefore, b.immuneUntil = 0, 0, 0, 0
end

local function read(key)
  local stored = redis.call('HMGET', key, unpack(NAMES))
  local b = { state = stored[1] or 'closed', refused = stored[2] or '' }
  for index, name in ipairs(NUMBERS) do b[name] = tonumber(stored[index + 2] or 0) end
  if now - b.since >= PACE_KEPT then clearPace(b) end
  return b
end

local function write(key, b, expiry)
  local values = { 'state', b.state, 'refused', b.refused }
  for _, name in ipairs(NUMBERS) do
    values[#values + 1] = name
    values[#values + 1] = string.format('%.17g', b[name])
  end
  redis.call('HSET', key, unpack(values))
  redis.call('PEXPIRE', key, expiry)
end

-- core/pace.ts

local function adjusted(rate, share, succeeded)
  if share <= 0.1 then return 1.5 * rate end
  if share <= 0.3 then return 1.1 * rate end
  if share <= 0.4 then return math.max(2, 0.95 * rate) end
  return math.max(2, 1.2 * succeeded)
end

local function judge(b, seconds)
  local share, rate, succeeded = b.failed / b.answers, b.answers / seconds, (b.answers - b.failed) / seconds
  local wasWaiting = b.waiting == 1
  local isFew = b.answers < 20
  b.since, b.answers, b.failed, b.waiting = now, 0, 0, 0
  if isFew and share > 0.3 then
    b.badIntervals = 0
    return
  end
  if b.rate == 0 then
    b.badIntervals = share > 0.5 and b.badIntervals + 1 or 0
    if b.badIntervals >= 3 and now > b.immuneUntil and rate > 2 then
      b.rate, b.shareBefore, b.rateBefore, b.badIntervals = math.max(2, 1.2 * succeeded), share, rate, 0
    end
    return
  end
  if rate <= 0.5 * b.rateBefore and share >= 0.8 * b.shareBefore then
    clearPace(b)
    b.since, b.immuneUntil = now, now + 300000
    return
  end
  if share <= 0.3 and (not wasWaiting or b.rate > 2 * rate) then
    clearPace(b)
    b.since = now
  else
    b.rate = adjusted(b.rate, share, succeeded)
  end
end

local function pace(b, successes, failures, isWaiting)
  if successes + failures == 0 then return end
  -- An older interval began before a pause in traffic.
  if b.since == 0 or now - b.since > 60000 then
    b.since, b.answers, b.failed, b.waiting, b.badIntervals = now, 0, 0, 0, 0
  end
  b.answers, b.failed = b.answers + successes + failures, b.failed + failures
  if isWaiting then b.waiting = 1 end
  local elapsed = now - b.since
  if elapsed >= 30000 or (elapsed >= 2000 and b.answers >= 20) then judge(b, elapsed / 1000) end
end

-- core/breaker.ts

local function close(b)
  b.state, b.failures, b.lastFailureAt, b['until'], b.refused = 'closed', 0, 0, 0, ''
  b.closedAt = now
end

local function succeed(b, at)
  b.lastSuccessAt = math.max(b.lastSuccessAt, at)
  if at < b.lastFailureAt then return end
  if b.state ~= 'closed' then close(b) end
  b.failures, b.refused = 0, ''
end

local function count(text, pattern)
  local _, matches = string.gsub(text, pattern, '')
  return matches
end

local function fail(b, isProbe, lastSuccessAgo, refused, retryAfter)
  if lastSuccessAgo then b.lastSuccessAt = math.max(b.lastSuccessAt, now - lastSuccessAgo) end
  local reopens = isProbe and b.state == 'half_open'
  if b.state ~= 'closed' and not reopens then return end
  local rest = math.min(retryAfter, cooldown)
  if rest > 0 then b.restUntil = math.max(b.restUntil, now + rest) end
  if b.state == 'closed' and b.lastSuccessAt > b.lastFailureAt then b.failures, b.refused = 0, '' end
  local counts = refused == '' or not string.find(b.refused, refused .. ',', 1, true)
  if counts then
    b.failures = b.failures + 1
    if refused ~= '' and count(b.refused, ',') < threshold then b.refused = b.refused .. refused .. ',' end
  end
  b.lastFailureAt = now
  local isLongAgo = b.lastSuccessAt == 0 or now - b.lastSuccessAt >= recentSuccess
  if reopens or (b.failures >= threshold and isLongAgo) then
    b.state, b['until'] = 'open', now + math.max(cooldown, retryAfter)
    clearPace(b)
  end
end

-- core/health.ts

local function watchedUntil(b)
  return math.max(
    b.lastFailureAt == 0 and 0 or b.lastFailureAt + WATCHED,
    b.state == 'closed' and 0 or b['until'] + WATCHED,
    b.restUntil,
    b.rate == 0 and 0 or b.since + PACE_KEPT)
end

local function index(id, state)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  if state ~= 'closed' then
    redis.call('ZADD', state == 'open' and KEYS[1] or KEYS[2], string.format('%.0f', now + EXPIRY), id)
  end
end

local result = { string.format('%.0f', now) }
for number = 1, #KEYS - 3 do
  local key = KEYS[number + 3]
  local at = 5 + (number - 1) * FIELDS
  local id, kind = ARGV[at], ARGV[at + 1]
  local function arg(offset) return ARGV[at + 1 + offset] end
  local b = read(key)
  local before, watchedBefore = b.state, watchedUntil(b)
  local touched = false
  if kind == 'success' and now - tonumber(arg(1)) >= b.closedAt then
    succeed(b, now - tonumber(arg(4)))
    pace(b, tonumber(arg(2)), 0, arg(3) == '1')
    touched = true
  elseif kind == 'failure' and now - tonumber(arg(1)) >= b.closedAt then
    fail(b, arg(4) == '1', tonumber(arg(5)), arg(6), tonumber(arg(7)))
    if b.state == 'closed' and arg(2) == '1' then
      local failures = arg(6) == '' and 1 or 0
      pace(b, 1 - failures, failures, arg(3) == '1')
    end
    touched = true
  elseif kind == 'probe' and b.state ~= 'closed' and now >= b['until'] then
    b.state, b['until'] = 'half_open', now + tonumber(arg(1))
    touched = true
  elseif kind == 'reset' then
    close(b)
    clearPace(b)
    b.restUntil, b.lastSuccessAt = 0, 0
    touched = true
  end
  if touched then
    write(key, b, kind == 'reset' and RESET_EXPIRY or EXPIRY)
    if before ~= b.state then index(id, b.state) end
    local watched = watchedUntil(b)
    if watched ~= watchedBefore then redis.call('ZADD', KEYS[3], string.format('%.0f', watched), id) end
  end
  local changed = (before ~= b.state or (touched and kind == 'probe')) and 1 or 0
  result[#result + 1] = b.state
  result[#result + 1] = b.failures
  result[#result + 1] = string.format('%.0f', b['until'])
  result[#result + 1] = string.format('%.0f', b.restUntil)
  result[#result + 1] = string.format('%.17g', b.rate)
  result[#result + 1] = changed
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], 0, string.format('%.0f', now))
return result
