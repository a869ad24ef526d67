"""`python -m hub serve` without HUB_MODE: one person, one instance, nobody signs in, and no other machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.demo.cluster import SimulatedCluster
from hub.demo.resources import model_deployments
from hub.settings import LOCAL_DATA, SettingsError, is_local, load_settings
from models.url import SqliteUrl
from tests.support.apiserver import ApiServer
from tests.support.event_streams import a_stream
from tests.support.hub_process import LocalHub, local_hub, refusal_to_start
from tests.support.instances import CREATE, until_instance
from tests.support.simulation import model_deployment
from tests.support.waiting import until

WHO = "{ hub { mode authProviders { name } } viewer { provider displayName isAdmin grants { role source } } }"
NAMES = "{ instances { nodes { id credential { source context } } } }"
EVENTS = "subscription { deploymentEvents { type deploymentId } }"


def at_home(folder: Path) -> Path:
    """Where kubectl looks."""
    kube = folder / ".kube"
    kube.mkdir(exist_ok=True)
    return kube / "config"


async def names(hub: LocalHub) -> list[str]:
    return [node["id"] for node in (await hub.data(None, NAMES))["instances"]["nodes"]]


async def until_names(hub: LocalHub, *expected: str) -> None:
    async def are() -> bool:
        return await names(hub) == list(expected)

    await until(are, within=20)


async def test_everybody_is_the_person_who_runs_it(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    simulated_cluster.write_kubeconfig(at_home(tmp_path))
    async with local_hub(tmp_path) as hub:
        for token in (None, "kah_whatever"):
            answer = await hub.data(token, WHO)
            assert answer["hub"] == {"mode": "LOCAL", "authProviders": []}
            viewer = answer["viewer"]
            assert (viewer["provider"], viewer["isAdmin"]) == ("LOCAL", True)
            assert viewer["grants"] == [{"role": "ADMIN", "source": "BOOTSTRAP"}]
        me = await hub.http.get("/api/auth/me")
        assert me.json()["displayName"] == viewer["displayName"] != ""

        await until_instance(hub, None, "simulated", status="CONNECTED")
        (node,) = (await hub.data(None, NAMES))["instances"]["nodes"]
        assert node["credential"] == {"source": "AMBIENT", "context": "simulated"}
        place = {"instanceId": "simulated", "namespace": "ml-team", "name": "mine"}
        made = await hub.data(None, CREATE, {"input": {**place, "model": {"id": "Qwen/Qwen3-0.6B"}}})
        assert made["createDeployment"]["deployment"]["createdByName"] == viewer["displayName"]
        (entry,) = (
            await hub.data(None, '{ auditLog(filter: {actions: ["createDeployment"]}) { nodes { method } } }')
        )["auditLog"]["nodes"]
        assert entry == {"method": "LOCAL"}

        async with hub.socket(None) as socket:
            await socket.send(type="connection_init")
            assert (await socket.receive())["type"] == "connection_ack"
            await socket.subscribe(EVENTS)
            seen = {(await socket.next())["deploymentId"] for _ in range(2)}
        async with a_stream(hub, None, EVENTS) as stream:
            assert {(await stream.next())["deploymentId"] for _ in range(2)} == seen
        assert seen == {"simulated/ml-team/llama", "simulated/ml-team/mine"}
    assert simulated_cluster.get(model_deployments(), "ml-team", "mine")


async def test_no_cookie_is_given_and_there_is_no_sign_in(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    simulated_cluster.write_kubeconfig(at_home(tmp_path))
    async with local_hub(tmp_path) as hub:
        stale = {"cookie": "hub_session=nonsense; hub_refresh=nonsense"}
        for path in ("/graphql?query={hub{mode}}", "/api/auth/me", "/api/auth/providers", "/healthz"):
            answer = await hub.http.get(path, headers=stale | {"x-hub-request": "1"})
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
        assert (await hub.http.get("/api/auth/providers")).json() == {"providers": []}
        login = await hub.http.get("/login")
        assert (login.status_code, login.headers["location"]) == (302, "/graphql")
        for path in ("demo", "refresh", "logout"):
            answer = await hub.http.post(f"/api/auth/{path}", json={"user": "admin"})
            assert answer.status_code == 404
        assert (await hub.http.get("/api/auth/login/github")).status_code == 404
    assert not (tmp_path / "data" / "kubefoundry.db").exists()
    assert (tmp_path / "data" / "local" / "hub.db").exists()


async def test_foreign_pages_are_kept_out(tmp_path: Path, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.write_kubeconfig(at_home(tmp_path))
    async with local_hub(tmp_path) as hub:

        async def status(**headers: str) -> int:
            given = {"content-type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            asked = await hub.http.post("/graphql", content=b'{"query": "{ hub { mode } }"}', headers=given)
            return asked.status_code

        assert await status() == 200
        assert await status(origin=f"http://localhost:{hub.port}") == 200
        assert await status(host="rebound.example.com") == 421
        assert await status(origin="https://foreign.example.com") == 403
        assert await status(origin="null") == 403
        assert await status(content_type="text/plain") == 403
        assert (await hub.http.get("/graphql?query={hub{mode}}")).status_code == 403
        assert (await hub.http.delete("/api/instances/simulated")).status_code == 403


async def test_the_current_context_is_the_instance(tmp_path: Path) -> None:
    config = at_home(tmp_path)
    async with (
        local_hub(tmp_path) as hub,
        SimulatedCluster(name="one") as one,
        SimulatedCluster(name="two") as two,
    ):
        assert await names(hub) == []
        (problem,) = (await hub.data(None, "{ credentialProblems { fileName reason } }"))[
            "credentialProblems"
        ]
        assert problem["fileName"] == str(config)
        assert problem["reason"].startswith("There is no kubeconfig")
        assert any("There is no kubeconfig" in record.event for record in hub.records())
        assert (await hub.http.get("/readyz")).status_code == 200

        one.write_kubeconfig(config)
        await until_names(hub, "one")
        await until_instance(hub, None, "one", status="CONNECTED")
        both = merged(one.kubeconfig(), two.kubeconfig())
        for cluster in (two, one):
            config.write_text(yaml.safe_dump(both | {"current-context": cluster.name}))
            await until_names(hub, cluster.name)
            await until_instance(hub, None, cluster.name, status="CONNECTED")


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    users = [
        {**user, "name": user["name"] + suffix}
        for user, suffix in zip(one["users"] + other["users"], "12", strict=True)
    ]
    contexts = [
        {**each, "context": {**each["context"], "user": f"hub{suffix}"}}
        for each, suffix in zip(one["contexts"] + other["contexts"], "12", strict=True)
    ]
    return {**one, "clusters": one["clusters"] + other["clusters"], "users": users, "contexts": contexts}


async def test_a_cluster_made_anew_under_its_name_is_just_shown(tmp_path: Path) -> None:
    """As with kind: the name stands for whatever kubectl works on."""
    config = at_home(tmp_path)
    async with local_hub(tmp_path) as hub:
        for model in ("first", "second"):
            async with SimulatedCluster(name="kind") as cluster:
                cluster.apply(model_deployment(model))
                cluster.write_kubeconfig(config)

                async def shown(model: str = model) -> bool:
                    found = await hub.data(None, "{ deployments { nodes { name } } }")
                    return bool(found["deployments"]["nodes"] == [{"name": model}])

                await until(shown, within=20)
                await until_instance(hub, None, "kind", status="CONNECTED")


async def test_there_is_one_instance_and_no_other(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    simulated_cluster.write_kubeconfig(at_home(tmp_path))
    async with local_hub(tmp_path) as hub:
        await until_names(hub, "simulated")
        for mutation in (
            'registerInstance(input: {name: "other"}) { instance { id } }',
            'removeInstance(input: {id: "simulated"}) { removedInstanceId }',
            'updateInstance(input: {id: "simulated", kubeconfig: null}) { instance { id } }',
        ):
            (error,) = (await hub.ask(None, f"mutation {{ {mutation} }}"))["errors"]
            assert error["extensions"]["code"] == "CONFLICT", error
            assert "kubectl config use-context" in error["message"]
        renamed = 'updateInstance(input: {id: "simulated", displayName: "Mine"}) { instance { displayName } }'
        answer = await hub.data(None, f"mutation {{ {renamed} }}")
        assert answer["updateInstance"]["instance"] == {"displayName": "Mine"}
        assert await names(hub) == ["simulated"]


async def test_kubeconfig_names_another_file(tmp_path: Path, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.write_kubeconfig(tmp_path / "elsewhere.yaml")
    at_home(tmp_path).write_text("{")
    async with local_hub(tmp_path, KUBECONFIG=f"{tmp_path}/absent:{tmp_path}/elsewhere.yaml") as hub:
        await until_instance(hub, None, "simulated", status="CONNECTED")


@pytest.mark.envtest
async def test_a_real_api_server(tmp_path: Path, api_server: ApiServer) -> None:
    at_home(tmp_path).write_text(api_server.kubeconfig())
    async with local_hub(tmp_path) as hub:
        await until_instance(hub, None, "main", status="CONNECTED")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.example.com"])
async def test_no_other_machine_gets_in(tmp_path: Path, host: str) -> None:
    told = await refusal_to_start(tmp_path, HOST=host)
    assert f"HOST: nobody signs in to local mode, so it answers on loopback alone, and {host!r} isn't" in told


@pytest.mark.usefixtures("nothing_set")
def test_what_is_set_for_the_portal_stays_the_portals(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgres://hub@db.example.com/hub",
        "SESSION_SECRET": "short",
        "AUTH_CALLBACK_URL": "https://hub.example.com",
        "HUB_ADMINS": "github:1",
        "ENABLED_AUTH_PROVIDERS": "github",
        "CREDENTIALS_EXEC_ALLOW": "tsh",
        "LOG_LEVEL": "debug",
    }.items():
        monkeypatch.setenv(name, value)
    assert is_local()
    settings = load_settings(local=True)
    assert settings.local
    assert settings.database.url == SqliteUrl(path=LOCAL_DATA / "hub.db")
    assert (settings.http.public_url, settings.auth.session_secret) == (None, None)
    assert settings.auth.administrators == frozenset()
    assert settings.auth.providers == ()
    assert settings.credentials.exec_allow == {"tsh"}
    assert settings.log.level == "debug"
    assert [warning.split()[0] for warning in settings.warnings] == ["ENABLED_AUTH_PROVIDERS"]


@pytest.mark.usefixtures("nothing_set")
def test_which_mode_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, local in (("", True), ("false", True), ("0", True), ("true", False), ("1", False)):
        monkeypatch.setenv("HUB_MODE", value)
        assert is_local() is local
    monkeypatch.setenv("HUB_MODE", "perhaps")
    with pytest.raises(SettingsError) as error:
        is_local()
    assert error.value.problems == ("HUB_MODE: 'perhaps' isn't true or false",)
