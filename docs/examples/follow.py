"""Follow deployments live: python docs/examples/follow.py TOKEN [ADDRESS]"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

QUESTION = "subscription { deploymentEvents { type deploymentId deployment { phase } } }"


async def follow(token: str, address: str) -> None:
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(
            json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        )
        await socket.recv()  # connection_ack; a credential that is no good closes the socket instead
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": QUESTION}}))
        async for message in socket:
            event = json.loads(message)["payload"]["data"]["deploymentEvents"]
            phase = event["deployment"]["phase"] if event["deployment"] else ""
            print(f"{event['type']:<9} {event['deploymentId'] or '':<42} {phase}", flush=True)


asyncio.run(follow(sys.argv[1], (sys.argv[2:] or ["ws://localhost:3001/graphql"])[0]))
