"""Page through deployments, create one and follow it: python docs/examples/deployments.py TOKEN [ADDRESS]"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

PAGE = """query Page($filter: DeploymentFilter, $after: String) {
  deployments(filter: $filter, first: 2, after: $after) {
    nodes { id phase }
    pageInfo { hasNextPage endCursor }
  }
}"""
CREATE = """mutation Create($input: CreateDeploymentInput!) {
  createDeployment(input: $input) { deployment { id phase } }
}"""
FOLLOW = """subscription Follow($filter: DeploymentFilter) {
  deploymentEvents(filter: $filter) { type deploymentId deployment { phase } }
}"""
NAME = f"gql-{int(time.time())}"
NEW = {"instanceId": "prod-east", "namespace": "ml-team", "name": NAME, "model": {"id": "Qwen/Qwen3-8B"}}


async def deployments(hub: AsyncClientSession) -> AsyncIterator[dict[str, Any]]:
    after = None
    while True:
        variables = {"filter": {"instanceIds": ["prod-east"]}, "after": after}
        page = (await hub.execute(GraphQLRequest(PAGE, variable_values=variables)))["deployments"]
        for node in page["nodes"]:
            yield node
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


async def follow(address: str, token: str) -> None:
    """Until what was created runs."""
    transport = WebsocketsTransport(
        url=address.replace("http", "ws", 1),
        init_payload={"authorization": f"Bearer {token}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    variables = {"filter": {"instanceIds": ["prod-east"], "name": NAME}}
    async with Client(transport=transport) as hub:
        async for answer in hub.subscribe(GraphQLRequest(FOLLOW, variable_values=variables)):
            event = answer["deploymentEvents"]
            phase = event["deployment"]["phase"] if event["deployment"] else ""
            print(event["type"], event["deploymentId"] or "", phase)
            if phase == "RUNNING":
                return


async def main(token: str, address: str = "http://localhost:3001/graphql") -> None:
    transport = AIOHTTPTransport(address, headers={"authorization": f"Bearer {token}"})
    async with Client(transport=transport) as hub:
        async for node in deployments(hub):
            print(node["phase"], node["id"])
        create = GraphQLRequest(CREATE, variable_values={"input": NEW})
        print("created", (await hub.execute(create))["createDeployment"]["deployment"]["id"])
        try:
            await hub.execute(create)
        except TransportQueryError as error:
            print([each["extensions"]["code"] for each in error.errors or []], error)
    await follow(address, token)


asyncio.run(main(*sys.argv[1:]))
