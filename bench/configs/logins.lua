-- A login of another account from another address each time, so that it is the hash that answers and no limit of attempts.
local turn = math.random(1, 1000000) * 1000
function request()
    turn = turn + 1
    local body = string.format('{"email":"nobody-%d@example.com","password":"a wrong guess of one"}', turn)
    local address = string.format('10.%d.%d.%d', math.random(0, 255), math.random(0, 255), math.random(1, 254))
    local headers = { ['Content-Type'] = 'application/json', ['X-Forwarded-For'] = address }
    return wrk.format('POST', '/api/auth/login', headers, body)
end
