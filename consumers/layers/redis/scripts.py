"""What runs inside the broker: one script for each step that must be whole.

All keys of one call have the same hash tag, so that each runs on a cluster too. What
the keys hold:

=========== ====== ====================================================================
``meta``    hash   epoch, offset, run (which run of the server counted last); size, ttl
                   and remember (milliseconds) of the history
``log``     stream ``<offset>-0``: m(essage), i(d), and a(fter): the offset before it
                   where that is not its own less one
``once``    string the position of what was published with an idempotency key
``nodes``   zset   layers that have entered somebody, by the end of their lease
``node``    hash   of one layer: its connections, and its term under ``""``
``entries`` hash   ``{connection: who entered it, whose it is, metadata}``
``users``   hash   ``{user: number of connections, latest metadata}``
``leaving`` zset   users without a connection, by the time when that is to be told
``lease``   string who holds it
=========== ====== ====================================================================

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
elseif size == '-' then
  size = false
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
  state = {epoch, '0'}
end
redis.call('PEXPIRE', meta, math.max(remember, redis.call('PTTL', meta)))
local kept = {}
if since ~= '' then
  local first = '-'
  if era == state[1] and tonumber(since) <= tonumber(state[2]) then
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
local nodes, users, leaving, entries, own = unpack(KEYS)
local stem, node = ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function read_entry(connection)
  local entry = redis.call('HGET', entries, connection)
  if not entry then
    return nil
  end
  local order, owner, user, rest = string.match(entry, '^(%d+):(%d+):(%d+):()')
  local middle = rest + owner
  return {
    order = order,
    owner = string.sub(entry, rest, middle - 1),
    user = string.sub(entry, middle, middle + user - 1),
  }
end

local function read_user(user)
  local text = redis.call('HGET', users, user)
  if not text then
    return nil, nil
  end
  local number, rest = string.match(text, '^(%d+):()')
  return tonumber(number), string.sub(text, rest)
end

local function remove(connection, entry, due)
  redis.call('HDEL', entries, connection)
  redis.call('HDEL', stem .. entry.owner, connection)
  local number, metadata = read_user(entry.user)
  redis.call('HSET', users, entry.user, number - 1 .. ':' .. metadata)
  if number == 1 then
    redis.call('ZADD', leaving, due, entry.user)
  end
end

-- All keys of a group go together: one that went before the others would be missed.
local function outlive(ms)
  for _, key in ipairs(KEYS) do
    ms = math.max(ms, redis.call('PTTL', key))
  end
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ms)
  end
end

local function leave(name)
  redis.call('DEL', stem .. name)
  redis.call('ZREM', nodes, name)
end

local dead = redis.call('ZRANGEBYSCORE', nodes, '-inf', now)
for _, name in ipairs(dead) do
  local connections = redis.call('HKEYS', stem .. name)
  if #connections == 0 then
    connections = redis.call('HKEYS', entries)
  end
  for _, connection in ipairs(connections) do
    local entry = read_entry(connection)
    if entry and entry.owner == name then
      remove(connection, entry, now)
    end
  end
  leave(name)
end
if #dead > 0 then
  outlive(60000)
end
"""

ENTER: Final = Script(
    "enter",
    _PRESENCE
    + """
local lease, retried = tonumber(ARGV[3]), ARGV[4]
local held = redis.call('ZSCORE', nodes, node)
if not held then
  redis.call('HSET', own, '', string.format('%.0f', micros))
end
redis.call('ZADD', nodes, math.max(tonumber(held or 0), now + lease), node)
local joined, updated = {}, {}
for i = 5, #ARGV, 3 do
  local connection, user, metadata = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local index = (i - 5) / 3
  local order = string.format('%.0f', micros + index)
  local entry = read_entry(connection)
  if entry then
    order = entry.order
    if entry.user ~= user then
      remove(connection, entry, now)
      entry = nil
    elseif entry.owner ~= node then
      redis.call('HDEL', stem .. entry.owner, connection)
    end
  end
  local number, before = read_user(user)
  -- Who returns too late is new to those that came meanwhile, told or not.
  local new = not number
    or number == 0 and tonumber(redis.call('ZSCORE', leaving, user)) <= now
    or number == 1 and entry and retried == '1'
  if number == 0 then
    redis.call('ZREM', leaving, user)
  end
  if new then
    joined[#joined + 1] = index
  elseif before ~= metadata or number == 0 then
    updated[#updated + 1] = index
  end
  number = (number or 0) + (entry and 0 or 1)
  redis.call('HSET', users, user, number .. ':' .. metadata)
  redis.call('HSET', own, connection, '')
  redis.call(
    'HSET', entries, connection,
    order .. ':' .. #node .. ':' .. #user .. ':' .. node .. user .. metadata
  )
end
outlive(3 * lease)
return {redis.call('HGET', own, ''), joined, updated}
""",
)

EXIT: Final = Script(
    "exit",
    _PRESENCE
    + """
local linger = tonumber(ARGV[3])
for i = 4, #ARGV do
  local entry = read_entry(ARGV[i])
  if entry then
    remove(ARGV[i], entry, now + linger)
  end
end
local left = redis.call('HLEN', own) - 1
if left <= 0 then
  leave(node)
end
if redis.call('ZCARD', nodes) > 0 then
  outlive(linger + 60000)
else
  -- Nobody is there any more, so it is likely that nobody is to be told.
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, linger + 10000)
  end
end
return left
""",
)

RENEW: Final = Script(
    "renew",
    _PRESENCE
    + """
local lease = tonumber(ARGV[3])
local term = false
if redis.call('ZSCORE', nodes, node) then
  term = redis.call('HGET', own, '')
  redis.call('ZADD', nodes, now + lease, node)
  outlive(3 * lease)
end
local left = redis.call('ZRANGEBYSCORE', leaving, '-inf', now)
for _, user in ipairs(left) do
  redis.call('HDEL', users, user)
end
redis.call('ZREMRANGEBYSCORE', leaving, '-inf', now)
return {term, left}
""",
)

PRESENT: Final = Script(
    "present",
    _PRESENCE
    + """
return redis.call('HGETALL', entries)
""",
)

COUNT: Final = Script(
    "count",
    _PRESENCE
    + """
return {
  redis.call('HLEN', entries),
  redis.call('HLEN', users) - redis.call('ZCARD', leaving),
}
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

SCRIPTS: Final = (PUBLISH, HISTORY, ENTER, EXIT, RENEW, PRESENT, COUNT, HOLD, RELEASE)
"""All of them, to be loaded at once."""
