import type { Redis } from "ioredis";

/**
 * Stores a record and tells who waits for it, unless a SUCCESS is there, in one step.
 *
 * KEYS: the record's key, which is also the channel. ARGV: record, seconds to keep it (0 for ever), '1' to store
 * whatever is there. Returns 1 when stored, 0 when a SUCCESS was kept, and what is there when the caller has to say
 * what it is: a record that is not plain JSON.
 */
const STORE = `
if ARGV[3] ~= '1' then
  local current = redis.call('GET', KEYS[1])
  if current then
    local status = string.match(current, '^{"status": "([^"]*)"')
    if status == 'SUCCESS' then return 0 end
    if not status then return current end
  end
end
if tonumber(ARGV[2]) > 0 then
  redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
`;

/**
 * Counts a part of a chord that ended, each part once however often it ran, and gives the right to send the body to
 * the one who brings the last. Does to the keys what Celery 5.7 does, so that workers of both kinds can share a chord.
 *
 * KEYS: parts (.j), added parts (.t), size (.s), seen (.d), saved header, claim (.c).
 * ARGV: task id, the part's record, '1' when parts are ordered, the part's index, seconds to keep the chord's keys,
 * seconds to keep the saved header, seconds that a claim holds, the claim's token, the size where no key tells it
 * ('' for none), '1' for claims. Without those it does what Celery does up to 5.6, which starts a chord again under the
 * same id and would find the parts of the first run seen.
 * Returns the number of parts, of added parts, the size, and 1 for the one who is to send the body; a number of -1
 * when the chord is over.
 */
const PART_RETURNED = `
local parts, added, size, seen, header, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local claims = ARGV[10] == '1'
if claims and redis.call('GET', claim) == 'done' then return {-1, 0, 0, 0} end
local part = ARGV[1] .. ':' .. ARGV[4]
local ordered = ARGV[3] == '1'
if not claims or redis.call('SADD', seen, part) == 1 then
  if ordered then redis.call('ZADD', parts, ARGV[4], ARGV[2]) else redis.call('RPUSH', parts, ARGV[2]) end
end
local count = redis.call(ordered and 'ZCARD' or 'LLEN', parts)
local keep = tonumber(ARGV[5])
if keep > 0 then
  for _, key in ipairs({parts, added, size, seen}) do redis.call('EXPIRE', key, keep) end
  if tonumber(ARGV[6]) > 0 then redis.call('EXPIRE', header, ARGV[6]) end
end
local extra = redis.call('GET', added)
local wanted = redis.call('GET', size) or (ARGV[9] ~= '' and ARGV[9])
local mine = 0
if wanted and count == tonumber(wanted) + tonumber(extra or 0) then
  if not claims or redis.call('SET', claim, ARGV[8], 'NX', 'EX', ARGV[7]) then mine = 1 end
end
return {count, extra or 0, wanted or 0, mine}
`;

/**
 * Drops the keys of a chord whose body was sent, and leaves a mark for parts that come again.
 * KEYS: claim, parts, added parts, size, seen. ARGV: token, seconds to keep the mark.
 */
const CHORD_DONE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[1], 'done', 'EX', ARGV[2])
return 1
`;

/**
 * Holds a claim longer, or takes it again when it ran out and the chord is still there.
 * KEYS: claim, size. ARGV: token, seconds.
 */
const EXTEND_CLAIM = `
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return redis.call('EXPIRE', KEYS[1], ARGV[2]) end
if not holder and redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX') and 1 or 0
end
return 0
`;

/** A connection that knows the scripts of this backend. */
export interface ScriptedRedis extends Redis {
  celeriacStoreBuffer(key: string, record: Buffer, seconds: number, force: "0" | "1"): Promise<number | Buffer>;
  celeriacPartReturned(...keysAndArgs: (string | number | Buffer)[]): Promise<[number, string, string, number]>;
  celeriacChordDone(...keysAndArgs: (string | number)[]): Promise<number>;
  celeriacExtendClaim(claim: string, size: string, token: string, seconds: number): Promise<number>;
}

/** Teaches a connection the scripts; they are loaded into the server when they are first called. */
export function withScripts(redis: Redis): ScriptedRedis {
  redis.defineCommand("celeriacStore", { lua: STORE, numberOfKeys: 1 });
  redis.defineCommand("celeriacPartReturned", { lua: PART_RETURNED, numberOfKeys: 6 });
  redis.defineCommand("celeriacChordDone", { lua: CHORD_DONE, numberOfKeys: 5 });
  redis.defineCommand("celeriacExtendClaim", { lua: EXTEND_CLAIM, numberOfKeys: 2 });
  return redis as ScriptedRedis;
}
