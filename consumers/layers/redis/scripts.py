"""What runs inside the broker: one script for each step that must be whole.

All keys of one call have the same hash tag, so that each runs on a cluster too. What
the keys hold:

========== ====== ====================================================================
``meta``   hash   epoch, offset, run (which run of the server counted last); size, ttl
                  and remember (milliseconds) of the history
``log``    stream ``<offset>-0``: m(essage), i(d), and a(fter): the offset before it
                  where that is not its own less one
``once``   string the position of what was published with an idempotency key
``nodes``  sorted layers that have entered somebody, by the end of their lease
``node``   hash   of one layer: ``{connection: entry}``, and its term under ``""``
``users``  hash   ``{user: number of connections}``
``leaving``sorted users that are gone, by the time when that is to be told
``lease``  string who holds it
========== ====== ====================================================================

Times are milliseconds of the broker's own clock.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

__all__ = [
    "COUNT",
    "ENTER",
    "EXIT",
    "HISTORY",
    "HOLD",
    "PRESENT",
    "PUBLISH",
    "RELEASE",
    "RENEW",
    "SCRIPTS",
    "Script",
]


class Script:
    """A script, and what the broker calls it by."""

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        """For people."""
        self.text = text.encode()
        """In Lua."""
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()
        """For EVALSHA."""

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


# A history that was counted on by another run of the server may have lost its end with
# the one before: an append-only file is synced once a second, a replica lags behind.
# What was lost had offsets that somebody has seen. So counting goes on far above them,
# and the next publication names the one that it comes after: who stands exactly there
# has missed nothing, and who stands between has seen what nobody knows any more.
PUBLISH: Final = Script(
    "publish",
    """
local meta, log, once = KEYS[1], KEYS[2], KEYS[3]
local command, channel, payload, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local epoch, run, retried = ARGV[5], ARGV[6], ARGV[7]
local size, ttl, remember, forget = ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local function find()
  local last = '+'
  for _ = 1, 100 do
    local chunk = redis.call('XREVRANGE', log, last, '-', 'COUNT', 100)
    for _, entry in ipairs(chunk) do
      if entry[2][4] == id then
        return string.match(entry[1], '%d+')
      end
    end
    if #chunk < 100 then
      return nil
    end
    last = '(' .. chunk[100][1]
  end
end

if once then
  local first = redis.call('GET', once)
  if first then
    return first
  end
end
local state = redis.call(
  'HMGET', meta, 'epoch', 'offset', 'run', 'size', 'ttl', 'remember'
)
if size == '' then
  size, ttl, remember = state[4], state[5], state[6]
end
local position = ''
if size then
  local before = 0
  if state[1] then
    epoch, before = state[1], tonumber(state[2])
    local kept = retried == '1' and find()
    if kept then
      return kept .. ':' .. epoch
    end
  else
    redis.call('DEL', log)
  end
  local offset = before + 1
  if state[3] and state[3] ~= run then
    offset = offset + 1000000
  end
  local number = string.format('%.0f', offset)
  local entry = {
    'XADD', log, 'MAXLEN', '=', size, number .. '-0', 'm', payload, 'i', id
  }
  if offset ~= before + 1 then
    entry[11], entry[12] = 'a', string.format('%.0f', before)
  end
  redis.call(unpack(entry))
  redis.call('PEXPIRE', log, ttl)
  redis.call(
    'HSET', meta, 'epoch', epoch, 'offset', number, 'run', run,
    'size', size, 'ttl', ttl, 'remember', remember
  )
  redis.call('PEXPIRE', meta, remember)
  position = number .. ':' .. epoch
end
if once then
  redis.call('SET', once, position, 'PX', forget)
end
redis.call(command, channel, (size and position or ':') .. ':' .. payload)
return position
""",
)

HISTORY: Final = Script(
    "history",
    """
local meta, log = KEYS[1], KEYS[2]
local epoch, run, size, ttl, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local since, era, limit = ARGV[6], ARGV[7], tonumber(ARGV[8])
local state = redis.call('HMGET', meta, 'epoch', 'offset')
if not state[1] then
  redis.call('DEL', log)
  redis.call(
    'HSET', meta, 'epoch', epoch, 'offset', '0', 'run', run,
    'size', size, 'ttl', ttl, 'remember', remember
  )
  redis.call('PEXPIRE', meta, remember)
  state = {epoch, '0'}
end
local kept = {}
if since ~= '' then
  local first = '-'
  if era == state[1] then
    first = string.format('%.0f', tonumber(since) + 1)
  end
  if limit < 0 then
    kept = redis.call('XRANGE', log, first, '+')
  else
    -- One at least: it tells whether anything is missing before it.
    kept = redis.call('XRANGE', log, first, '+', 'COUNT', math.max(limit, 1))
  end
elseif limit < 0 then
  kept = redis.call('XRANGE', log, '-', '+')
elseif limit > 0 then
  local latest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', limit)
  for i = #latest, 1, -1 do
    kept[#kept + 1] = latest[i]
  end
end
return {state[1], state[2], kept}
""",
)

# Each script of presence begins by removing the layers whose lease has run out, so
# that nobody sees them, whoever looks first. Their users are told by the next renewal.
_PRESENCE: Final = """
local nodes, users, leaving, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stem, node = ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function split(entry)
  local order, length, rest = string.match(entry, '^(%d+):(%d+):()')
  local user = string.sub(entry, rest, rest + length - 1)
  return order, user, string.sub(entry, rest + length)
end

local function gone(user, due)
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
    redis.call('ZADD', leaving, due, user)
  end
end

local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, ms)
  end
end

local function reap(spared)
  local dead = redis.call('ZRANGEBYSCORE', nodes, '-inf', now)
  for _, name in ipairs(dead) do
    if name ~= spared then
      local entries = redis.call('HGETALL', stem .. name)
      for i = 1, #entries, 2 do
        if entries[i] ~= '' then
          local _, user = split(entries[i + 1])
          gone(user, now)
        end
      end
      redis.call('DEL', stem .. name)
      redis.call('ZREM', nodes, name)
    end
  end
  if #dead > 0 then
    outlive(leaving, 60000)
  end
end
"""

ENTER: Final = Script(
    "enter",
    _PRESENCE
    + """
reap()
local lease, retried = tonumber(ARGV[3]), ARGV[4]
if redis.call('ZSCORE', nodes, node) == false then
  redis.call('DEL', own)
  redis.call('HSET', own, '', string.format('%.0f', micros))
end
local joined, updated = {}, {}
for i = 5, #ARGV, 3 do
  local connection, user, metadata = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local index = (i - 5) / 3
  local order = string.format('%.0f', micros + index)
  local entry = redis.call('HGET', own, connection)
  local known = false
  if entry then
    local place, same, before = split(entry)
    order = place
    if same == user then
      known = true
      local alone = redis.call('HGET', users, user) == '1'
      if retried == '1' and alone then
        joined[#joined + 1] = index
      elseif before ~= metadata then
        updated[#updated + 1] = index
      end
    else
      gone(same, now)
    end
  end
  if not known then
    local first = redis.call('HINCRBY', users, user, 1) == 1
    local back = redis.call('ZREM', leaving, user) == 1
    if first and not back then
      joined[#joined + 1] = index
    else
      updated[#updated + 1] = index
    end
  end
  redis.call('HSET', own, connection, order .. ':' .. #user .. ':' .. user .. metadata)
end
redis.call('ZADD', nodes, now + lease, node)
outlive(nodes, 3 * lease)
outlive(users, 3 * lease)
outlive(own, 3 * lease)
return {redis.call('HGET', own, ''), joined, updated}
""",
)

EXIT: Final = Script(
    "exit",
    _PRESENCE
    + """
reap()
local linger = tonumber(ARGV[3])
for i = 4, #ARGV do
  local entry = redis.call('HGET', own, ARGV[i])
  if entry then
    local _, user = split(entry)
    redis.call('HDEL', own, ARGV[i])
    gone(user, now + linger)
  end
end
outlive(leaving, linger + 60000)
local left = redis.call('HLEN', own) - 1
if left <= 0 then
  redis.call('DEL', own)
  redis.call('ZREM', nodes, node)
end
return left
""",
)

RENEW: Final = Script(
    "renew",
    _PRESENCE
    + """
reap(node)
local lease = tonumber(ARGV[3])
local term = false
if redis.call('ZSCORE', nodes, node) then
  term = redis.call('HGET', own, '')
  redis.call('ZADD', nodes, now + lease, node)
  outlive(nodes, 3 * lease)
  outlive(users, 3 * lease)
  outlive(own, 3 * lease)
end
local left = redis.call('ZRANGEBYSCORE', leaving, '-inf', now)
redis.call('ZREMRANGEBYSCORE', leaving, '-inf', now)
return {term, left}
""",
)

PRESENT: Final = Script(
    "present",
    _PRESENCE
    + """
reap()
local all = {}
for _, name in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  all[#all + 1] = redis.call('HGETALL', stem .. name)
end
return all
""",
)

COUNT: Final = Script(
    "count",
    _PRESENCE
    + """
reap()
local connections = 0
for _, name in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  connections = connections + math.max(redis.call('HLEN', stem .. name) - 1, 0)
end
return {connections, redis.call('HLEN', users)}
""",
)

HOLD: Final = Script(
    "hold",
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""",
)

RELEASE: Final = Script(
    "release",
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
""",
)

SCRIPTS: Final = (
    PUBLISH,
    HISTORY,
    ENTER,
    EXIT,
    RENEW,
    PRESENT,
    COUNT,
    HOLD,
    RELEASE,
)
"""All of them, to be loaded at once."""
