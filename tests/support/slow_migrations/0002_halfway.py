"""Says when it is halfway; then MIGRATION_TEST=hang waits to be killed, and MIGRATION_TEST=fail fails."""

import asyncio
import os

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def halfway(_apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query("INSERT INTO things (id) VALUES ('first')")
    print("halfway", flush=True)  # noqa: T201 - the test that started this process reads it
    if os.environ.get("MIGRATION_TEST") == "hang":
        await asyncio.Event().wait()
    if os.environ.get("MIGRATION_TEST") == "fail":
        raise ValueError("the data make no sense")


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    operations = [
        ops.RunPython(halfway),
        ops.AddField("Thing", "name", fields.CharField(max_length=40, null=True)),
    ]
