"""Reports, as an ASGI application under uvicorn. To be run by Phalanx a program has to do three things, marked 1 to 3 here; nothing in
it knows of Phalanx, and any ASGI framework does in its place."""

import json
import os

import uvicorn

# The name is there for logs.
INSTANCE = os.environ.get("PHALANX_INSTANCE", "reports")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "http":
        status, document = answer(scope, await whole_body(receive))
        await respond(send, status, document)


def answer(scope, body):
    match (scope["method"], scope["path"]):
        # 2. It tells whether it may be sent requests.
        case ("GET", "/ready"):
            return 200, {"ready": True}
        case ("GET", "/"):
            return 200, {"instance": INSTANCE, "language": "Python"}
        case ("POST", "/sum"):
            return total(body)
        case _:
            return 404, {"error": "No such page"}


def total(body):
    try:
        numbers = [float(number) for number in json.loads(body)]
    except (TypeError, ValueError):
        return 400, {"error": "A list of numbers is summed"}
    return 200, {"sum": sum(numbers), "by": INSTANCE}


async def whole_body(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def respond(send, status, document):
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive, send):
    await receive()
    print("starting", flush=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("drained", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    # 1. It listens on 127.0.0.1 and the port in `PORT`.
    # 3. On TERM uvicorn finishes what it has begun, and ends. By then the gateway sends it nothing more.
    # A connection is kept for longer than the gateway keeps an idle one, so that the gateway ends it.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8000")),
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
