-- wrk with the same requests as bench_client and the same line of JSON as its answer.
-- Arguments: paths with weights ("/512:85,/64k:10"), body bytes, header lines, 1 to close.
local requests, position = {}, 0

function init(arguments)
    local paths, body, headers, close = arguments[1], tonumber(arguments[2]), tonumber(arguments[3]),
                                        arguments[4] == "1"
    for i = 0, headers - 1 do
        wrk.headers["X-Bench-Header-" .. i] = string.rep("v", 40)
    end
    if close then
        wrk.headers["Connection"] = "close"
    end
    if body > 0 then
        wrk.method, wrk.body = "POST", string.rep("b", body)
        wrk.headers["Content-Type"] = "text/plain"
    end
    for path, weight in paths:gmatch("([^,:]+):?(%d*)") do
        local text = wrk.format(nil, path)
        for _ = 1, tonumber(weight) or 1 do
            requests[#requests + 1] = text
        end
    end
    math.randomseed(1)
    for i = #requests, 2, -1 do
        local j = math.random(i)
        requests[i], requests[j] = requests[j], requests[i]
    end
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.4f,"failures":%d,"status_4xx":%d,"bytes":%d,' ..
        '"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status, summary.bytes,
        latency:percentile(50), latency:percentile(90), latency:percentile(99),
        latency:percentile(99.9), latency.max))
end
