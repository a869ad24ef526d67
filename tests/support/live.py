"""What a hub in this process holds for its live clients: a user notices it as memory and time alone."""

from collections.abc import Sequence

import pytest
from starlette.routing import Route

from schema.fanout import Cohort
from schema.view import View
from tests.support.hub import HubUnderTest
from tests.support.waiting import until


def view_of(hub: HubUnderTest) -> View:
    for route in hub.running.app.routes:
        if isinstance(route, Route) and isinstance(view := route.endpoint, View):
            return view
    raise AssertionError("nothing is served at /graphql")


def cohorts(hub: HubUnderTest) -> Sequence[Cohort]:
    """The companies of subscribers."""
    return view_of(hub).fanout._all()


async def until_cohorts(hub: HubUnderTest, *sizes: int) -> None:
    async def stand() -> bool:
        return sorted(len(cohort.members) for cohort in cohorts(hub)) == sorted(sizes)

    try:
        await until(stand)
    except TimeoutError:
        pytest.fail(f"{[len(cohort.members) for cohort in cohorts(hub)]} instead of {sizes}")


async def until_nothing_is_held(hub: HubUnderTest) -> None:
    view = view_of(hub)

    async def nothing() -> bool:
        return not (cohorts(hub) or len(view.connections) or len(view.quota))

    try:
        await until(nothing)
    except TimeoutError:
        pytest.fail(f"{cohorts(hub)}, {len(view.connections)} connections, {len(view.quota)} operations")
