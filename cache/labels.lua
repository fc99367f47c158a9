-- Joins the labels of an execution (labels.go). If a name has two values, a registered value
-- wins over one from the input, and otherwise the greater text wins, so that every order ends
-- with the same labels. If there are more than MAX_LABELS, registered labels stay first, and
-- then those whose names come first.

local labels = {}

-- Whether a comes before b. Compares bytes, because comparing strings follows the locale of
-- the server.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Adds each label of a text to the labels by name.
local function collect(text, known, all)
  local at = 1
  while at <= #text do
    local name_at = at + LABEL_HEAD
    local value_at = name_at + tonumber(string.sub(text, at + 1, at + LABEL_NAME_DIGITS))
    local stop = value_at + tonumber(string.sub(text, at + LABEL_NAME_DIGITS + 1, name_at - 1)) - 1
    local name, rank = string.sub(text, name_at, value_at - 1), string.sub(text, at, at)
    local one = {name = name, rank = rank, weight = rank .. string.sub(text, value_at, stop), text = string.sub(text, at, stop)}
    if not known[name] then
      all[#all + 1] = one
      known[name] = one
    elseif before(known[name].weight, one.weight) then
      for field, value in pairs(one) do known[name][field] = value end
    end
    at = stop + 1
  end
end

function labels.join(a, b)
  if a == b or b == '' then return a end
  if a == '' then return b end
  local known, all, texts = {}, {}, {}
  collect(a, known, all)
  collect(b, known, all)
  table.sort(all, function(x, y)
    if x.rank ~= y.rank then return before(y.rank, x.rank) end
    return before(x.name, y.name)
  end)
  for i = #all, MAX_LABELS + 1, -1 do all[i] = nil end
  table.sort(all, function(x, y) return before(x.name, y.name) end)
  for i, one in ipairs(all) do texts[i] = one.text end
  return table.concat(texts)
end
