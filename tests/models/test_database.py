import asyncio
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tortoise.exceptions import IntegrityError

from models.database import Database, open_database
from models.errors import DatabaseUnavailable
from models.ids import new_id
from models.tables import AccessToken, Instance, RoleAssignment, User
from models.url import parse_database_url
from tests.support.databases import UNPRIVILEGED
from tests.support.waiting import until


async def person(subject: str, display_name: str = "Somebody") -> User:
    return await User.create(id=new_id("usr"), provider="oidc", subject=subject, display_name=display_name)


@pytest.mark.usefixtures("database")
async def test_rows_come_back_as_they_were() -> None:
    user = await person("iss#1")
    await RoleAssignment.create(id=new_id("grt"), user=user, role=2, namespaces=["ml-team", "team-b"])
    expires = datetime(2030, 1, 2, 3, 4, 5, 678901, UTC)
    await AccessToken.create(
        id=new_id("tok"), user=user, name="ci", prefix="hub_abc", digest="0" * 64, expires_at=expires
    )

    grant = await RoleAssignment.get(user_id=user.id)
    assert (grant.role, grant.instance_id, grant.namespaces) == (2, None, ["ml-team", "team-b"])
    assert grant.created_by_id is None
    assert abs(datetime.now(UTC) - grant.created_at) < timedelta(minutes=1)
    token = await AccessToken.get(digest="0" * 64).select_related("user")
    assert (token.expires_at, token.instance_ids, token.user.subject) == (expires, None, "iss#1")
    assert token.expires_at is not None
    assert token.expires_at.utcoffset() == timedelta(0)


@pytest.mark.usefixtures("database")
async def test_whoever_goes_takes_their_grants_along_but_not_those_they_made() -> None:
    admin, other = await person("admin"), await person("other")
    await RoleAssignment.create(id="grt_own", user=admin, role=3)
    await RoleAssignment.create(id="grt_made", user=other, role=1, created_by=admin)
    await admin.delete()
    left = await RoleAssignment.all()
    assert [(grant.id, grant.created_by_id) for grant in left] == [("grt_made", None)]


async def people(database: Database, *subjects: str) -> None:
    async with database.transaction():
        for subject in subjects:
            await person(subject)


async def subjects() -> list[str]:
    return sorted([user.subject for user in await User.all()])


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await people(database, "lost", "same", "same")
    assert await subjects() == []
    await people(database, "same", "other")
    assert await subjects() == ["other", "same"]


async def test_a_unique_violation_inside_a_transaction_of_its_own_spoils_only_that(
    database: Database,
) -> None:
    async with database.transaction():
        await person("same")
        with pytest.raises(IntegrityError):
            await people(database, "lost", "same")
        await person("other")
    assert await subjects() == ["other", "same"]


@pytest.mark.usefixtures("database")
async def test_like_takes_its_wildcards_literally() -> None:
    for name in ("50% off", "50 percent", "a_b", "aXb", "back\\slash", "İzmir"):
        await person(name, name)

    async def found(part: str) -> list[str]:
        return await User.filter(display_name__icontains=part).values_list("display_name", flat=True)  # type: ignore[return-value]

    assert await found("0%") == ["50% off"]
    assert await found("A_B") == ["a_b"]
    assert await found("K\\S") == ["back\\slash"]
    assert await found("zmir") == ["İzmir"]


async def test_many_tasks_are_inside_at_once(database_url: str) -> None:
    async with open_database(parse_database_url(database_url)) as database:

        async def create(number: int) -> int:
            with database.entered():
                await Instance.create(id=f"cluster-{number}", display_name="")
                async with database.transaction():
                    return await Instance.filter(id=f"cluster-{number}").count()

        assert await asyncio.gather(*map(create, range(50))) == [1] * 50


async def test_two_databases_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    first, second = (parse_database_url(f"{tmp_path}/{name}.db") for name in ("first", "second"))
    async with open_database(first) as one, open_database(second) as two:
        with one.entered():
            await Instance.create(id="only-here", display_name="")
            with two.entered():
                assert await Instance.all().count() == 0
            assert await Instance.all().count() == 1


async def test_closing_leaves_no_task_and_no_thread(database_url: str) -> None:
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with open_database(parse_database_url(database_url)) as database:
        await database.ping()

    async def gone() -> bool:
        return asyncio.all_tasks() == tasks and set(threading.enumerate()) <= threads

    await until(gone)


async def test_an_opening_that_is_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    async def opening() -> None:
        async with open_database(parse_database_url(f"{tmp_path}/hub.db")):
            await asyncio.Event().wait()

    threads = set(threading.enumerate())
    for delay in range(0, 100, 5):
        task = asyncio.create_task(opening())
        await asyncio.wait([task], timeout=delay / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def gone() -> bool:
        return set(threading.enumerate()) <= threads

    await until(gone)


async def test_the_file_and_its_folder_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "hub.db"
    async with open_database(parse_database_url(str(path))) as database:
        with database.entered():
            await Instance.create(id="prod-east", display_name="")
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
        assert modes == {"hub.db": 0o600, "hub.db-wal": 0o600, "hub.db-shm": 0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that the test may read and not write; root becomes somebody else for it."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "existing.db").touch(0o444)
        Path(name).chmod(0o555)
        privileged = os.geteuid() == 0
        if privileged:
            os.seteuid(UNPRIVILEGED)
        yield Path(name)
        if privileged:
            os.seteuid(0)
        Path(name).chmod(0o755)


@pytest.mark.parametrize("below", ["hub.db", "folder/hub.db", "existing.db"])
async def test_a_path_that_cannot_be_written_is_named(closed_folder: Path, below: str) -> None:
    path = closed_folder / below
    with pytest.raises(
        DatabaseUnavailable, match=f"SQLite database {path} can't be opened: .*(denied|writable)"
    ):
        async with open_database(parse_database_url(str(path))):
            pass


@pytest.mark.parametrize("content", [b"no database, but a text that is longer than a header" * 40, None])
async def test_a_path_that_is_no_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "hub.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(DatabaseUnavailable, match=f"SQLite database {path} can't be opened"):
        async with open_database(parse_database_url(str(path))):
            pass


async def test_a_server_that_is_not_there_is_named_without_its_password(free_tcp_port: int) -> None:
    url = parse_database_url(f"postgresql://hub:s3cret@127.0.0.1:{free_tcp_port}/hub")
    with pytest.raises(
        DatabaseUnavailable, match=f"127.0.0.1:{free_tcp_port}/hub can't be opened"
    ) as failure:
        async with open_database(url):
            pass
    assert "s3cret" not in str(failure.value)


async def test_sslmode_is_obeyed(postgres_url: str) -> None:
    """The tests' server speaks no TLS."""
    for mode in ("disable", "allow", "prefer"):
        async with open_database(parse_database_url(f"{postgres_url}?sslmode={mode}")) as database:
            await database.ping()
    with pytest.raises(DatabaseUnavailable, match="SSL"):
        async with open_database(parse_database_url(f"{postgres_url}?sslmode=require")):
            pass
