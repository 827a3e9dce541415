-- wrk's script: cycles through bodies, one a line of a file, and prints what wrk counted.
-- wrk -s wrk.lua URL -- BODIES PATH ACCEPT

local requests, count, position = {}, 0, 0

function init(arguments)
  local headers = {["Content-Type"] = "application/json", ["Accept"] = arguments[3]}
  for line in io.lines(arguments[1]) do
    count = count + 1
    requests[count] = wrk.format("POST", arguments[2], headers, line)
  end
end

function request()
  position = position % count + 1
  return requests[position]
end

function done(summary, latency)
  local errors, waits = summary.errors, {}
  for i = 1, #latency do
    local microseconds, times = latency(i)
    waits[i] = string.format("[%d,%d]", microseconds, times)
  end
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"waits":[%s]}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, table.concat(waits, ",")
  ))
end
