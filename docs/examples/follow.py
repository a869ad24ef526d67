"""Follow deployments live, through restarts of the hub: python docs/examples/follow.py TOKEN [ADDRESS]"""

import asyncio
import json
import sys
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

QUESTION = "subscription { deploymentEvents { type deploymentId deployment { phase } } }"
OURS = 4400
"""From this close code on it is our fault, such as a bad credential: nothing to try again."""


async def follow(token: str, address: str) -> None:
    # Connects again when the connection is lost, after delays that grow while the hub can't be reached.
    async for socket in connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]):
        try:
            payload = {"authorization": f"Bearer {token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            await socket.recv()  # connection_ack
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": QUESTION}}))
            async for message in socket:
                show(json.loads(message))
        except ConnectionClosed:
            pass
        if socket.close_code and socket.close_code >= OURS:
            sys.exit(socket.close_reason)
        await asyncio.sleep(1)


def show(message: dict[str, Any]) -> None:
    if message["type"] == "error":  # the stream has ended: "payload" says why
        sys.exit(json.dumps(message["payload"]))
    if message["type"] == "next":
        event = message["payload"]["data"]["deploymentEvents"]
        phase = event["deployment"]["phase"] if event["deployment"] else ""
        print(f"{event['type']:<9} {event['deploymentId'] or '':<42} {phase}", flush=True)


asyncio.run(follow(sys.argv[1], (sys.argv[2:] or ["ws://localhost:3001/graphql"])[0]))
