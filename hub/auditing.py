"""What is done over HTTP beside GraphQL, and by commands, becomes entries of the audit (`auth.audit`)."""

import getpass
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from auth.audit import Act, Means, Origin, Outcome, Verdict, origin_of
from auth.audit_trail import Attempt, AuditTrail
from models.errors import DatabaseUnavailable
from models.ids import new_id
from models.tables import Session
from schema import auditing
from schema.errors import Refused

Endpoint = Callable[[Request], Awaitable[Response]]


def trail_of(scope: Scope) -> AuditTrail:
    trail: AuditTrail = scope["state"]["trail"]
    return trail


def origin(scope: Scope) -> Origin:
    state = scope["state"]
    return origin_of(state.get("identity"), address=state["client_address"], request_id=state["request_id"])


def origin_as(scope: Scope, *, actor_id: str, actor_name: str) -> Origin:
    """Of a request that proves only now who makes it, and has a session from now on."""
    state = scope["state"]
    return Origin(
        actor_id=actor_id,
        actor_name=actor_name,
        method=Means.SESSION,
        address=state["client_address"],
        request_id=state["request_id"],
    )


def command_origin() -> Origin:
    words = f"{account_name()}, at the command line"
    return Origin(actor_name=words, method=Means.CLI, request_id=new_id("cli"))


def account_name() -> str:
    """Of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, a number without a name
        return "somebody"


def noted(action: str, endpoint: Endpoint) -> Endpoint:
    """A route that is called `action` in the audit. What it refuses is noted; what it does, it does inside
    `acting`."""

    async def run(request: Request) -> Response:
        request.state.action, request.state.began = action, False
        try:
            return await endpoint(request)
        except Exception as error:
            if not request.state.began and (isinstance(error, Refused) or request.method != "GET"):
                _note(request, error)
            raise

    return run


def acting(request: Request, act: Act) -> AbstractAsyncContextManager[Attempt]:
    """Do the act inside: it is written down before. Raises DatabaseUnavailable."""
    request.state.began = True
    return auditing.acting(trail_of(request.scope), origin(request.scope), act)


def act_of(request: Request, chosen: object = None, *, target: str | None = None) -> Act:
    """From what was sent: names, ids, roles and places of it, and nothing else."""
    return auditing.act_of(request.state.action, chosen, target=target)


async def record_at_once(scope: Scope, act: Act, verdict: Verdict) -> None:
    """What has happened already, and is to be found again even if refusals are coming by the thousand."""
    try:
        await trail_of(scope).record(origin(scope), act, verdict)
    except DatabaseUnavailable:
        trail_of(scope).note(origin(scope), act, verdict)


async def origin_by_session(scope: Scope, session_id: str) -> Origin:
    """Of whoever holds the session."""
    row = await Session.get(id=session_id).select_related("user")
    return origin_as(scope, actor_id=row.user_id, actor_name=row.user.display_name)


def _note(request: Request, error: Exception) -> None:
    verdict = auditing.verdict_on(error)
    if isinstance(error, Refused):
        verdict = Verdict(Outcome.REFUSED, verdict.code, verdict.message)
    trail_of(request.scope).note(origin(request.scope), Act(action=request.state.action), verdict)
