-- Begins to rebuild a board beside what readers see, whatever there is.
-- KEYS: the board.
-- ARGV: what it is rebuilt from ('log' or 'archive'), who fills it from the archive and for how
-- many ms at most without a sign of life ('', 0 for the log), the epoch at which it was found
-- wanting ('' for any, 0 for none), the epoch seen before, the rules, what the doubles mean
-- that they make, then for each partition: field, oldest offset, end of the log.
-- Returns 'ok', epoch, or 'filling' (someone does it already), or 'moved' (it stands elsewhere now).
local keys = keys_of(KEYS[1])
local mode, token, lease_ms, expected = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local seen_epoch, rules, meaning = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local partitions = {}
for i = 8, #ARGV, 3 do
  partitions[#partitions + 1] = { field = ARGV[i], low = ARGV[i + 1], high = ARGV[i + 2] }
end

local epoch = redis.call('HGET', keys.state, 'epoch') or '0'
if redis.call('EXISTS', keys.lease) == 1 then
  return { 'filling' }
end
if expected ~= '' and expected ~= epoch then
  return { 'moved' }
end
epoch = math.max(tonumber(epoch), seen_epoch) + 1
begin_board(keys, epoch, rules, meaning, mode, partitions)
if mode == 'archive' then
  redis.call('SET', keys.lease, token, 'PX', lease_ms)
else
  end_rebuild(keys)
end
leave(keys.state)
return { 'ok', string.format('%d', epoch) }
