import type { Redis } from "ioredis";

/**
 * Takes up to a number of messages off the first lists that have any and notes them as unacked, in one step: a worker
 * that is killed at any instant has either not taken them or left them for others to restore.
 *
 * A message's tag is the `delivery_tag` of its own properties, as kombu has it. One that has none, or one that is
 * taken already (there are clients that give all messages the same), gets a tag of the caller's. It is looked for with
 * an anchored pattern: another would try each place in the text anew, and hold up the server for hours.
 *
 * KEYS: unacked hash, unacked index, lists in the order in which they are served.
 * ARGV: how many, now in seconds, the caller's tag prefix, then for each list its queue's name as JSON.
 * Returns the position of the list, the tag and the text of each message, in one flat array.
 */
const TAKE = `
local left = tonumber(ARGV[1])
local taken, tags, rows = {}, {}, {}
for i = 3, #KEYS do
  if left <= 0 then break end
  local texts = redis.call('LRANGE', KEYS[i], -left, -1)
  if #texts > 0 then
    redis.call('LTRIM', KEYS[i], 0, -#texts - 1)
    left = left - #texts
    for j = #texts, 1, -1 do
      tags[#tags + 1] = string.match(texts[j], '^.*"delivery_tag":%s*"([^"\\\\]+)"') or ''
      taken[#taken + 1] = i - 2
      taken[#taken + 1] = tags[#tags]
      taken[#taken + 1] = texts[j]
    end
  end
end
if #tags == 0 then return taken end
local held = redis.call('HMGET', KEYS[1], unpack(tags))
local seen, scores = {}, {}
for n = 1, #tags do
  local tag = tags[n]
  if tag == '' or held[n] or seen[tag] then
    tag = ARGV[3] .. n
    taken[n * 3 - 1] = tag
    tags[n] = tag
  end
  seen[tag] = true
  scores[n * 2 - 1] = ARGV[2]
  scores[n * 2] = tag
  rows[n * 2 - 1] = tag
  rows[n * 2] = '[' .. taken[n * 3] .. ', "", ' .. ARGV[3 + taken[n * 3 - 2]] .. ']'
end
redis.call('ZADD', KEYS[2], unpack(scores))
redis.call('HSET', KEYS[1], unpack(rows))
return taken
`;

/** The same for deliveries that need no settling. KEYS: lists. ARGV: how many. Returns position and text. */
const TAKE_NO_ACK = `
local left = tonumber(ARGV[1])
local taken = {}
for i = 1, #KEYS do
  if left <= 0 then break end
  local texts = redis.call('LRANGE', KEYS[i], -left, -1)
  if #texts > 0 then
    redis.call('LTRIM', KEYS[i], 0, -#texts - 1)
    left = left - #texts
    for j = #texts, 1, -1 do
      taken[#taken + 1] = i
      taken[#taken + 1] = texts[j]
    end
  end
end
return taken
`;

/**
 * Puts an unacked message back, unless it was settled, or taken up again, meanwhile.
 *
 * KEYS: unacked hash, unacked index, list.
 * ARGV: tag, the message's text, the newest score at which it still counts as abandoned, 'next' to have it served
 * next or 'last' to put it behind everything.
 */
const RESTORE = `
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if score and tonumber(score) > tonumber(ARGV[3]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call(ARGV[4] == 'next' and 'RPUSH' or 'LPUSH', KEYS[3], ARGV[2])
return 1
`;

/**
 * Notes the binding of a queue that expires, and until when its exchange's bindings are to be kept, by the server's
 * clock. KEYS: the exchange's bindings, the deadlines. ARGV: member, exchange, milliseconds.
 */
const BIND_EXPIRING = `
redis.call('SADD', KEYS[1], ARGV[1])
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], 'GT', tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) + tonumber(ARGV[3]), ARGV[2])
`;

/** A connection that knows the scripts of this transport. */
export interface ScriptedRedis extends Redis {
  celeriacTake(keyCount: number, ...keysAndArgs: (string | number)[]): Promise<(string | number)[]>;
  celeriacTakeNoAck(keyCount: number, ...keysAndArgs: (string | number)[]): Promise<(string | number)[]>;
  celeriacRestore(
    unacked: string,
    index: string,
    list: string,
    tag: string,
    text: string,
    newestScore: number,
    place: "next" | "last",
  ): Promise<number>;
  celeriacBindExpiring(
    bindings: string,
    deadlines: string,
    member: string,
    exchange: string,
    ms: number,
  ): Promise<null>;
}

/** Teaches a connection the scripts; they are loaded into the server when they are first called. */
export function withScripts(redis: Redis): ScriptedRedis {
  redis.defineCommand("celeriacTake", { lua: TAKE });
  redis.defineCommand("celeriacTakeNoAck", { lua: TAKE_NO_ACK });
  redis.defineCommand("celeriacRestore", { lua: RESTORE, numberOfKeys: 3 });
  redis.defineCommand("celeriacBindExpiring", { lua: BIND_EXPIRING, numberOfKeys: 2 });
  return redis as ScriptedRedis;
}
