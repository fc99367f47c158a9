-- Reads the heads of records (layout.go), for the scripts that follow this text. For every
-- format they see the identity and times of compact records, in bytes, so that comparing them
-- is the same for all formats.

local record = {}
do
  local sub, byte, char, format, floor = string.sub, string.byte, string.char, string.format, math.floor

  -- Returns a number as the given number of bytes, the highest first.
  function record.bytes(n, length)
    if length == 2 then return char(floor(n / 256), n % 256) end
    if length == 3 then return char(floor(n / 65536), floor(n / 256) % 256, n % 256) end
    local high, low = floor(n / 16777216), n % 16777216
    return char(floor(high / 65536), floor(high / 256) % 256, high % 256, floor(low / 65536), floor(low / 256) % 256, low % 256)
  end

  -- Returns a time in digits as bytes. The base is given because without it miniredis takes a
  -- leading 0 for octal.
  function record.time_bytes(digits) return record.bytes(tonumber(digits, 10), 6) end

  -- Returns the number in 6 bytes of a text.
  function record.number(text, at)
    local a, b, c, d, e, f = byte(text, at, at + 5)
    return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
  end

  -- Returns the time in 6 bytes, with the given number of digits.
  function record.digits(bytes, digits) return format('%0' .. digits .. '.0f', record.number(bytes, 1)) end

  -- Returns the redrive count in an identity.
  function record.redrives(identity)
    local a, b, c = byte(identity, REDRIVES, REDRIVES_END)
    return (a * 256 + b) * 256 + c
  end

  local function identity_bytes(digits)
    local state = sub(digits, DIGITS_RANK, DIGITS_RANK) .. sub(digits, DIGITS_COMPLETE, DIGITS_COMPLETE)
    return record.time_bytes(sub(digits, DIGITS_START, DIGITS_START_END))
      .. record.bytes(tonumber(sub(digits, DIGITS_REDRIVES, DIGITS_REDRIVES_END), 10), 3) .. char(tonumber(state, 10))
      .. string.gsub(sub(digits, DIGITS_HASH), '..', function(two) return char(tonumber(two, 16)) end)
  end

  -- Returns an identity in digits.
  function record.identity_digits(identity)
    local state = byte(identity, STATE)
    return record.digits(identity, DIGITS_START_END) .. format('-%05d-%d-%d', record.redrives(identity), floor(state / 10), state % 10)
      .. format('%02x%02x%02x%02x%02x%02x%02x%02x', byte(identity, HASH, IDENTITY_LENGTH))
  end

  -- Whether this release can read a record with this beginning.
  function record.known(head)
    local f = sub(head, 1, 1)
    return f == COMPACT_FORMAT or f == FORMAT or f == LABELED_FORMAT or f == OLDER_FORMAT
  end

  function record.compact(head) return sub(head, 1, 1) == COMPACT_FORMAT end

  -- Returns the identity in the beginning of a record: its version and the hash of its body.
  function record.identity(head)
    if record.compact(head) then return sub(head, COMPACT_IDENTITY, COMPACT_IDENTITY_END) end
    return identity_bytes(sub(head, IDENTITY, IDENTITY_END))
  end

  -- Returns the lengths of owner, input type, labels and payload, and that of the head.
  function record.lengths(head)
    if record.compact(head) then
      local a, b, c, d, e, f, g, h = byte(head, COMPACT_LENGTHS, COMPACT_LENGTHS_END)
      return a * 256 + b, c, d * 256 + e, (f * 256 + g) * 256 + h, COMPACT_HEAD
    end
    local f, labels, payload, fixed = sub(head, 1, 1), 0, 0, HEAD
    if f == OLDER_FORMAT then
      fixed = OLDER_HEAD
    else
      payload = tonumber(sub(head, PAYLOAD_LENGTH, PAYLOAD_LENGTH_END), 10)
    end
    if f == LABELED_FORMAT then
      labels, fixed = tonumber(sub(head, LABELS_LENGTH, LABELS_LENGTH_END), 10), LABELED_HEAD
    end
    return tonumber(sub(head, OWNER_LENGTH, OWNER_LENGTH_END), 10), tonumber(sub(head, TYPE_LENGTH, TYPE_LENGTH_END), 10), labels, payload, fixed
  end
end
