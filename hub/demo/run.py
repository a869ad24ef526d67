"""`make demo`: the hub with three simulated clusters and five ready people, on loopback."""

from collections.abc import Mapping
from datetime import UTC, datetime

from cluster.feed import Fleet
from cluster.wakeups import until
from hub.app import running_hub
from hub.demo.clusters import demo_clusters, write_kubeconfigs
from hub.demo_users import ensure_demo_users
from hub.server import Server, configure, listen
from hub.settings import Settings

LIVE_WITHIN = 10.0
"""Seconds that the start waits for the clusters."""
BANNER = """
  KubeAIRunway Hub, demo: three simulated clusters, five ready people.

  Explorer   {address}/graphql
  Sign in    {address}/login

  An access token for each person, new at every start:
{tokens}
  A first query:
    curl -s {address}/graphql -H 'content-type: application/json' \\
      -H 'authorization: Bearer {token}' \\
      -d '{{"query":"{{ deployments {{ totalCount nodes {{ id phase }} }} }}"}}'

  Ctrl+C ends it.
"""


async def run_demo(settings: Settings) -> None:
    """Run the demo until SIGINT or SIGTERM."""
    with listen(settings.http) as listening:
        async with demo_clusters() as clusters:
            await write_kubeconfigs(clusters, settings.credentials.path)
            async with running_hub(settings) as hub:
                tokens = await ensure_demo_users(now=datetime.now(UTC))
                # So that the first query finds what the banner promises.
                await until(hub.manager, lambda: _live(hub.manager) == len(clusters), within=LIVE_WITHIN)
                banner = _banner(f"http://localhost:{listening.getsockname()[1]}", tokens)
                await Server(configure(hub.app), on_started=lambda: print(banner, flush=True)).serve(
                    sockets=[listening]
                )


def _live(fleet: Fleet) -> int:
    return sum(feed.state.live for feed in fleet.feeds.values())


def _banner(address: str, tokens: Mapping[str, str]) -> str:
    lines = "".join(f"    {name:<9}  {token}\n" for name, token in tokens.items())
    return BANNER.format(address=address, tokens=lines, token=tokens["admin"])
