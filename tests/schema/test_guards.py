"""Who may use which root field, and where: every field, every kind of rights, as an exact answer.

The world: `east` has ml-team/llama and team-b/mistral, `west` has ml-team/phi. A person's own place is
ml-team on east, unless they have all. Besides there is `somebody`, with a grant, a revoked token and a group
mapping that they made; nobody's question changes anything of that.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from auth.accounts import create_token, ensure_user, grant_role, revoke_token
from auth.effective import GrantRules
from auth.identity import Provider
from auth.mappings import create_mapping
from auth.people import Person
from auth.permissions import Group, Role
from hub.demo.resources import model_deployments
from tests.schema.test_sdl import GUARDS, ROOTS
from tests.support.kinds import OWN, PEOPLE, UNLIMITED, Who, a_credential, called
from tests.support.people import a_member, id_of, put_into_groups, sign_in
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

LLAMA, MISTRAL, PHI = "east/ml-team/llama", "east/team-b/mistral", "west/ml-team/phi"
UNAUTHENTICATED = {"code": "UNAUTHENTICATED", "reason": "NOT_SIGNED_IN"}
NOT_FOUND = {"code": "NOT_FOUND"}


def forbidden(permission: str | None, instance_id: str | None, namespace: str | None) -> dict[str, Any]:
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
    by_token: Any = None
    """For every token, whatever its rights, if given."""

    def answer_to(self, who: Who) -> Any:
        if who.by_token and self.by_token is not None:
            return self.by_token
        return self.expected(who.rights)

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


def administrative(query: str, everything: Any, *, permission: str = "MANAGE_USERS") -> Case:
    """What only admins may do, by whatever they show."""
    refusal = forbidden(permission, None, None)
    return Case(query, refusal, refusal, refusal, everything=everything)


def alike(query: str, value: Any, *, everything: Any = None, by_token: Any = None) -> Case:
    """What is the same for everybody, but perhaps for admins, or for tokens."""
    return Case(query, value, value, value, everything=everything, by_token=by_token)


def asked_of(person: str, place: str) -> str:
    """What a person may do at a place; without a namespace, somewhere there."""
    instance_id, _, namespace = place.partition("/")
    where = f'instanceId: "{instance_id}"' + (f', namespace: "{namespace}"' if namespace else "")
    return f'{{ access(userId: "{person}", {where}) {{ decisions {{ permission allowed }} }} }}'


def may(*permissions: str) -> dict[str, Any]:
    decisions = [{"permission": each, "allowed": each in permissions} for each in DEPLOYS + OVER_THE_HUB]
    return {"decisions": decisions}


SOMEBODY = {"id": "$somebody"}
MAPPINGS = "MANAGE_GROUP_MAPPINGS"
SESSION_REQUIRED = forbidden(None, None, None) | {"reason": "SESSION_REQUIRED"}
NO_NAME = {
    "code": "BAD_USER_INPUT",
    "fields": [{"path": "name", "message": "A token's name has 1 to 100 characters"}],
}
NO_FILE = {
    "code": "BAD_USER_INPUT",
    "fields": [
        {
            "path": "name",
            "message": "there is no file north.kubeconfig in the credentials directory: put it there, "
            "or send one",
        }
    ],
}
ADMINISTRATION = {
    "users": administrative(
        '{ users(filter: {search: "somebody"}) { totalCount nodes { id } } }',
        {"totalCount": 1, "nodes": [SOMEBODY]},
    ),
    "user": administrative('{ user(id: "$somebody") { id } }', SOMEBODY),
    "user who is not there": administrative('{ user(id: "usr_nobody") { id } }', {}),
    "auditLog": administrative(
        "{ auditLog(filter: {actions: []}) { totalCount nodes { id } } }",
        {"totalCount": 0, "nodes": []},
        permission="VIEW_AUDIT_LOG",
    ),
    "groupMappings": administrative(
        "{ groupMappings { nodes { id createdBy { id } } } }",
        {"nodes": [{"id": "$mapping", "createdBy": SOMEBODY}]},
        permission=MAPPINGS,
    ),
    "node of somebody else": Case('{ node(id: "$somebody") { id } }', {}, {}, {}, everything=SOMEBODY),
    "node of a group mapping": Case(
        '{ node(id: "$mapping") { id } }', {}, {}, {}, everything={"id": "$mapping"}
    ),
    "node of oneself": Case('{ node(id: "$own") { id } }', *[{"id": "$own"}] * 3),
    "access of oneself": Case(
        asked_of("$own", "east/ml-team"),
        may(),
        may(*VIEWS),
        may(*VIEWS),
        may(*DEPLOYS),
        may(*DEPLOYS),
        may(*DEPLOYS, *OVER_THE_HUB),
    ),
    "access of oneself in another namespace": Case(
        asked_of("$own", "east/team-b"),
        may(),
        may(),
        may(*VIEWS),
        may(),
        may(*DEPLOYS),
        may(*DEPLOYS, *OVER_THE_HUB),
    ),
    "access of oneself elsewhere": Case(
        asked_of("$own", "west"),
        may(),
        may(),
        may(*VIEWS),
        may(),
        may(*DEPLOYS),
        may(*DEPLOYS, *OVER_THE_HUB),
    ),
    # Who sees every instance is told that there is none; to all others it looks like one that they don't see.
    "access of oneself nowhere": Case(asked_of("$own", "nowhere"), may(), may(), {}, may(), {}, {}),
    "access of somebody else": administrative(asked_of("$somebody", "east/ml-team"), may(*VIEWS)),
    "access of somebody else elsewhere": administrative(asked_of("$somebody", "west"), may()),
    "access of nobody": administrative(asked_of("usr_nobody", "east"), {}),
    "updateUser": administrative(
        'mutation { updateUser(input: {userId: "$somebody"}) { user { id } } }', {"user": SOMEBODY}
    ),
    "assignRole": administrative(
        """mutation { assignRole(input: {
          userId: "$somebody", role: VIEWER, instanceId: "east", namespaces: ["ml-team"]
        }) { grant { id } } }""",
        {"grant": {"id": "$grant"}},
    ),
    "revokeRole": administrative(
        'mutation { revokeRole(input: {grantId: "grt_nothing"}) { revokedGrantId } }', NOT_FOUND
    ),
    "createGroupMapping": administrative(
        """mutation { createGroupMapping(input: {
          groupId: "g", groupName: "G", role: VIEWER, dryRun: true
        }) { affectedUserCount } }""",
        {"affectedUserCount": 0},
        permission=MAPPINGS,
    ),
    "updateGroupMapping": administrative(
        'mutation { updateGroupMapping(input: {id: "$mapping", role: DEPLOYER, dryRun: true}) '
        "{ groupMapping { id } } }",
        {"groupMapping": {"id": "$mapping"}},
        permission=MAPPINGS,
    ),
    "deleteGroupMapping": administrative(
        'mutation { deleteGroupMapping(input: {id: "$mapping", dryRun: true}) { deletedGroupMappingId } }',
        {"deletedGroupMappingId": "$mapping"},
        permission=MAPPINGS,
    ),
    # Nobody's question changes anything: a name without a file, one that is registered, one of nothing.
    "registerInstance": administrative(
        'mutation { registerInstance(input: {name: "north"}) { instance { id } } }',
        NO_FILE,
        permission="MANAGE_INSTANCES",
    ),
    "updateInstance": administrative(
        'mutation { updateInstance(input: {id: "east", displayName: null}) { instance { id } } }',
        {"instance": {"id": "east"}},
        permission="MANAGE_INSTANCES",
    ),
    "removeInstance": administrative(
        'mutation { removeInstance(input: {id: "nowhere"}) { removedInstanceId } }',
        NOT_FOUND,
        permission="MANAGE_INSTANCES",
    ),
    "createAccessToken": alike(
        'mutation { createAccessToken(input: {name: ""}) { secret } }',
        NO_NAME,
        by_token=SESSION_REQUIRED,
    ),
    "revokeAccessToken that was revoked": alike(
        'mutation { revokeAccessToken(input: {id: "$token"}) { revokedAccessTokenId } }',
        NOT_FOUND,
        everything={"revokedAccessTokenId": "$token"},
        by_token=SESSION_REQUIRED,
    ),
    "revokeAccessToken of nothing": alike(
        'mutation { revokeAccessToken(input: {id: "tok_nothing"}) { revokedAccessTokenId } }',
        NOT_FOUND,
        by_token=SESSION_REQUIRED,
    ),
    "revokeSessions": alike(
        'mutation { revokeSessions(input: {sessionIds: ["ses_nothing"]}) { revokedSessionIds user { id } } }',
        {"revokedSessionIds": [], "user": {"id": "$own"}},
        by_token=SESSION_REQUIRED,
    ),
    "revokeSessions of somebody else": alike(
        'mutation { revokeSessions(input: {userId: "$somebody"}) { revokedSessionIds } }',
        NOT_FOUND,
        everything={"revokedSessionIds": []},
        by_token=SESSION_REQUIRED,
    ),
}
CASES = ADMINISTRATION | {
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
    return {name: await a_credential(filled_world.hub, name, who) for name, who in PEOPLE.items()}


@pytest.fixture(scope="module")
async def names(filled_world: World) -> Mapping[str, str]:
    """Ids by the words that stand for them in the tables."""
    hub, now = filled_world.hub, datetime.now(UTC)
    with hub.running.database.entered():
        somebody = await ensure_user(Person(Provider.ENTRA, "somebody"), display_name="somebody")
        grant = await grant_role(somebody, Role.VIEWER, OWN, granted_by=None)
        token, _ = await create_token(somebody, name="old", limits=UNLIMITED, expires_at=None, now=now)
        await revoke_token(token.id, now=now)
        mapped = await create_mapping(
            Group(Provider.ENTRA, "ml", "ML"),
            Role.VIEWER,
            OWN,
            created_by=somebody,
            dry_run=False,
            rules=GrantRules(),
            now=now,
        )
    return {
        "$somebody": somebody,
        "$grant": grant.id,
        "$token": token.id,
        "$mapping": mapped.mapping.id,
    }


def spelled_out(value: Any, names: Mapping[str, str]) -> Any:
    """With the ids that the words stand for."""
    match value:
        case dict():
            return {key: spelled_out(part, names) for key, part in value.items()}
        case list():
            return [spelled_out(part, names) for part in value]
        case str():
            for word, meant in names.items():
                value = value.replace(word, meant)
    return value


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


GUARDED_FIELDS = {
    "Instance.endpoint": "instance",
    "Instance.credential": "instance",
    "Grant.createdBy": "whence grants come",
    "Grant.groupMapping": "whence grants come",
    "GroupMapping.createdBy": "groupMappings",
    "User.sessions": "what is one's own",
    "User.accessTokens": "what is one's own",
}
"""The guarded fields of other types, by the case, or the test below, that asks for them."""


def test_every_guarded_field_has_a_case() -> None:
    assert {path for path in GUARDS if path.split(".")[0] not in ROOTS} == GUARDED_FIELDS.keys()


def test_every_root_field_has_a_case() -> None:
    asked = {name.split()[0].strip(",") for name in CASES} | {"viewer"}
    fields = {path.split(".")[1] for path in GUARDS if path.split(".")[0] in ROOTS[:2]}
    assert fields == asked


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_everybody_is_answered(
    filled_world: World, tokens: Mapping[str, str], names: Mapping[str, str], case: Case
) -> None:
    answers, expected = {}, {}
    for person, token in tokens.items():
        words = {**names, "$own": await id_of(filled_world.hub, token)}
        answer = await filled_world.hub.ask(token, spelled_out(case.query, words))
        answers[person] = value_of(answer, filled_world)
        expected[person] = spelled_out(case.answer_to(PEOPLE[person]), words)
    assert answers == expected


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_a_stranger_is_answered(filled_world: World, names: Mapping[str, str], case: Case) -> None:
    words = {**names, "$own": names["$somebody"]}
    answer = await filled_world.hub.ask(None, spelled_out(case.query, words))
    expected = UNAUTHENTICATED if case.anonymous is None else case.anonymous
    assert value_of(answer, filled_world) == expected


async def test_the_viewer_is_whoever_asks(filled_world: World, tokens: Mapping[str, str]) -> None:
    query = """{ viewer {
      displayName isAdmin grants { role instanceId namespaces createdBy { id } groupMapping { id } }
      sessions { current } accessTokens { name } } }"""
    for person, token in tokens.items():
        role, scope = PEOPLE[person].role, PEOPLE[person].scope
        place = {"instanceId": scope.instance_id, "namespaces": scope.namespaces and list(scope.namespaces)}
        assert await filled_world.hub.data(token, query) == {
            "viewer": {
                "displayName": called(person),
                "isAdmin": role is Role.ADMIN,
                "grants": [{"role": role.name, **place, "createdBy": None, "groupMapping": None}]
                if role
                else [],
                "sessions": [] if PEOPLE[person].by_token else [{"current": True}],
                "accessTokens": [{"name": "test"}] if PEOPLE[person].by_token else [],
            }
        }
    assert await filled_world.hub.data(None, query) == {"viewer": None}


async def test_whence_grants_come_is_told_to_those_who_manage_it(
    filled_world: World, tokens: Mapping[str, str], names: Mapping[str, str]
) -> None:
    """To the person themselves it isn't: neither who gave it nor the mapping."""
    hub = filled_world.hub
    own = await sign_in(hub, "member", provider=Provider.ENTRA)
    user_id = await id_of(hub, own)
    with hub.running.database.entered():
        await put_into_groups(user_id, ["ml"])
        await grant_role(user_id, Role.DEPLOYER, OWN, granted_by=names["$somebody"])
    fields = "grants { source createdBy { id } groupMapping { id } }"
    nothing = [
        {"source": "MANUAL", "createdBy": None, "groupMapping": None},
        {"source": "GROUP", "createdBy": None, "groupMapping": None},
    ]
    asked_anew = await sign_in(hub, "member", provider=Provider.ENTRA)
    assert (await hub.data(asked_anew, f"{{ viewer {{ {fields} }} }}"))["viewer"]["grants"] == nothing
    for person, who in PEOPLE.items():
        if who.rights == "everything":
            found = await hub.data(tokens[person], f'{{ user(id: "{user_id}") {{ {fields} }} }}')
            assert found["user"]["grants"] == [
                {"source": "MANUAL", "createdBy": {"id": names["$somebody"]}, "groupMapping": None},
                {"source": "GROUP", "createdBy": None, "groupMapping": {"id": names["$mapping"]}},
            ]


async def test_what_is_ones_own_is_shown_to_oneself_and_to_those_who_manage_users(
    filled_world: World, tokens: Mapping[str, str]
) -> None:
    """Somebody else is seen through what they made, where that may be seen: nothing of theirs comes along."""
    hub = filled_world.hub
    with hub.running.database.entered():
        other = await a_member("signed in")
    await sign_in(hub, "signed in", provider=Provider.ENTRA)
    fields = "... on User { sessions { current ipAddress } accessTokens { id } }"
    query = f'{{ node(id: "{other}") {{ {fields} }} }}'
    shown = {"sessions": [{"current": False, "ipAddress": "192.0.2.7"}], "accessTokens": []}
    for person, who in PEOPLE.items():
        found = await hub.data(tokens[person], query)
        assert found == {"node": shown if who.rights == "everything" else None}, person


STREAMS = {
    "deploymentEvents": "subscription { deploymentEvents { type instanceId deploymentId } }",
    "deploymentChanges": "subscription { deploymentChanges { events { type instanceId deploymentId } } }",
    "deploymentSummaryEvents": "subscription { deploymentSummaryEvents { total instances { value } } }",
    "instanceEvents": "subscription { instanceEvents { type instanceId instance { deploymentCount } } }",
    "viewerEvents": "subscription { viewerEvents { type viewer { id } } }",
}
OF_PLACES = STREAMS.keys() - {"viewerEvents"}
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
    asked = {path.split(".")[1] for path in GUARDS if path.startswith("Subscription.")}
    assert asked == STREAMS.keys() | {"auditEvents"}


async def test_what_others_do_is_followed_by_those_who_may_read_the_audit_log(
    filled_world: World, tokens: Mapping[str, str]
) -> None:
    """It is the one stream that is refused."""
    hub = filled_world.hub
    query = 'subscription { auditEvents(filter: {actions: ["deleteGroupMapping"]}) { outcome code } }'
    refusal = forbidden("VIEW_AUDIT_LOG", None, None)
    allowed = [person for person, who in PEOPLE.items() if who.rights == "everything"]
    async with AsyncExitStack() as stack:
        sockets = {
            person: await stack.enter_async_context(hub.socket(token)) for person, token in tokens.items()
        }
        for person, socket in sockets.items():
            await socket.subscribe(query)
            if person not in allowed:
                message = await socket.receive()
                assert message["type"] == "error", person
                (error,) = message["payload"]
                assert error["extensions"].items() >= refusal.items(), person
            else:
                await socket.is_quiet()
        await hub.ask(
            filled_world.admin,
            'mutation { deleteGroupMapping(input: {id: "map_none"}) { deletedGroupMappingId } }',
        )
        for person in allowed:
            while (event := await sockets[person].next()) == {"outcome": "ATTEMPTED", "code": None}:
                pass
            assert event == {"outcome": "FAILED", "code": "NOT_FOUND"}


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
    if not ids or name == "viewerEvents":
        return set()  # without rights a stream is silent, and nothing changes for the person who asks
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
        told: dict[str, set[str]] = {name: set() for name in OF_PLACES}
        while told != {name: expected_facts(name, frozenset({LLAMA})) for name in OF_PLACES}:
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
        while first.keys() != OF_PLACES:
            name, value = await theirs.next_of_any()
            first.setdefault(name, facts(name, value))
        assert first == {
            "deploymentEvents": {own},
            "deploymentChanges": {own},
            "deploymentSummaryEvents": {"2 in all", "on east"},
            "instanceEvents": {"east has 2"},
        }
        await silent.is_quiet()
