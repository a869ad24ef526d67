"""The command line: `python -m hub …`. Exit codes: 0 done, 1 it can't be done, 2 wrongly asked.

What a command alone needs is imported inside it: the whole hub takes a second, a wrong setting shows at once.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from auth.accounts import (
    Account,
    create_token,
    ensure_user,
    find_user,
    grant_role,
    list_accounts,
    revoke_role,
    revoke_token,
)
from auth.audit import Act
from auth.audit_trail import Attempt, AuditTrail
from auth.errors import AuthError, InvalidRequest
from auth.grants import TokenLimits
from auth.people import Person, parse_person
from auth.permissions import Grant, GrantSource, Role, Scope
from credentials.names import is_dns_label
from hub.environment import forget_secrets
from hub.rules import grant_rules
from hub.settings import Settings, SettingsError, is_local, load_settings
from models.database import open_database
from models.errors import DatabaseError
from models.migrate import migrate as migrate_database
from models.rekeying import Rekeyed
from models.rekeying import rekey as seal_anew
from models.tables import Instance

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
users = typer.Typer(no_args_is_help=True, help="People and what they may do.")
token = typer.Typer(no_args_is_help=True, help="Access tokens, for programs and for curl.")
app.add_typer(users, name="users")
app.add_typer(token, name="token")


class RoleName(StrEnum):
    VIEWER = "viewer"
    DEPLOYER = "deployer"
    ADMIN = "admin"


def _person(text: str) -> Person:
    try:
        return parse_person(text)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error


def _names(given: list[str] | None) -> list[str] | None:
    for name in given or ():
        if not is_dns_label(name):
            raise typer.BadParameter(
                f"{name!r} is no name of Kubernetes: lower-case letters, digits and '-', at most 63"
            )
    return given


def _lifetime(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time: write 12h, 30d or 52w")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[match[2]]
    return timedelta(**{unit: int(match[1])})


ThePerson = Annotated[
    Person, typer.Argument(metavar="PROVIDER:SUBJECT", parser=_person, help="For example github:1001.")
]
Instances = Annotated[list[str] | None, typer.Option("--instance", callback=_names, help="May be repeated.")]
Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", callback=_names, help="May be repeated.")
]


@app.command()
def serve() -> None:
    """Run the hub: the portal with HUB_MODE=true, else local mode, for the person at this machine."""
    with _explained():
        settings = load_settings(local=is_local())
        forget_secrets()
        import uvloop

        from hub.logs import configure_logging
        from hub.server import serve as run

        configure_logging(settings.log)
        uvloop.run(run(settings))


@app.command()
def demo() -> None:
    """Run the hub with three simulated clusters and five ready people, on this machine alone."""
    with _explained():
        settings = load_settings(demo=True)
        import uvloop

        from hub.demo.run import run_demo
        from hub.logs import configure_logging

        configure_logging(settings.log)
        uvloop.run(run_demo(settings))


@app.command()
def migrate() -> None:
    """Bring the database up to date; `serve` does it by itself."""
    with _explained():
        applied = asyncio.run(migrate_database(load_settings().database.url))
    print("\n".join(f"Applied {name}" for name in applied) or "Nothing to do")


@app.command()
def rekey() -> None:
    """Seal what is stored sealed anew, with the present ENCRYPTION_KEY; beside a running hub too."""

    async def run(settings: Settings) -> Rekeyed:
        async with open_database(settings.database.url) as database:
            with database.entered():
                async with _audited(Act(action="rekey")):
                    return await seal_anew(settings.auth.sealer())

    with _explained():
        done = asyncio.run(run(load_settings()))
    print(f"Sealed anew: {done.anew}; sealed with the present key before: {done.current}")
    if done.broken:
        print("Couldn't be opened:", *done.broken, sep="\n", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from schema.build import build_schema

    print(build_schema().as_str())


@users.command("list")
def list_users() -> None:
    """Everybody with their grants and access tokens."""
    _, accounts = _in_database(lambda settings: list_accounts(rules=grant_rules(settings)))
    for account in accounts:
        print("\n".join(_lines(account)))


@users.command()
def grant(
    person: ThePerson,
    role: Annotated[RoleName, typer.Option()],
    instance: Annotated[
        str | None,
        typer.Option(callback=lambda name: name and (_names([name]) and name), help="Left out: all of them."),
    ] = None,
    namespace: Namespaces = None,
    name: Annotated[str | None, typer.Option(help="How to call somebody who never signed in.")] = None,
) -> None:
    """Give a role at some places. Creates the person if they are new."""

    async def work(settings: Settings) -> str:
        scope = Scope(instance, tuple(namespace) if namespace else None)
        await _check_known(settings, [instance] if instance else [])
        user_id = await ensure_user(person, display_name=name)
        given = await grant_role(user_id, Role[role.name], scope, granted_by=None)
        return f"{person} ({user_id}) is {role} {_place(given.scope)} by {given.id}"

    note = f"role {role.name}" + (f"; namespaces {', '.join(namespace)}" if namespace else "")
    act = Act(action="assignRole", instance_id=instance, target=str(person), note=note)
    print(_in_database(work, act)[1])


@users.command()
def revoke(grant_id: Annotated[str, typer.Argument(metavar="GRANT", help="grt_…, as listed.")]) -> None:
    """Take a grant back."""
    now = datetime.now(UTC)
    _in_database(
        lambda settings: revoke_role(grant_id, rules=grant_rules(settings), now=now),
        Act(action="revokeRole", target=grant_id),
    )
    print(f"Revoked {grant_id}")


@token.command()
def create(
    person: ThePerson,
    name: Annotated[str, typer.Option(help="What it is for.")],
    role: Annotated[RoleName | None, typer.Option(help="The most that it may do.")] = None,
    instance: Instances = None,
    namespace: Namespaces = None,
    expires: Annotated[
        timedelta | None, typer.Option(parser=_lifetime, metavar="30d", help="Left out: never.")
    ] = None,
) -> None:
    """Make an access token of somebody's. Its secret goes to standard output, once."""
    limits = TokenLimits(
        Role[role.name] if role else None,
        tuple(instance) if instance else None,
        tuple(namespace) if namespace else None,
    )

    async def work(settings: Settings) -> tuple[str, str]:
        await _check_known(settings, instance or [])
        now = datetime.now(UTC)
        ends = now + expires if expires else None
        administrator = person in settings.auth.administrators
        user_id = await (ensure_user(person) if administrator else find_user(person))
        info, minted = await create_token(user_id, name=name, limits=limits, expires_at=ends, now=now)
        until = f"until {ends:%Y-%m-%d %H:%M} UTC" if ends else "without an end"
        return minted.secret, f"{info.id} of {person}, {until}. This is shown once:"

    act = Act(action="createAccessToken", target=name, note=f"for {person}")
    secret, explanation = _in_database(work, act)[1]
    print(explanation, file=sys.stderr, flush=True)
    print(secret)


@token.command("revoke")
def revoke_a_token(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="tok_…, as listed.")],
) -> None:
    """End an access token."""
    _in_database(
        lambda _settings: revoke_token(token_id, now=datetime.now(UTC)),
        Act(action="revokeAccessToken", target=token_id),
    )
    print(f"Revoked {token_id}")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (SettingsError, AuthError, DatabaseError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


def _in_database(
    work: Callable[[Settings], Coroutine[Any, Any, T]], act: Act | None = None
) -> tuple[Settings, T]:
    """Everything that `work` does, or nothing. An act's entry in the audit stands either way."""

    async def run(settings: Settings) -> T:
        async with open_database(settings.database.url) as database:
            with database.entered():
                async with _audited(act) if act else nullcontext(), database.transaction():
                    return await work(settings)

    with _explained():
        settings = load_settings()
        return settings, asyncio.run(run(settings))


def _audited(act: Act) -> AbstractAsyncContextManager[Attempt]:
    from hub.auditing import command_origin
    from schema.auditing import acting

    return acting(AuditTrail(), command_origin(), act)


async def _check_known(settings: Settings, names: list[str]) -> None:
    rows = {row.id: row for row in await Instance.all()}
    files = {file.stem for file in settings.credentials.path.glob("*.kubeconfig")}
    removed = {name for name, row in rows.items() if row.removed_at is not None}
    known = (rows.keys() | {name for name in files if is_dns_label(name)}) - removed
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or f"none; put NAME.kubeconfig into {settings.credentials.path}"
            raise InvalidRequest(f"There is no instance {name!r}. Known: {listed}")


def _lines(account: Account) -> Iterator[str]:
    state = "" if account.active else "  (deactivated)"
    yield f"{account.person}  {account.display_name}  {account.id}{state}"
    for given in account.grants:
        yield f"  {_told(given)}"
    for info in account.tokens:
        if info.revoked_at is None:
            ends = f"  until {info.expires_at:%Y-%m-%d %H:%M} UTC" if info.expires_at else ""
            yield f"  {info.id}  {info.name}  {info.prefix}…{ends}"


def _told(given: Grant) -> str:
    """Only what was given by hand has an id to take it back by."""
    right = f"{given.role.name.lower()} {_place(given.scope)}"
    match given.source:
        case GrantSource.BOOTSTRAP:
            return f"{right}, by HUB_ADMINS"
        case GrantSource.GROUP if given.group is not None:
            return f"{right}, by the group {given.group.name or given.group.group_id}"
        case _:
            return f"{given.id}  {right}"


def _place(scope: Scope) -> str:
    where = f"on {scope.instance_id}" if scope.instance_id else "everywhere"
    return where if scope.namespaces is None else f"{where} in {', '.join(scope.namespaces)}"
