-- One JSON line when the run ends: exact counts instead of wrk's rounded text. `done` alone keeps wrk on its fast path.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"elapsed_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
        summary.requests, summary.duration, latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
