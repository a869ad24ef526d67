"""Python programs beside the test, in processes of their own."""

import os
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


async def python(program: str, *arguments: str, **environment: str) -> Process:
    """Starts `program` (its text) where our packages can be imported; stdout is a pipe, stderr the test's."""
    return await create_subprocess_exec(
        sys.executable, "-c", program, *arguments, cwd=ROOT, stdout=PIPE, env={**os.environ, **environment}
    )


async def output(process: Process) -> str:
    """What it printed, once it has ended well."""
    printed, _ = await process.communicate()
    assert process.returncode == 0, f"exit code {process.returncode}"
    return printed.decode().strip()
