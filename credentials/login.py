"""The user section: how a credential signs in."""

import base64
from pathlib import Path
from typing import Any

from credentials import pem
from credentials.errors import Refused
from credentials.files import Read, is_token, read_token
from credentials.kubeconfig import Section, text
from credentials.plugins import judge_plugin

_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


def judge_user(user: Section, *, directory: str, read: Read, exec_allow: frozenset[str]) -> dict[str, Any]:
    """What is kept of the section: at most one way to sign in, and a client certificate embedded.

    Raises `Refused`.
    """
    if user.get("auth-provider"):
        raise Refused(
            "`auth-provider` is refused, as Kubernetes removed it: use `exec`, a token or a certificate."
        )
    if used := [key for key in _IMPERSONATION if user.get(key)]:
        raise Refused(f"`{used[0]}` is refused: the hub impersonates nobody. Give it an account of its own.")
    ways = {
        "exec": judge_plugin(user["exec"], exec_allow) if user.get("exec") else {},
        "token": _token(user, directory, read),
        "username": _password(user),
    }
    if len(several := [way for way, kept in ways.items() if kept]) > 1:
        raise Refused(f"The user has {' and '.join(f'`{way}`' for way in several)}: keep one way to sign in.")
    return {key: value for kept in ways.values() for key, value in kept.items()} | _certificate(
        user, directory, read
    )


def _token(user: Section, directory: str, read: Read) -> dict[str, str]:
    if (path := text(user, "tokenFile")) is not None:  # beats `token`, as in kubectl
        read_token(directory, path, read)
        return {"tokenFile": str(Path(directory, path))}
    token = text(user, "token")
    if token is not None and not is_token(token):
        raise Refused("`token` holds blanks or other characters that no token has.")
    return {} if token is None else {"token": token}


def _password(user: Section) -> dict[str, str]:
    name, password = text(user, "username"), text(user, "password")
    if name is None and password is None:
        return {}
    if name is None or password is None:
        raise Refused("`username` and `password` go together: one of them is missing.")
    return {"username": name, "password": password}


def _certificate(user: Section, directory: str, read: Read) -> dict[str, str]:
    certificate = pem.content(user, "client-certificate", directory=directory, read=read)
    key = pem.content(user, "client-key", directory=directory, read=read)
    if certificate is None and key is None:
        return {}
    if certificate is None or key is None:
        raise Refused("`client-certificate` and `client-key` go together: one of them is missing.")
    pem.check_pair(certificate, key)
    return {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
