"""`exec`: a program of the hub's machine that fetches the credential.

Judged here, run by `cluster.client`, with a timeout. An allowed program is allowed with any arguments.
"""

import re
from typing import Any

from credentials.errors import Refused, quoted
from credentials.kubeconfig import Section, text

_API_GROUP = "client.authentication.k8s.io/"

_FORBIDDEN_ENV = re.compile(
    r"PATH|ENV|BASH_ENV|LD_.*|DYLD_.*|PYTHON.*|CLOUDSDK_PYTHON.*|NODE_OPTIONS|AWS_(CONFIG|SHARED_CREDENTIALS)_FILE"
    r"|.*PROXY",
    re.IGNORECASE,
)
"""What would choose the code that runs (AWS's files may name a `credential_process`), or whom it talks to."""


def judge_plugin(plugin: object, allow: frozenset[str]) -> dict[str, Any]:
    """What is kept of `exec`, as the user's entry; raises `Refused`."""
    if not isinstance(plugin, dict):
        raise Refused("`exec` should be a mapping with `command` and `apiVersion`.")
    version = text(plugin, "apiVersion") or ""
    if not version.startswith(_API_GROUP):
        raise Refused(f"`exec.apiVersion` should be {_API_GROUP}v1.")
    if plugin.get("interactiveMode") == "Always":
        raise Refused("`exec.interactiveMode` is Always, but nobody sits at the hub: choose IfAvailable.")
    kept = {"apiVersion": version, "command": _command(plugin, allow), "args": _arguments(plugin)}
    return {"exec": kept | {"env": _environment(plugin)}}


def _command(plugin: Section, allow: frozenset[str]) -> str:
    command = text(plugin, "command")
    if command is None:
        raise Refused("`exec` has no `command`.")
    if "/" in command or "\\" in command:
        raise Refused(
            "`exec.command` is a path: give the program's bare name, which is looked for on the hub's PATH."
        )
    if command not in allow:
        allowed = ", ".join(sorted(allow)) or "none"
        raise Refused(
            f"`exec.command` {quoted(command)} isn't allowed here (allowed: {allowed}): "
            "add it to CREDENTIALS_EXEC_ALLOW, or use a token."
        )
    return command


def _arguments(plugin: Section) -> list[str]:
    arguments = plugin.get("args") or []
    if not isinstance(arguments, list) or not all(_is_argument(argument) for argument in arguments):
        raise Refused("`exec.args` should be a list of texts: put numbers in quotes.")
    return arguments


def _environment(plugin: Section) -> list[dict[str, str]]:
    entries = plugin.get("env") or []
    if not isinstance(entries, list):
        raise Refused("`exec.env` should be a list.")
    return [_variable(entry) for entry in entries]


def _variable(entry: object) -> dict[str, str]:
    fields = entry if isinstance(entry, dict) else {}
    name, value = fields.get("name"), fields.get("value", "")
    if (
        not isinstance(name, str)
        or not name
        or "=" in name
        or not (_is_argument(name) and _is_argument(value))
    ):
        raise Refused("Every entry of `exec.env` should have a `name` and a `value` that are texts.")
    if _FORBIDDEN_ENV.fullmatch(name):
        raise Refused(f"`exec.env` sets {quoted(name)}, which isn't allowed: set it for the hub itself.")
    return {"name": name, "value": value}


def _is_argument(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
