"""The audit log over GraphQL: every mutation leaves its entry, and no entry holds a secret."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from strawberry.types.field import StrawberryField
from websockets.exceptions import ConnectionClosed

from auth.accounts import create_token, ensure_user, grant_role
from auth.audit import Act, Entry, Means, Origin, Outcome, Verdict, make_entry, write_entries
from auth.audit_log import AuditFilter, list_entries
from auth.effective import GrantRules
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.mappings import create_mapping
from auth.people import Person
from auth.permissions import Group, Role, Scope
from hub.demo.cluster import SimulatedCluster
from hub.demo.resources import model_deployments
from models.url import parse_database_url
from schema.build import build_schema
from schema.guards import Guard
from tests.support.audits import ENTRIES, everything_written, log_of, the_entry
from tests.support.databases import running_postgres
from tests.support.hub import HubUnderTest, running
from tests.support.people import id_of, register, sign_in
from tests.support.surface import World, a_world
from tests.support.tls import over_https
from tests.support.waiting import until

OWN = Scope("east", ("ml-team",))
HIDDEN = "hunter2-a-value-of-the-environment"


class Done(NamedTuple):
    """A mutation, and what its entry says when an administrator has done it."""

    input: Mapping[str, Any]
    target: str | None
    note: str | None = None
    """`made` ends it where something new came of it."""
    place: tuple[str | None, str | None] = (None, None)


DEPLOYMENT = {"instanceId": "east", "namespace": "ml-team", "name": "new"}
ACTS: Mapping[str, Done] = {
    "createDeployment": Done(
        DEPLOYMENT | {"model": {"id": "m"}, "env": [{"name": "KEY", "value": HIDDEN}]},
        "new",
        place=("east", "ml-team"),
    ),
    "deleteDeployment": Done(DEPLOYMENT | {"dryRun": True}, "new", "dry run", ("east", "ml-team")),
    "updateUser": Done({"userId": "$somebody", "active": False}, "$somebody", "not active"),
    "assignRole": Done(
        {"userId": "$somebody", "role": "DEPLOYER", "instanceId": "east", "namespaces": ["a", "b"]},
        "$somebody",
        "role DEPLOYER; namespaces a, b; made",
        ("east", None),
    ),
    "revokeRole": Done({"grantId": "$grant"}, "$grant"),
    "createGroupMapping": Done(
        {"groupId": "g", "groupName": "G", "role": "VIEWER", "namespaces": ["a"]},
        "g",
        "provider ENTRA; role VIEWER; namespaces a; made",
        (None, "a"),
    ),
    "updateGroupMapping": Done({"id": "$mapping", "role": "DEPLOYER"}, "$mapping", "role DEPLOYER"),
    "deleteGroupMapping": Done({"id": "$mapping"}, "$mapping"),
    "createAccessToken": Done(
        {"name": "CI", "role": "VIEWER", "instanceIds": ["east"]},
        "CI",
        "role VIEWER; instance ids east; made",
    ),
    "revokeAccessToken": Done({"id": "$token"}, "$token"),
    "revokeSessions": Done(
        {"userId": "$somebody", "sessionIds": ["ses_none"]}, "$somebody", "session ids ses_none"
    ),
    "registerInstance": Done(
        {"name": "north", "kubeconfig": "$kubeconfig"}, "north", "with a kubeconfig", ("north", None)
    ),
    "updateInstance": Done({"id": "north", "displayName": "North"}, "north", place=("north", None)),
    "removeInstance": Done({"id": "north"}, "north", place=("north", None)),
}
"""Whoever adds a mutation adds it here."""


def mutation_of(name: str) -> str:
    kind = name[0].upper() + name[1:]
    return f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ __typename }} }}"


def mutations() -> dict[str, StrawberryField]:
    schema = build_schema()
    fields = schema._schema.mutation_type.fields if schema._schema.mutation_type else {}
    return {name: field.extensions["strawberry-definition"] for name, field in fields.items()}


class Names(NamedTuple):
    words: Mapping[str, str]
    root: str
    """A session of an administrator's."""
    root_id: str

    def filled(self, value: Any) -> Any:
        match value:
            case str():
                return self.words.get(value, value)
            case dict():
                return {key: self.filled(part) for key, part in value.items()}
            case _:
                return value


async def furnished(world: World, *, kubeconfig: str = "none") -> Names:
    """Somebody with a grant, a token and a mapping that may be taken away."""
    hub, now = world.hub, datetime.now(UTC)
    with hub.running.database.entered():
        await register("east")
        somebody = await ensure_user(Person(Provider.DEMO, "somebody"))
        grant = await grant_role(somebody, Role.VIEWER, OWN, granted_by=None)
        token, _ = await create_token(somebody, name="t", limits=TokenLimits(), expires_at=None, now=now)
        mapped = await create_mapping(
            Group(Provider.ENTRA, "ml", "ML"),
            Role.VIEWER,
            OWN,
            created_by=somebody,
            dry_run=False,
            rules=GrantRules(),
            now=now,
        )
    words = {"$somebody": somebody, "$grant": grant.id, "$token": token.id, "$mapping": mapped.mapping.id}
    words["$kubeconfig"] = kubeconfig
    root = await sign_in(hub, "root", Role.ADMIN)
    return Names(words, root, await id_of(hub, root))


# ---------------------------------------------------------------- every mutation


def test_every_mutation_is_in_the_table_and_has_a_guard_that_waits() -> None:
    """What isn't awaited passes by the guard's way of writing it down."""
    fields = mutations()
    assert fields.keys() == ACTS.keys()
    for name, field in fields.items():
        assert field.is_async, name
        assert any(isinstance(extension, Guard) for extension in field.extensions), name


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[str]:
    """Of one more cluster, `north`."""
    async with SimulatedCluster(name="north") as north, over_https(north, tmp_path) as text:
        yield text


async def test_every_mutation_leaves_its_entry(world: World, kubeconfig: str) -> None:
    hub, names = world.hub, await furnished(world, kubeconfig=kubeconfig)
    for name, done in ACTS.items():
        answer = await hub.http.post(
            "/graphql",
            json={"query": mutation_of(name), "variables": {"input": names.filled(dict(done.input))}},
            headers={"authorization": f"Bearer {names.root}", "x-request-id": f"request-{name}"},
        )
        assert "errors" not in answer.json(), answer.text
        (entry,) = await log_of(hub, world.admin, requestId=f"request-{name}")
        assert entry["id"].startswith("aud_")
        assert (entry["action"], entry["outcome"], entry["code"]) == (name, "SUCCEEDED", None)
        assert (entry["actor"], entry["actorName"]) == ({"id": names.root_id}, "root")
        assert (entry["method"], entry["ipAddress"]) == ("SESSION", "127.0.0.1")
        assert (entry["instanceId"], entry["namespace"]) == done.place, name
        assert entry["target"] == names.filled(done.target), name
        message, made = entry["message"], (done.note or "").endswith("made")
        assert (message.rpartition(" ")[0] if made else message) == done.note, name


async def test_every_mutation_that_is_refused_leaves_its_entry(world: World) -> None:
    """Of those that need no permission, a stranger's."""
    hub, names = world.hub, await furnished(world)
    viewer, anonymous = await hub.token("viewer", Role.VIEWER), 0
    for name, done in ACTS.items():
        variables = {"input": names.filled(dict(done.input))}
        needs_permission = name not in ("createAccessToken", "revokeAccessToken", "revokeSessions")
        token = viewer if needs_permission else None
        assert (await hub.ask(token, mutation_of(name), variables))["data"] == {name: None}
        refused = await the_entry(hub, actions=(name,))
        code = "FORBIDDEN" if needs_permission else "UNAUTHENTICATED"
        assert (refused.outcome, refused.code) == (Outcome.REFUSED, code), name
        assert (refused.instance_id, refused.namespace) == done.place, name
        assert refused.target == names.filled(done.target), name
        assert refused.method is (Means.ACCESS_TOKEN if needs_permission else Means.ANONYMOUS)
        anonymous += not needs_permission
    assert anonymous == 3


FAILURES = [
    ("createDeployment", {"name": "Not_A_Name"}, "BAD_USER_INPUT", "not as they should be: name"),
    ("createDeployment", {"instanceId": "nowhere"}, "NOT_FOUND", "There is no such thing"),
    ("deleteDeployment", {"name": "none"}, "NOT_FOUND", "the API server answered 404 NotFound"),
    ("revokeRole", {"grantId": "grt_none"}, "NOT_FOUND", "There is no such thing"),
    (
        "assignRole",
        {"instanceId": "north"},
        "BAD_USER_INPUT",
        "not as they should be: instanceId; role DEPLOYER; namespaces a, b",
    ),
    ("createAccessToken", {"name": ""}, "BAD_USER_INPUT", "not as they should be: name"),
]


async def test_what_fails_is_written_without_what_was_sent(world: World) -> None:
    hub, names = world.hub, await furnished(world)
    for name, changed, code, words in FAILURES:
        variables, since = {"input": names.filled({**ACTS[name].input, **changed})}, datetime.now(UTC)
        assert (await hub.ask(names.root, mutation_of(name), variables))["data"] == {name: None}, changed
        entry = await the_entry(hub, actions=(name,), since=since)
        assert (entry.outcome, entry.code) == (Outcome.FAILED, code), changed
        assert (entry.message or "").startswith(words), entry


async def test_what_a_cluster_says_is_not_repeated(world: World) -> None:
    """Kubernetes quotes the values that it refuses."""
    hub, names = world.hub, await furnished(world)
    create = ACTS["createDeployment"]
    for _ in range(2):
        await hub.ask(names.root, mutation_of("createDeployment"), {"input": dict(create.input)})
    newest = (await log_of(hub, world.admin, actions=["createDeployment"]))[0]
    assert (newest["outcome"], newest["code"]) == ("FAILED", "CONFLICT")
    assert newest["message"] == "the API server answered 409 AlreadyExists"


# ---------------------------------------------------------------- refusals of reading


async def test_refused_questions_are_noted_once(world: World) -> None:
    """However often it is asked for in one request; and what is narrowed isn't refused."""
    hub = world.hub
    viewer = await hub.token("viewer", Role.VIEWER)
    await hub.ask(viewer, "{ users { totalCount } again: users { totalCount } instances { totalCount } }")
    refused = await the_entry(hub, outcomes=(Outcome.REFUSED,))
    assert (refused.action, refused.code, refused.actor_name) == ("users", "FORBIDDEN", "viewer")
    assert refused.message == "You lack MANAGE_USERS on the hub"
    async with hub.socket(viewer) as socket:
        await socket.subscribe("subscription { auditEvents { id } }")
        assert (await socket.receive())["type"] == "error"
    followed = await the_entry(hub, actions=("auditEvents",))
    assert (followed.outcome, followed.code, followed.ip_address) == (
        Outcome.REFUSED, "FORBIDDEN", "127.0.0.1",
    )  # fmt: skip
    async with hub.socket(None) as socket:
        await socket.send(type="connection_init", payload={"authorization": "Bearer kah_wrong"})
        with pytest.raises(ConnectionClosed):
            await socket.receive()
    wrong = await the_entry(hub, actions=("authenticate",))
    assert (wrong.outcome, wrong.method, wrong.code) == (
        Outcome.REFUSED, Means.ANONYMOUS, "UNAUTHENTICATED",
    )  # fmt: skip
    await hub.ask(None, "{ instances { totalCount } }")
    stranger = await the_entry(hub, actions=("instances",))
    assert (stranger.outcome, stranger.method, stranger.actor_name) == (
        Outcome.REFUSED, Means.ANONYMOUS, "anonymous",
    )  # fmt: skip


# ---------------------------------------------------------------- no secret


async def test_no_entry_holds_a_secret(world: World, kubeconfig: str) -> None:
    """Values of env, kubeconfigs, secrets of tokens and sessions, and credentials that are shown where an id
    belongs."""
    hub, names = world.hub, await furnished(world, kubeconfig=kubeconfig)
    create = "mutation ($input: CreateAccessTokenInput!) { createAccessToken(input: $input) { secret } }"
    made = await hub.data(names.root, create, {"input": {"name": "CI"}})
    secret: str = made["createAccessToken"]["secret"]
    deployment = dict(ACTS["createDeployment"].input) | {
        "model": {"id": "m"},
        "engine": {"type": "VLLM", "extraArgs": [f"--api-key={HIDDEN}"]},
    }
    for changed in ({}, {}, {"name": "Bad_Name"}, {"instanceId": "nowhere"}, {"dryRun": True, "name": "b"}):
        await hub.ask(names.root, mutation_of("createDeployment"), {"input": deployment | changed})
    for name, key in (("revokeAccessToken", "id"), ("revokeRole", "grantId"), ("updateUser", "userId")):
        for pasted in (secret, names.root):
            await hub.ask(names.root, mutation_of(name), {"input": {key: pasted}})
    await hub.ask(names.root, create, {"input": {"name": secret}})
    for text in (kubeconfig, kubeconfig, kubeconfig.replace("https:", "http:"), f"token: {HIDDEN}"):
        await hub.ask(
            names.root, mutation_of("registerInstance"), {"input": {"name": "north", "kubeconfig": text}}
        )
    await hub.ask("kah_wrong" + HIDDEN, "{ viewer { id } }")
    await hub.ask(secret, '{ node(id: "x") { id } users { totalCount } }')
    await the_entry(hub, actions=("authenticate",))
    await hub.running.database.ping()
    with hub.running.database.entered():
        written = await everything_written()
    assert written.count("createDeployment") == 5
    values = re.findall(r"(?:token|certificate-authority-data|server): *[\"']?([^\s\"']{8,})", kubeconfig)
    assert len(values) >= 2, kubeconfig
    for hidden in (*values, HIDDEN, secret, names.root, world.admin, secret[10:30], names.root[-20:]):
        assert hidden not in written


# ---------------------------------------------------------------- reading


def some_entries(count: int) -> list[Entry]:
    origin = Origin(actor_name="Ada", method=Means.CLI, request_id="r")
    began = datetime(2026, 11, 1, tzinfo=UTC)
    return [
        make_entry(
            origin,
            Act(action="past", target=f"number {number}"),
            Verdict(Outcome.SUCCEEDED),
            # Three at each time: the order within is the id's.
            now=began + timedelta(microseconds=number // 3),
        )
        for number in range(count)
    ]


@pytest.fixture(params=["sqlite", "postgres"])
async def audited_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    url = None
    if request.param == "postgres":
        url = parse_database_url(request.getfixturevalue("postgres_url"))
    async with a_world(tmp_path, database=url) as world:
        yield world


async def test_pages_meet_every_entry_once_while_others_are_written(audited_world: World) -> None:
    hub, past = audited_world.hub, some_entries(500)
    with hub.running.database.entered():
        await write_entries(past)
    met: list[str] = []
    after, more = None, True
    while more:
        variables = {"first": 37, "after": after}
        page, _ = await asyncio.gather(
            hub.data(audited_world.admin, ENTRIES, variables),
            hub.ask(audited_world.admin, mutation_of("revokeRole"), {"input": {"grantId": "grt_none"}}),
        )
        met += [node["target"] for node in page["auditLog"]["nodes"] if node["action"] == "past"]
        after, more = page["auditLog"]["pageInfo"]["endCursor"], page["auditLog"]["pageInfo"]["hasNextPage"]
    expected = sorted(past, key=lambda entry: (entry.occurred_at, entry.id), reverse=True)
    assert met == [entry.target for entry in expected]
    found = await hub.data(audited_world.admin, ENTRIES, {"filter": {"actions": ["past"]}, "first": 1})
    assert found["auditLog"]["totalCount"] == 500


async def test_what_a_page_may_be(world: World) -> None:
    hub, admin = world.hub, world.admin
    for variables in (
        {"first": 0},
        {"first": 101},
        {"after": "x"},
        {"after": "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5LCJ4Il0"},
    ):
        (error,) = (await hub.ask(admin, ENTRIES, variables))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", variables


async def test_an_entry_is_found_by_its_id_by_those_who_may_read_the_log(world: World) -> None:
    hub, admin = world.hub, world.admin
    await hub.ask(admin, mutation_of("revokeRole"), {"input": {"grantId": "grt_found"}})
    (entry,) = await log_of(hub, admin, target="GRT_FOUND")
    query = f'{{ node(id: "{entry["id"]}") {{ ... on AuditEntry {{ action actor {{ displayName }} }} }} }}'
    assert await hub.data(admin, query) == {
        "node": {"action": "revokeRole", "actor": {"displayName": "admin"}}
    }
    assert await hub.data(await hub.token("viewer", Role.VIEWER), query) == {"node": None}


# ---------------------------------------------------------------- following

FOLLOW = """subscription ($filter: AuditFilter) {
  auditEvents(filter: $filter) { id action outcome target actorName actor { displayName } } }"""


@asynccontextmanager
async def two_hubs(folder: Path, url: str) -> AsyncIterator[tuple[World, HubUnderTest]]:
    database = parse_database_url(url)
    (folder / "other").mkdir()
    async with (
        a_world(folder, database=database) as world,
        running(folder / "other", database=database) as other,
    ):
        yield world, other


async def followed(hub: HubUnderTest, following: HubUnderTest, admin: str) -> None:
    """What is done on `hub` is told by `following`: the attempt perhaps, the outcome always, in order."""
    filter_ = {"actions": ["revokeRole", "users"], "target": None}
    async with following.socket(admin) as socket, following.socket(admin) as narrow:
        await socket.subscribe(FOLLOW, {"filter": filter_})
        await narrow.subscribe(FOLLOW, {"filter": {"outcomes": ["FAILED"], "target": "_2"}})
        await socket.is_quiet()
        await narrow.is_quiet()
        for number in range(3):
            variables = {"input": {"grantId": f"grt_{number}"}}
            await hub.ask(admin, mutation_of("revokeRole"), variables)
            await hub.ask(admin, mutation_of("deleteGroupMapping"), {"input": {"id": "map_none"}})
        finished: list[str] = []
        while len(finished) < 3:
            event = await socket.next()
            assert (event["action"], event["actor"]) == ("revokeRole", {"displayName": "admin"})
            if event["outcome"] == "FAILED":
                finished.append(event["target"])
        assert finished == ["grt_0", "grt_1", "grt_2"]
        assert (await narrow.next())["target"] == "grt_2"
        await hub.ask(None, "{ users { totalCount } }")
        refused = await socket.next()
        assert (refused["outcome"], refused["actorName"], refused["actor"]) == ("REFUSED", "anonymous", None)
        await narrow.is_quiet()


async def test_what_people_do_is_told_as_it_is_written(world: World) -> None:
    await followed(world.hub, world.hub, world.admin)


async def test_what_people_do_on_another_replica_is_told_too(tmp_path: Path, postgres_url: str) -> None:
    async with two_hubs(tmp_path, postgres_url) as (world, other):
        await until(lambda: listening(other))
        await followed(world.hub, other, world.admin)
        await followed(other, world.hub, world.admin)


async def listening(hub: HubUnderTest) -> bool:
    """Whether the hub answers; its bus listens from the start."""
    return (await hub.http.get("/readyz")).status_code == 200


async def test_a_stream_ends_with_the_right_to_it(world: World) -> None:
    hub = world.hub
    auditor = await sign_in(hub, "auditor", Role.ADMIN)
    with hub.running.database.entered():
        user_id = await ensure_user(Person(Provider.DEMO, "auditor"))
    async with hub.socket(auditor) as socket:
        await socket.subscribe(FOLLOW, {"filter": {"actions": ["nothing"]}})
        await socket.is_quiet()
        variables = {"input": {"userId": user_id, "role": "VIEWER"}}
        await hub.data(world.admin, mutation_of("assignRole"), variables)
        grants = await hub.data(world.admin, f'{{ user(id: "{user_id}") {{ grants {{ id role }} }} }}')
        (admin,) = [grant["id"] for grant in grants["user"]["grants"] if grant["role"] == "ADMIN"]
        await hub.data(world.admin, mutation_of("revokeRole"), {"input": {"grantId": admin}})
        message = await socket.receive(within=2)
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["reason"] == "ROLE_REVOKED"


# ---------------------------------------------------------------- fail closed


async def test_nothing_is_done_while_it_cannot_be_written_down(tmp_path: Path) -> None:
    """The database is away; the clusters aren't."""
    with running_postgres() as server:
        url = parse_database_url(f"{server.url}/postgres")
        async with a_world(tmp_path, database=url) as world:
            root = await sign_in(world.hub, "root", Role.ADMIN)
            assert (await world.hub.data(root, "{ viewer { displayName } }"))["viewer"]
            server.stop()
            variables = {"input": dict(ACTS["createDeployment"].input)}
            answer = await world.hub.ask(root, mutation_of("createDeployment"), variables)
            assert answer["data"] == {"createDeployment": None}
            assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            assert world.east.objects(model_deployments()) == []
            server.start()

            async def is_done() -> bool:
                return "errors" not in await world.hub.ask(root, mutation_of("createDeployment"), variables)

            await until(is_done)
            with world.hub.running.database.entered():
                found = await list_entries(AuditFilter(actions=("createDeployment",)), first=10)
            assert [entry.outcome for entry in found] == [Outcome.SUCCEEDED]


async def test_a_deployment_says_who_made_it_and_nothing_that_their_name_says_besides(world: World) -> None:
    """People choose their names; a name is one value of one annotation, whatever is in it."""
    hub = world.hub
    name = '"}, "labels": {"x": "y"}\nname: other, 名前 {{ x }} $(x)'
    root = await sign_in(hub, "root", Role.ADMIN)
    with hub.running.database.entered():
        await ensure_user(Person(Provider.DEMO, "root"), display_name=name)
    assert (await hub.data(root, "{ viewer { displayName } }"))["viewer"]["displayName"] == name
    variables = {"input": dict(ACTS["createDeployment"].input)}
    await hub.data(root, mutation_of("createDeployment"), variables)
    metadata = world.east.get(model_deployments(), "ml-team", "new")["metadata"]
    assert metadata["annotations"] == {"hub.airunway.ai/created-by": name}
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "kubeairunway-hub"}
    query = '{ deployment(instanceId: "east", namespace: "ml-team", name: "new") { createdByName } }'
    assert (await hub.data(root, query))["deployment"]["createdByName"] == name
    (entry,) = await log_of(hub, world.admin, actions=["createDeployment"])
    assert entry["actorName"] == name.replace("\n", " ")


MANUAL = Path("docs/audit.md").read_text()


async def test_the_requests_of_the_manual(world: World) -> None:
    """As an administrator sends them."""
    requests = re.findall(r"^```graphql\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)
    assert [request.split()[0] for request in requests] == ["query", "subscription"]
    await world.hub.ask(world.admin, mutation_of("revokeRole"), {"input": {"grantId": "grt_none"}})
    (entry,) = (await world.hub.data(world.admin, requests[0]))["auditLog"]["nodes"]
    assert (entry["action"], entry["outcome"], entry["actorName"]) == ("revokeRole", "FAILED", "admin")
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(requests[1])
        await socket.is_quiet()
        await world.hub.ask(None, "{ users { totalCount } }")
        assert (await socket.next())["action"] == "users"


def test_the_manual_names_every_action_that_is_no_field() -> None:
    sources = [path.read_text() for folder in ("auth", "hub", "schema") for path in Path(folder).glob("*.py")]
    named = {name for source in sources for name in re.findall(r'(?:Act\(\s*action=|noted\()"(\w+)"', source)}
    assert {
        "signIn",
        "signOut",
        "refresh",
        "reuseRefreshToken",
        "authenticate",
        "rekey",
        "auditDropped",
    } <= named
    schema = build_schema()._schema
    fields = {name for root in (schema.query_type, schema.mutation_type) if root for name in root.fields}
    assert {name for name in named - fields if f"`{name}`" not in MANUAL} == set()
