"""Who may use which root field, and where: every field, every kind of rights, as an exact answer.

The world: `east` has ml-team/llama and team-b/mistral, `west` has ml-team/phi. A person's own place is
ml-team on east, unless they have all.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from auth.grants import TokenLimits
from auth.permissions import Role, Scope
from hub.demo.resources import model_deployments
from tests.schema.test_sdl import GUARDS, ROOTS
from tests.support.hub import EVERYWHERE
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

LLAMA, MISTRAL, PHI = "east/ml-team/llama", "east/team-b/mistral", "west/ml-team/phi"
OWN = Scope("east", ("ml-team",))


UNLIMITED = TokenLimits()


@dataclass(frozen=True)
class Who:
    """A person with one grant, and what their token is cut down to."""

    rights: str
    """The column of the tables below."""
    role: Role | None
    scope: Scope = EVERYWHERE
    limits: TokenLimits = UNLIMITED


TO_OWN = TokenLimits(instance_ids=("east",), namespaces=("ml-team",))
AS_VIEWER = TokenLimits(role=Role.VIEWER)
PEOPLE = {
    "nobody": Who("nothing", None),
    "viewer": Who("sees all", Role.VIEWER),
    "ml-team viewer": Who("sees own", Role.VIEWER, OWN),
    "deployer": Who("deploys all", Role.DEPLOYER),
    "ml-team deployer": Who("deploys own", Role.DEPLOYER, OWN),
    "admin": Who("everything", Role.ADMIN),
    "nobody, limited": Who("nothing", None, limits=TO_OWN),
    "viewer, limited": Who("sees own", Role.VIEWER, limits=TO_OWN),
    "ml-team viewer, limited": Who("sees own", Role.VIEWER, OWN, TO_OWN),
    "ml-team viewer, limited to west": Who("nothing", Role.VIEWER, OWN, TokenLimits(instance_ids=("west",))),
    "deployer, limited": Who("deploys own", Role.DEPLOYER, limits=TO_OWN),
    "deployer, limited to viewing": Who("sees all", Role.DEPLOYER, limits=AS_VIEWER),
    "ml-team deployer, limited": Who("deploys own", Role.DEPLOYER, OWN, TO_OWN),
    "ml-team deployer, limited to viewing": Who("sees own", Role.DEPLOYER, OWN, AS_VIEWER),
    "admin, limited": Who("deploys own", Role.ADMIN, limits=TO_OWN),
    "admin, limited to viewing": Who("sees all", Role.ADMIN, limits=AS_VIEWER),
}

UNAUTHENTICATED = {"code": "UNAUTHENTICATED", "reason": "NOT_SIGNED_IN"}
NOT_FOUND = {"code": "NOT_FOUND"}


def forbidden(permission: str, instance_id: str | None, namespace: str | None) -> dict[str, Any]:
    return {
        "code": "FORBIDDEN",
        "permission": permission,
        "instanceId": instance_id,
        "namespace": namespace,
    }


@dataclass(frozen=True)
class Case:
    """A root field asked in one way. A code in the tables is an error, all else the field's exact value."""

    query: str
    nothing: Any
    sees_own: Any
    sees_all: Any
    deploys_own: Any = None
    """As `sees_own`, unless given."""
    deploys_all: Any = None
    """As `sees_all`, unless given."""
    everything: Any = None
    """As `deploys_all`, unless given."""
    anonymous: Any = None
    """UNAUTHENTICATED, unless given."""

    def expected(self, rights: str) -> Any:
        match rights:
            case "deploys own":
                return self.sees_own if self.deploys_own is None else self.deploys_own
            case "deploys all":
                return self.sees_all if self.deploys_all is None else self.deploys_all
            case "everything":
                return self.expected("deploys all") if self.everything is None else self.everything
            case _:
                return getattr(self, rights.replace(" ", "_"))


def create(place: str) -> str:
    instance_id, namespace = place.split("/")
    target = f'instanceId: "{instance_id}", namespace: "{namespace}", name: "new", model: {{id: "m"}}'
    return f"mutation {{ createDeployment(input: {{{target}, dryRun: true}}) {{ deployment {{ id }} }} }}"


def delete(deployment_id: str) -> str:
    instance_id, namespace, name = deployment_id.split("/")
    target = f'instanceId: "{instance_id}", namespace: "{namespace}", name: "{name}"'
    return f"mutation {{ deleteDeployment(input: {{{target}, dryRun: true}}) {{ deletedDeploymentId }} }}"


def created(place: str) -> dict[str, Any]:
    return {"deployment": {"id": f"{place}/new"}}


def deployment(deployment_id: str) -> str:
    instance_id, namespace, name = deployment_id.split("/")
    where = f'instanceId: "{instance_id}", namespace: "{namespace}", name: "{name}"'
    return f"{{ deployment({where}) {{ id viewerCan instance {{ endpoint }} }} }}"


def seen(*ids: str) -> dict[str, Any]:
    instances = sorted({each.split("/")[0] for each in ids})
    return {
        "totalCount": len(ids),
        "nodes": [{"id": each} for each in ids],
        "sources": [{"instanceId": each} for each in instances],
    }


def summary(*ids: str) -> dict[str, Any]:
    def facet(part: int) -> list[dict[str, Any]]:
        values = [each.split("/")[part] for each in ids]
        counts = {value: values.count(value) for value in sorted(values)}
        return [
            {"value": value, "count": count} for value, count in sorted(counts.items(), key=lambda x: -x[1])
        ]

    return {
        "total": len(ids),
        "gpus": len(ids),
        "phases": [{"count": len(ids)}, *[{"count": 0}] * 4],
        "instances": facet(0),
        "namespaces": facet(1),
        "models": [{"value": "Qwen/Qwen2.5-0.5B-Instruct", "count": len(ids)}] if ids else [],
        "sources": [{"instanceId": each} for each in sorted({each.split("/")[0] for each in ids})],
    }


SUMMARY = """{ deploymentSummary%s {
  total gpus phases { count } instances { value count } namespaces { value count } models { value count }
  sources { instanceId } } }"""
INSTANCE = """{ instance(id: "%s") {
  id namespaces deploymentCount viewerCan there: viewerCan(namespace: "team-b") endpoint credential { source }
  deployable: namespaces(permission: MANAGE_DEPLOYMENTS) } }"""
VIEWS = ["VIEW_INSTANCES", "VIEW_DEPLOYMENTS"]
DEPLOYS = [*VIEWS, "MANAGE_DEPLOYMENTS"]
OVER_THE_HUB = ["MANAGE_USERS", "MANAGE_GROUP_MAPPINGS", "MANAGE_INSTANCES", "VIEW_AUDIT_LOG"]
NAMESPACES = ["default", "kube-system", "ml-team", "team-b"]
ENDPOINT = "an address"
"""Stands for the one of the simulated server."""


def instance(name: str, *, can: list[str], all_of_it: bool = True, admin: bool = False) -> dict[str, Any]:
    namespaces = NAMESPACES if all_of_it else ["ml-team"]
    deploys = "MANAGE_DEPLOYMENTS" in can
    return {
        "id": name,
        "namespaces": namespaces,
        "deployable": namespaces if deploys else [],
        "deploymentCount": 2 if name == "east" and all_of_it else 1,
        "viewerCan": [*can, *OVER_THE_HUB] if admin else can,
        "there": ([*can, *OVER_THE_HUB] if admin else can) if all_of_it else [],
        "endpoint": ENDPOINT if admin else None,
        "credential": {"source": "FILE"} if admin else None,
    }


def found(deployment_id: str, can: list[str], *, admin: bool = False) -> dict[str, Any]:
    return {
        "id": deployment_id,
        "viewerCan": [*can, *OVER_THE_HUB] if admin else can,
        "instance": {"endpoint": ENDPOINT if admin else None},
    }


HUB = {"mode": "HUB"}
REFUSED_HUB = forbidden("MANAGE_INSTANCES", None, None)
REFUSED_OWN = forbidden("MANAGE_DEPLOYMENTS", "east", "ml-team")
NONE, BOTH = {"totalCount": 0, "nodes": []}, {"totalCount": 2, "nodes": [{"id": "east"}, {"id": "west"}]}
EAST = {"totalCount": 1, "nodes": [{"id": "east"}]}

CASES = {
    "hub": Case("{ hub { mode } }", HUB, HUB, HUB, anonymous=HUB),
    "node of an own deployment": Case(
        f'{{ node(id: "{LLAMA}") {{ id }} }}', {}, {"id": LLAMA}, {"id": LLAMA}
    ),
    "node of another namespace's": Case(f'{{ node(id: "{MISTRAL}") {{ id }} }}', {}, {}, {"id": MISTRAL}),
    "node of another instance's": Case(f'{{ node(id: "{PHI}") {{ id }} }}', {}, {}, {"id": PHI}),
    "node of the instance": Case('{ node(id: "east") { id } }', {}, {"id": "east"}, {"id": "east"}),
    "node of another instance": Case('{ node(id: "west") { id } }', {}, {}, {"id": "west"}),
    "node of nothing": Case('{ node(id: "nowhere") { id } }', {}, {}, {}),
    "instances": Case("{ instances { totalCount nodes { id } } }", NONE, EAST, BOTH),
    "instances, searched": Case(
        '{ instances(filter: {search: "west"}) { totalCount nodes { id } } }',
        NONE,
        NONE,
        {"totalCount": 1, "nodes": [{"id": "west"}]},
    ),
    "instance": Case(
        INSTANCE % "east",
        {},
        instance("east", can=VIEWS, all_of_it=False),
        instance("east", can=VIEWS),
        instance("east", can=DEPLOYS, all_of_it=False),
        instance("east", can=DEPLOYS),
        instance("east", can=DEPLOYS, admin=True),
    ),
    "instance elsewhere": Case(
        INSTANCE % "west",
        {},
        {},
        instance("west", can=VIEWS),
        {},
        instance("west", can=DEPLOYS),
        instance("west", can=DEPLOYS, admin=True),
    ),
    "instance nowhere": Case(INSTANCE % "nowhere", {}, {}, {}),
    "deployments": Case(
        "{ deployments { totalCount nodes { id } sources { instanceId } } }",
        seen(),
        seen(LLAMA),
        seen(LLAMA, MISTRAL, PHI),
    ),
    "deployments elsewhere": Case(
        '{ deployments(filter: {instanceIds: ["west"]}) { totalCount nodes { id } sources { instanceId } } }',
        seen(),
        seen(),
        seen(PHI),
    ),
    "deployments of all namespaces called ml-team, scanned": Case(
        '{ deployments(filter: {namespaces: ["ml-team"], search: "-"}, orderBy: {field: MODEL})'
        " { totalCount nodes { id } sources { instanceId } } }",
        seen(),
        seen(LLAMA),
        seen(LLAMA, PHI),
    ),
    "deployment": Case(
        deployment(LLAMA),
        {},
        found(LLAMA, VIEWS),
        found(LLAMA, VIEWS),
        found(LLAMA, DEPLOYS),
        found(LLAMA, DEPLOYS),
        found(LLAMA, DEPLOYS, admin=True),
    ),
    "deployment in another namespace": Case(
        deployment(MISTRAL),
        {},
        {},
        found(MISTRAL, VIEWS),
        {},
        found(MISTRAL, DEPLOYS),
        found(MISTRAL, DEPLOYS, admin=True),
    ),
    "deployment elsewhere": Case(
        deployment(PHI),
        {},
        {},
        found(PHI, VIEWS),
        {},
        found(PHI, DEPLOYS),
        found(PHI, DEPLOYS, admin=True),
    ),
    "deployment nowhere": Case(deployment("nowhere/ml-team/llama"), {}, {}, {}),
    "deploymentSummary": Case(SUMMARY % "", summary(), summary(LLAMA), summary(LLAMA, MISTRAL, PHI)),
    "deploymentSummary elsewhere": Case(
        '{ deploymentSummary(filter: {instanceIds: ["west"]}) { total instances { value } } }',
        {"total": 0, "instances": []},
        {"total": 0, "instances": [{"value": "east"}]},  # a facet ignores the filter on its own field
        {"total": 1, "instances": [{"value": "east"}, {"value": "west"}]},
    ),
    "credentialProblems": Case(
        "{ credentialProblems { fileName } }",
        REFUSED_HUB,
        REFUSED_HUB,
        REFUSED_HUB,
        everything=[{"fileName": "broken.kubeconfig"}],
    ),
    "createDeployment": Case(
        create("east/ml-team"),
        NOT_FOUND,
        REFUSED_OWN,
        REFUSED_OWN,
        created("east/ml-team"),
        created("east/ml-team"),
    ),
    "createDeployment in another namespace": Case(
        create("east/team-b"),
        NOT_FOUND,
        NOT_FOUND,
        forbidden("MANAGE_DEPLOYMENTS", "east", "team-b"),
        NOT_FOUND,
        created("east/team-b"),
    ),
    "createDeployment elsewhere": Case(
        create("west/ml-team"),
        NOT_FOUND,
        NOT_FOUND,
        forbidden("MANAGE_DEPLOYMENTS", "west", "ml-team"),
        NOT_FOUND,
        created("west/ml-team"),
    ),
    "createDeployment nowhere": Case(create("nowhere/ml-team"), *[NOT_FOUND] * 5),
    "deleteDeployment": Case(
        delete(LLAMA), NOT_FOUND, REFUSED_OWN, REFUSED_OWN, *[{"deletedDeploymentId": LLAMA}] * 2
    ),
    "deleteDeployment in another namespace": Case(
        delete(MISTRAL),
        NOT_FOUND,
        NOT_FOUND,
        forbidden("MANAGE_DEPLOYMENTS", "east", "team-b"),
        NOT_FOUND,
        {"deletedDeploymentId": MISTRAL},
    ),
    "deleteDeployment elsewhere": Case(
        delete(PHI),
        NOT_FOUND,
        NOT_FOUND,
        forbidden("MANAGE_DEPLOYMENTS", "west", "ml-team"),
        NOT_FOUND,
        {"deletedDeploymentId": PHI},
    ),
    "deleteDeployment of nothing": Case(
        delete("east/ml-team/nothing"), NOT_FOUND, REFUSED_OWN, REFUSED_OWN, NOT_FOUND, NOT_FOUND
    ),
}


@pytest.fixture(scope="module")
async def filled_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hub")) as world:
        world.east.apply(model_deployment("llama"))
        world.east.apply(model_deployment("mistral", namespace="team-b"))
        world.west.apply(model_deployment("phi"))
        (world.hub.credentials / "broken.kubeconfig").write_text("no kubeconfig at all")
        await until_ids(world, LLAMA, MISTRAL, PHI)
        yield world


@pytest.fixture(scope="module")
async def tokens(filled_world: World) -> Mapping[str, str]:
    return {
        name: await filled_world.hub.token(name.replace(" ", "-"), who.role, who.scope, limits=who.limits)
        for name, who in PEOPLE.items()
    }


def value_of(answer: Mapping[str, Any], world: World) -> Any:
    """The one root field's value ({} for null), or its error's extensions."""
    if "errors" in answer:
        (error,) = answer["errors"]
        assert error["message"]
        return {key: value for key, value in error["extensions"].items() if key != "requestId"}
    (value,) = answer["data"].values()
    return _without_addresses({} if value is None else value, {world.east.url, world.west.url})


def _without_addresses(value: Any, addresses: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without_addresses(part, addresses) for key, part in value.items()}
    return ENDPOINT if isinstance(value, str) and value in addresses else value


def test_every_root_field_has_a_case() -> None:
    asked = {name.split()[0].strip(",") for name in CASES} | {"viewer"}
    fields = {path.split(".")[1] for path in GUARDS if path.split(".")[0] in ROOTS[:2]}
    assert fields == asked


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_everybody_is_answered(filled_world: World, tokens: Mapping[str, str], case: Case) -> None:
    answers = {
        person: value_of(await filled_world.hub.ask(token, case.query), filled_world)
        for person, token in tokens.items()
    }
    assert answers == {person: case.expected(who.rights) for person, who in PEOPLE.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_a_stranger_is_answered(filled_world: World, case: Case) -> None:
    answer = await filled_world.hub.ask(None, case.query)
    expected = UNAUTHENTICATED if case.anonymous is None else case.anonymous
    assert value_of(answer, filled_world) == expected


async def test_the_viewer_is_whoever_asks(filled_world: World, tokens: Mapping[str, str]) -> None:
    query = "{ viewer { displayName isAdmin grants { role instanceId namespaces createdBy { id } } } }"
    for person, token in tokens.items():
        role, scope = PEOPLE[person].role, PEOPLE[person].scope
        place = {"instanceId": scope.instance_id, "namespaces": scope.namespaces and list(scope.namespaces)}
        assert await filled_world.hub.data(token, query) == {
            "viewer": {
                "displayName": person.replace(" ", "-"),
                "isAdmin": role is Role.ADMIN,
                "grants": [{"role": role.name, **place, "createdBy": None}] if role else [],
            }
        }
    assert await filled_world.hub.data(None, query) == {"viewer": None}


STREAMS = {
    "deploymentEvents": "subscription { deploymentEvents { type instanceId deploymentId } }",
    "deploymentChanges": "subscription { deploymentChanges { events { type instanceId deploymentId } } }",
    "deploymentSummaryEvents": "subscription { deploymentSummaryEvents { total instances { value } } }",
    "instanceEvents": "subscription { instanceEvents { type instanceId instance { deploymentCount } } }",
}
NOTHING, OWN_IDS, ALL_IDS = frozenset[str](), frozenset({LLAMA}), frozenset({LLAMA, MISTRAL, PHI})
VISIBLE = {
    "nothing": NOTHING,
    "sees own": OWN_IDS,
    "deploys own": OWN_IDS,
    "sees all": ALL_IDS,
    "deploys all": ALL_IDS,
    "everything": ALL_IDS,
}


def test_every_subscription_has_a_case() -> None:
    assert {path.split(".")[1] for path in GUARDS if path.startswith("Subscription.")} == STREAMS.keys()


def facts(name: str, value: Any) -> set[str]:
    """What a message tells of deployments and instances."""
    match name:
        case "deploymentChanges":
            return {fact for event in value["events"] for fact in facts("deploymentEvents", event)}
        case "deploymentEvents":
            return {value["deploymentId"] or f"{value['type']} {value['instanceId']}"}
        case "deploymentSummaryEvents":
            return {f"{value['total']} in all", *(f"on {each['value']}" for each in value["instances"])}
        case _:
            instance = value["instance"]
            return {f"{value['instanceId']} has {instance['deploymentCount']}" if instance else value["type"]}


def expected_facts(name: str, ids: frozenset[str]) -> set[str]:
    instances = {each.split("/")[0] for each in ids}
    if not ids:
        return set()  # without rights a stream is silent
    match name:
        case "deploymentEvents" | "deploymentChanges":
            return {*ids, *(f"SYNCED {each}" for each in instances)}
        case "deploymentSummaryEvents":
            return {f"{len(ids)} in all", *(f"on {each}" for each in instances)}
        case _:
            counts = {each: sum(one.startswith(each) for one in ids) for each in instances}
            return {"SYNCED", *(f"{each} has {count}" for each, count in counts.items())}


@pytest.mark.parametrize("name", STREAMS)
async def test_what_everybody_is_shown_live(
    filled_world: World, tokens: Mapping[str, str], name: str
) -> None:
    async with AsyncExitStack() as stack:
        sockets = {
            person: await stack.enter_async_context(filled_world.hub.socket(token))
            for person, token in tokens.items()
        }
        for socket in sockets.values():
            await socket.subscribe(STREAMS[name])
        for person, socket in sockets.items():
            expected = expected_facts(name, VISIBLE[PEOPLE[person].rights])
            told: set[str] = set()
            while told != expected:
                told |= facts(name, await socket.next())
                assert told <= expected, person
        for socket in sockets.values():
            await socket.is_quiet()


async def test_what_happens_elsewhere_is_no_message(world: World) -> None:
    """Neither its objects nor its instance's STALE; for a person without rights, nothing is."""
    world.east.apply(model_deployment("llama"))
    await until_ids(world, LLAMA)
    hub = world.hub
    ml_team, nobody = await hub.token("ml-team", Role.VIEWER, OWN), await hub.token("nobody")
    async with hub.socket(ml_team) as theirs, hub.socket(nobody) as silent, hub.socket(world.admin) as all_:
        for socket in (theirs, silent):
            for name, query in STREAMS.items():
                await socket.subscribe(query, operation=name)
        told: dict[str, set[str]] = {name: set() for name in STREAMS}
        while told != {name: expected_facts(name, frozenset({LLAMA})) for name in STREAMS}:
            name, value = await theirs.next_of_any()
            told[name] |= facts(name, value)

        await all_.subscribe(STREAMS["deploymentEvents"])
        world.east.apply(model_deployment("mistral", namespace="team-b"))
        world.west.apply(model_deployment("phi"))
        world.west.apply(model_deployment("phi", scaling={"replicas": 2}))
        await until_ids(world, LLAMA, MISTRAL, PHI)
        world.east.delete(model_deployments(), "team-b", "mistral")
        await world.west.stop()
        while (await all_.next())["type"] != "STALE":
            pass

        world.east.apply(model_deployment("own"))
        own = "east/ml-team/own"
        first: dict[str, set[str]] = {}
        while first.keys() != STREAMS.keys():
            name, value = await theirs.next_of_any()
            first.setdefault(name, facts(name, value))
        assert first == {
            "deploymentEvents": {own},
            "deploymentChanges": {own},
            "deploymentSummaryEvents": {"2 in all", "on east"},
            "instanceEvents": {"east has 2"},
        }
        await silent.is_quiet()
