-- Asks for another account each time, so that no answer comes from what the last one left in a cache.
function request()
    return wrk.format('GET', '/api/users/' .. math.random(1, @ACCOUNTS@))
end
