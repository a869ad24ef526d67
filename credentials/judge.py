"""Judging a kubeconfig before anything loads it.

The Kubernetes library runs programs, reads any file and talks to any server that a kubeconfig names. What is
kept here is therefore written anew from the few fields that were understood and found fit: the current
context with its cluster and its user, certificate files embedded. No other entry of the file ever gets
to the library.
"""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from credentials import posture
from credentials.errors import Refused, quoted
from credentials.files import Read, read_within
from credentials.kubeconfig import Section, Selection, parse, select
from credentials.login import judge_user
from credentials.server import judge_cluster
from credentials.types import Credential, CredentialSource


def judge(
    name: str,
    raw: bytes,
    *,
    directory: str,
    exec_allow: frozenset[str],
    now: datetime,
    read: Read = read_within,
    source: CredentialSource = CredentialSource.FILE,
) -> Credential:
    """The credential of the instance `name`, from the bytes of a kubeconfig; as `judge_document`."""
    return judge_document(
        name, parse(raw), directory=directory, exec_allow=exec_allow, now=now, read=read, source=source
    )


def judge_document(
    name: str,
    document: Section,
    *,
    directory: str,
    exec_allow: frozenset[str],
    now: datetime,
    read: Read,
    source: CredentialSource,
) -> Credential:
    """The credential of the instance `name`, from a kubeconfig.

    Relative paths in it start from `directory`, which is absolute, and lead nowhere else. `exec_allow` has
    the commands that plugins may run. Raises `Refused`, and nothing else, whatever it holds.
    """
    chosen = select(document)
    cluster = judge_cluster(chosen.cluster, directory=directory, read=read)
    user = judge_user(chosen.user, directory=directory, read=read, exec_allow=exec_allow)
    if not user and cluster["server"].startswith("https:"):
        raise Refused(
            f"The user {quoted(chosen.user_name)} has no way to sign in: give it a token, a `tokenFile`, "
            "a client certificate or an allowed `exec`."
        )
    config = _reduced(chosen, cluster, user)
    credential = Credential(
        name=name,
        config=config,
        directory=directory,
        digest=_digest(config, chosen.namespaces),
        context=chosen.context,
        source=source,
        loaded_at=now,
        namespaces=chosen.namespaces,
        token_digest=_token_digest(user, directory, read),
        tls_verified=posture.is_tls_verified(cluster),
        expires_at=posture.expires_at(user),
    )
    return posture.with_warnings(credential, now)


def _reduced(chosen: Selection, cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    context = {"cluster": chosen.cluster_name, "user": chosen.user_name}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": chosen.context,
        "contexts": [{"name": chosen.context, "context": context}],
        "clusters": [{"name": chosen.cluster_name, "cluster": cluster}],
        "users": [{"name": chosen.user_name, "user": user}],
    }


def _digest(config: dict[str, Any], namespaces: tuple[str, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode([config, namespaces], order="deterministic")).hexdigest()


def _token_digest(user: dict[str, Any], directory: str, read: Read) -> str | None:
    if "tokenFile" not in user:
        return None
    return hashlib.sha256(read(directory, user["tokenFile"])).hexdigest()
