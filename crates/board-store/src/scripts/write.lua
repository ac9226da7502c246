-- Marks where a script's writes begin and end. Comes before the scripts that write more than once.
--
-- A server whose append-only file was cut within a script's writes drops them when it starts, but
-- may leave the first of them in the file, and apply those when it starts the next time, before
-- what was written since (valkey-io/valkey#4342). One mark is counted up and the other set to the
-- count, so that they differ after any write that was applied a second time or by half.
local function enter(state)
  redis.call('HINCRBY', state, 'entered', 1)
end
local function leave(state)
  redis.call('HSET', state, 'left', redis.call('HGET', state, 'entered'))
end
