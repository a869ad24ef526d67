"""The command line as a person sees it: each command is a process, in a folder with an SQLite database."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from auth.keys import sealing_key
from auth.tokens import digest_of
from hub.cli import app
from models.sealing import Sealer

ROOT = Path(__file__).parents[2]
SECRET = "a session secret of these tests, long enough"


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hub(self, *arguments: str, expect: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m hub …`, which has to end with the exit code `expect`."""
        plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "300"}
        done = subprocess.run(
            [sys.executable, "-m", "hub", *arguments],
            cwd=self.folder,
            env=plain | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def says(self, *arguments: str, **variables: str) -> str:
        return self.hub(*arguments, expect=0, **variables).stdout.strip()

    def complains(self, *arguments: str, **variables: str) -> str:
        done = self.hub(*arguments, expect=1, **variables)
        assert done.stdout == ""
        return " ".join(done.stderr.split())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_from_an_empty_folder_to_a_token_and_back(shell: Shell) -> None:
    assert shell.says("migrate") == "Applied 0001_initial\nApplied 0002_identity_and_access"
    assert shell.says("migrate") == "Nothing to do"
    assert shell.says("users", "list") == ""

    grant = ("users", "grant", "github:1001", "--role", "deployer", "--instance", "prod-east")
    assert "There is no instance 'prod-east'. Known: none; put NAME.kubeconfig into" in shell.complains(
        *grant
    )
    assert shell.says("users", "list") == ""  # whoever couldn't be granted anything wasn't created
    (shell.folder / "credentials").mkdir()
    (shell.folder / "credentials" / "prod-east.kubeconfig").touch()

    granted = shell.says(*grant, "--namespace", "ml-team", "--namespace", "data", "--name", "Ada")
    match = re.fullmatch(
        r"github:1001 \((usr_\w{26})\) is deployer on prod-east in data, ml-team by (grt_\w{26})", granted
    )
    assert match is not None
    user_id, grant_id = match.groups()
    shell.hub("users", "grant", "github:1001", "--role", "viewer")

    made = shell.hub("token", "create", "github:1001", "--name", "ci", "--role", "viewer", "--expires", "30d")
    secret = made.stdout.removesuffix("\n")
    token = re.fullmatch(
        r"(tok_\w{26}) of github:1001, until [-0-9]{10} [0-9]{2}:[0-9]{2} UTC. This is shown once:\n",
        made.stderr,
    )
    assert token is not None
    assert digest_of(secret)
    for file in (shell.folder / "data").iterdir():
        assert secret.encode() not in file.read_bytes()

    listed = shell.says("users", "list", HUB_ADMINS="github:1001").splitlines()
    assert listed[0] == f"github:1001  Ada  {user_id}"
    assert listed[1] == "  admin everywhere, by HUB_ADMINS"
    assert listed[2] == f"  {grant_id}  deployer on prod-east in data, ml-team"
    assert listed[3].endswith("  viewer everywhere")
    assert listed[4].startswith(f"  {token[1]}  ci  {secret[:10]}…  until ")

    assert shell.says("token", "revoke", token[1]) == f"Revoked {token[1]}"
    assert shell.says("users", "revoke", grant_id) == f"Revoked {grant_id}"
    assert grant_id in shell.complains("users", "revoke", grant_id)
    left = shell.says("users", "list")
    assert grant_id not in left
    assert token[1] not in left


def test_an_instance_may_be_known_by_its_row_alone(shell: Shell) -> None:
    shell.hub("migrate")
    with sqlite3.connect(shell.folder / "data" / "kubefoundry.db") as database:
        database.execute(
            "INSERT INTO instances (id, display_name, created_at, updated_at) VALUES ('edge', 'edge', 1, 1)"
        )
    database.close()
    assert "is viewer on edge by" in shell.says(
        "users", "grant", "github:1", "--role", "viewer", "--instance", "edge"
    )
    limited = ("token", "create", "github:1", "--name", "x", "--instance", "prod")
    assert "There is no instance 'prod'. Known: edge" in shell.complains(*limited)


def test_an_administrator_by_setting_needs_no_grant(shell: Shell) -> None:
    made = shell.hub("token", "create", "github:7", "--name", "first", expect=0, HUB_ADMINS="github:7")
    assert digest_of(made.stdout.strip())


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ("users grant github:octocat --role viewer", 2, "github:<numeric id>, not the user name"),
        ("users grant ada@example.com --role viewer", 2, "entra:<tenant id>/<object id>"),
        ("users grant github:1 --role owner", 2, "'viewer', 'deployer', 'admin'"),
        ("users grant github:1", 2, "--role"),
        (
            "users grant github:1 --role viewer --namespace ../team-b",
            2,
            "'../team-b' is no name of Kubernetes",
        ),
        ("users grant github:1 --role viewer --instance A/B", 2, "'A/B' is no name of Kubernetes"),
        ("users grant github:1 --role admin --namespace a", 1, "An admin is one everywhere"),
        ("users revoke grt_x", 1, "There is no grant grt_x"),
        ("token create github:1 --name ci", 1, "Nobody is known as github:1"),
        ("token create github:1 --name ci --expires soon", 2, "write 12h, 30d or 52w"),
        ("token revoke tok_x", 1, "There is no access token tok_x"),
        ("nonsense", 2, "No such command 'nonsense'"),
    ],
)
@pytest.mark.usefixtures("nothing_set")
def test_mistakes_are_explained(arguments: str, code: int, hint: str) -> None:
    # In this process, because a new one takes a second.
    done = CliRunner().invoke(app, arguments.split(), env={"TERM": "dumb", "COLUMNS": "300"})
    assert (done.exit_code, done.stdout) == (code, "")
    assert hint in " ".join(done.stderr.split())


def test_settings_are_judged_first(shell: Shell) -> None:
    told = shell.complains("users", "list", PORT="x", DATABASE_URL="mysql://a:hunter2@c/d")
    assert "DATABASE_URL: mysql:// is no database" in told
    assert "PORT: 'x' isn't a port number" in told
    assert "hunter2" not in told
    assert "can't be opened" in shell.complains("migrate", DATABASE_URL="postgres://hub@127.0.0.1:1/hub")


def test_the_schema_is_printed(shell: Shell) -> None:
    assert "type Query {" in shell.says("schema")
    assert list(shell.folder.iterdir()) == []


def test_rekey_seals_anew_and_names_what_it_cannot_open(shell: Shell) -> None:
    shell.says("migrate")
    first, second = "the first key, of these tests alone", "the second key, of these tests alone"
    sealed = {
        "prod-east": Sealer(sealing_key(first)).seal("kubeconfig", row_id="prod-east"),
        "prod-west": Sealer(sealing_key(SECRET)).seal("kubeconfig", row_id="prod-west"),
        "edge": Sealer(sealing_key("lost")).seal("kubeconfig", row_id="edge"),
    }
    path = shell.folder / "data" / "kubefoundry.db"
    with closing(sqlite3.connect(path)) as database, database:
        for name, kubeconfig in sealed.items():
            database.execute(
                "INSERT INTO instances (id, display_name, created_at, updated_at, kubeconfig) "
                "VALUES (?, '', '2026-01-01', '2026-01-01', ?)",
                (name, kubeconfig),
            )
    keys = {"SESSION_SECRET": SECRET, "ENCRYPTION_KEY": second, "ENCRYPTION_KEY_PREVIOUS": first}
    done = shell.hub("rekey", expect=1, **keys)
    assert done.stdout == "Sealed anew: 2; sealed with the present key before: 0\n"
    assert done.stderr.startswith("Couldn't be opened:\nedge: it was sealed with a key that isn't set")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM instances WHERE id = 'edge'")
        rows = dict(database.execute("SELECT id, kubeconfig FROM instances"))
    assert {Sealer(sealing_key(second)).open(rows[name], row_id=name) for name in rows} == {"kubeconfig"}
    assert shell.says("rekey", SESSION_SECRET=SECRET, ENCRYPTION_KEY=second) == (
        "Sealed anew: 0; sealed with the present key before: 2"
    )


def test_the_last_admin_is_kept_by_the_command_line_too(shell: Shell) -> None:
    def grant_id(person: str) -> str:
        return shell.says("users", "grant", person, "--role", "admin").rpartition(" ")[2]

    ada = grant_id("github:1")
    assert "Nobody would be left who is an admin" in shell.complains("users", "revoke", ada)
    bob = grant_id("github:2")
    assert shell.says("users", "revoke", bob) == f"Revoked {bob}"
    assert "Nobody would be left" in shell.complains("users", "revoke", ada)
    assert shell.says("users", "revoke", ada, HUB_ADMINS="github:3") == f"Revoked {ada}"


def test_grants_of_groups_are_listed_with_their_group(shell: Shell) -> None:
    said = shell.says("users", "grant", "github:1", "--role", "viewer", "--name", "Ada")
    user_id = re.search(r"usr_\w+", said)
    assert user_id is not None
    now = datetime.now(UTC).isoformat()
    with sqlite3.connect(shell.folder / "data" / "kubefoundry.db") as database:
        database.execute("UPDATE users SET groups_synced_at = ?", [now])
        database.execute(
            "INSERT INTO memberships (id, user_id, group_id, name, read_at) "
            "VALUES ('mem_1', ?, '7', 'ML', ?)",
            [user_id[0], now],
        )
        database.execute(
            "INSERT INTO group_mappings (id, provider, group_id, group_name, role, instance_id, created_at, "
            "updated_at) VALUES ('map_1', 'github', '7', 'ML', 2, 'east', ?, ?)",
            [now, now],
        )
    database.close()
    assert shell.says("users", "list").splitlines()[2] == "  deployer on east, by the group ML"
