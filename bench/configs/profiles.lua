-- Asks for a profile with the token of another account each time.
local tokens = {
@TOKENS@
}
local requests = {}
function init()
    for index, token in ipairs(tokens) do
        requests[index] = wrk.format('GET', '/api/profile', { ['Authorization'] = 'Bearer ' .. token })
    end
end
local turn = 0
function request()
    turn = turn % #requests + 1
    return requests[turn]
end
