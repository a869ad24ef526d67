"""Judging a kubeconfig that somebody sends: as a file's, and stricter.

Whoever sends it can neither see the hub's files nor speak for its machine. So everything is embedded, nothing
is run, and the way to the server is the hub's own.
"""

from datetime import datetime

from msgspec import structs

from credentials.errors import Refused
from credentials.files import SIZE_LIMIT
from credentials.judge import judge
from credentials.kubeconfig import Section, parse, select
from credentials.types import Credential, CredentialSource

NOWHERE = "/nonexistent"
"""What relative paths would start from; none is ever read."""


def judge_upload(name: str, kubeconfig: str, *, now: datetime, local_refused: bool) -> Credential:
    """The credential of the instance `name`. Raises `Refused`, whose reason quotes no value but names.

    `local_refused`: connections to this machine and to link-local addresses are refused.
    """
    raw = _encoded(kubeconfig)
    chosen = select(parse(raw))
    _check_cluster(chosen.cluster)
    if chosen.user.get("exec"):
        raise Refused(
            "`exec` is refused in a kubeconfig that is sent: embed a token or a client certificate."
        )
    found = judge(
        name,
        raw,
        directory=NOWHERE,
        exec_allow=frozenset(),
        now=now,
        read=_refuse_file,
        source=CredentialSource.STORED,
    )
    return structs.replace(found, local_refused=local_refused)


def _encoded(kubeconfig: str) -> bytes:
    try:
        raw = kubeconfig.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        raise Refused("The kubeconfig isn't text.") from None
    if len(raw) > SIZE_LIMIT:
        raise Refused(f"The kubeconfig is larger than {SIZE_LIMIT // 1024} KiB.")
    return raw


def _check_cluster(cluster: Section) -> None:
    if cluster.get("proxy-url"):
        raise Refused("`proxy-url` is refused in a kubeconfig that is sent: remove it.")
    server = cluster.get("server")
    if isinstance(server, str) and server.lower().startswith("http:"):
        raise Refused("`server` is plain http, which would send the credential in clear: use https.")


def _refuse_file(_directory: str, _path: str) -> bytes:
    raise Refused(
        "It names a file, which the hub doesn't have: embed its content, as "
        "`kubectl config view --raw --flatten` does."
    )
