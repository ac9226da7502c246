-- The double under which a player stands: the same numbers as in the boards crate's `order`. Comes
-- before the scripts that need it.
local REACHED_BITS, DOUBLE_BITS = 36, 53

local function bits_below(total)
  local _, bits_above = math.frexp(total)
  return math.min(REACHED_BITS, DOUBLE_BITS - bits_above)
end

-- Total and reach time of a double.
local function total_and_time(score)
  local total = math.floor(score)
  local steps = 2 ^ bits_below(total)
  return total, (steps - 1 - (score - total) * steps) * 2 ^ REACHED_BITS / steps
end

-- The double of a total that was reached then.
local function score_of(total, reached)
  local bits = bits_below(total)
  local steps = 2 ^ bits
  local cut = math.floor(reached / 2 ^ (REACHED_BITS - bits))
  return string.format('%.17g', total + (steps - 1 - cut) / steps)
end
