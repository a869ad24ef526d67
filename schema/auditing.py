"""What people do becomes entries of the audit (`auth.audit`): the hook of the guards, and of the façade.

A mutation that its guard lets through is written down before it runs. What a guard refuses, of mutations,
queries and subscriptions alike, is noted afterwards and holds nobody up.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from graphql import FieldNode, GraphQLError, OperationType

from auth.audit import Act, Origin, Outcome, Verdict, origin_of
from auth.audit_trail import Attempt, AuditTrail
from auth.errors import AuthError, InvalidRequest, Reason, Unauthenticated
from cluster.errors import ApiError, ClusterError, InvalidDraft
from models.errors import DatabaseUnavailable, RateLimited
from resolvers.errors import BadInput, NotFound, UseCaseError
from schema.common import given
from schema.context import Context, Info
from schema.errors import LimitExceeded, Refused, cause_of, describe

Resolver = Callable[..., Awaitable[Any]]

_KNOWN = (Refused, AuthError, UseCaseError, ClusterError, LimitExceeded, RateLimited, DatabaseUnavailable)
"""What `schema.errors.describe` knows; all else is INTERNAL, and logged when it is told."""
_REFUSALS = ("UNAUTHENTICATED", "FORBIDDEN", "RATE_LIMITED")

_REASON = re.compile("[A-Za-z]{1,40}")
"""Kubernetes' word for what is wrong; a webhook may write there what it likes."""

_TARGETS = ("grant_id", "id", "user_id", "name", "group_id")
"""Fields of an input that say what it is about; the first one that is there."""
_NOTED = (
    "provider", "role", "instance_ids", "namespaces", "active", "expires_at", "session_ids",
)  # fmt: skip
"""Fields of an input that are noted. A new field isn't, until somebody has made sure that it is no secret."""
_MADE = ("access_token", "grant", "mapped")
"""Fields of a payload that hold something new with an id."""


def origin(context: Context) -> Origin:
    return origin_of(context.identity, address=context.address, request_id=context.request_id)


def is_act(info: Info) -> bool:
    """Whether the field is one of the mutation root's."""
    raw = info._raw_info
    return raw.operation.operation is OperationType.MUTATION and raw.path.prev is None


async def perform(
    guard: Callable[..., Any], next_: Callable[..., Any], source: Any, info: Info, kwargs: Mapping[str, Any]
) -> Any:
    """A mutation: `guard` calls what it is given in place of the resolver, or raises."""
    act = act_of(info.field_name, kwargs.get("input"))
    try:
        allowed = guard(partial(_run, next_, act), source, info, **kwargs)
    except (Refused, NotFound) as error:
        verdict = verdict_on(error)
        refused = Verdict(Outcome.REFUSED, verdict.code, verdict.message)
        info.context.services.trail.note(origin(info.context), act, refused)
        raise
    except Exception as error:  # names that are none: nothing of them is repeated
        info.context.services.trail.note(origin(info.context), Act(action=act.action), verdict_on(error))
        raise
    return await allowed


async def _run(next_: Resolver, act: Act, source: Any, info: Info, **kwargs: Any) -> Any:
    async with acting(info.context.services.trail, origin(info.context), act) as attempt:
        result = await next_(source, info, **kwargs)
        note_what_was_made(attempt, result)
        return result


def acting(trail: AuditTrail, by: Origin, act: Act) -> AbstractAsyncContextManager[Attempt]:
    """Do the act inside; see `AuditTrail.acting`."""
    return trail.acting(by, act, judge=verdict_on)


def note_what_was_made(attempt: Attempt, result: Any) -> None:
    for name in _MADE:
        made = getattr(result, name, None)
        made_id = getattr(getattr(made, "mapping", made), "id", None)
        if isinstance(made_id, str) and made_id != attempt.entry.target:
            attempt.makes(made_id)


def act_of(action: str, chosen: object, *, target: str | None = None) -> Act:
    """From a mutation's name and input: ids, names, roles and places, and nothing else that it holds.

    `target` is given where the input doesn't say what it is about.
    """
    values = {name: given(getattr(chosen, name, None)) for name in (*_TARGETS, *_NOTED)}
    namespace, place = given(getattr(chosen, "namespace", None)), given(getattr(chosen, "instance_id", None))
    target = target or next((values[name] for name in _TARGETS if values[name] is not None), None)
    if namespace is None and values["namespaces"] is not None and len(values["namespaces"]) == 1:
        namespace = values["namespaces"][0]
    notes = [_noted(name, values[name]) for name in _NOTED if values[name] is not None]
    if given(getattr(chosen, "dry_run", None)) is True:
        notes.append("dry run")
    if given(getattr(chosen, "kubeconfig", None)) is not None:
        notes.append("with a kubeconfig")
    return Act(
        action=action,
        instance_id=place if place is not None else _instance(action, target),
        namespace=namespace,
        target=target,
        note="; ".join(notes) or None,
    )


def _instance(action: str, target: str | None) -> str | None:
    """An instance is both where an act is and what it is done to."""
    return target if action in ("registerInstance", "updateInstance", "removeInstance") else None


def _noted(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, (list, tuple)):
        return f"{words} {', '.join(map(str, value))}"
    return f"{words} {getattr(value, 'name', value)}"


def verdict_on(error: BaseException) -> Verdict:
    """What is written of an error. What people sent and what clusters quote isn't repeated."""
    if not isinstance(error, _KNOWN):
        return Verdict(Outcome.FAILED, "INTERNAL", "unexpected; the request id finds it in the log")
    problem = describe(error)
    message = problem.message
    if isinstance(error, ApiError):
        reason = error.reason if _REASON.fullmatch(error.reason or "") else ""
        message = f"the API server answered {error.status} {reason}".strip()
    elif isinstance(error, (BadInput, InvalidDraft)) or (
        isinstance(error, InvalidRequest) and error.problems
    ):
        paths = [path for path, _ in error.problems]
        message = f"not as they should be: {', '.join(paths)}"
    outcome = Outcome.REFUSED if problem.code in _REFUSALS else Outcome.FAILED
    return Verdict(outcome, problem.code, message)


def note_bad_credential(trail: AuditTrail, error: AuthError, *, address: str | None, request_id: str) -> None:
    """Not what has merely expired: browsers show that every fifteen minutes, and come to refresh it."""
    if isinstance(error, Unauthenticated) and error.reason is not Reason.TOKEN_EXPIRED:
        verdict = Verdict(Outcome.REFUSED, "UNAUTHENTICATED", f"{error} ({error.reason})")
        stranger = origin_of(None, address=address, request_id=request_id)
        trail.note(stranger, Act(action="authenticate"), verdict)


def note_refusals(errors: Iterable[GraphQLError] | None, context: Context) -> None:
    """Of a query or a subscription, each field's refusal once, however often it was asked for."""
    noted = set()
    for error in errors or ():
        cause = cause_of(error)
        node = error.nodes[0] if error.nodes else None
        if isinstance(cause, Refused) and isinstance(node, FieldNode) and node.name.value not in noted:
            noted.add(node.name.value)
            place = cause.refusal.place
            act = Act(action=node.name.value, instance_id=place.instance_id, namespace=place.namespace)
            verdict = verdict_on(cause)
            refused = Verdict(Outcome.REFUSED, verdict.code, verdict.message)
            context.services.trail.note(origin(context), act, refused)
