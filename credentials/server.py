"""The cluster section: where a credential is sent to."""

import base64
import ipaddress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from credentials import pem
from credentials.errors import Refused, quoted
from credentials.files import Read
from credentials.kubeconfig import Section, text


def judge_cluster(cluster: Section, *, directory: str, read: Read) -> dict[str, Any]:
    """What is kept of the section, files embedded; raises `Refused`."""
    kept: dict[str, Any] = {"server": _address(text(cluster, "server"))}
    authorities = pem.content(cluster, "certificate-authority", directory=directory, read=read)
    insecure = cluster.get("insecure-skip-tls-verify")
    if not isinstance(insecure, bool | None):  # any text would switch the check off, "false" too
        raise Refused("`insecure-skip-tls-verify` should be `true` or `false`, without quotes.")
    if insecure and authorities is not None:
        raise Refused("`insecure-skip-tls-verify` and `certificate-authority` contradict: remove the former.")
    if insecure:
        kept["insecure-skip-tls-verify"] = True
    if authorities is not None:
        pem.check_authorities(authorities)
        kept["certificate-authority-data"] = base64.b64encode(authorities).decode()
    if (server_name := text(cluster, "tls-server-name")) is not None:
        kept["tls-server-name"] = server_name
    if (proxy := text(cluster, "proxy-url")) is not None:
        kept["proxy-url"] = _proxy(proxy)
    return kept


def _address(server: str | None) -> str:
    url = _split(server or "", "server")
    if url.scheme not in ("https", "http"):
        raise Refused("`server` should be an address such as https://host:6443.")
    if "@" in url.netloc:
        raise Refused("`server` holds a user name or password: move it to the user's entry.")
    if url.query or url.fragment:
        raise Refused("`server` holds a query or a fragment: remove it.")
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        raise Refused("`server` is plain http, which would send the credential in clear: use https.")
    return url.geturl()


def _proxy(proxy: str) -> str:
    url = _split(proxy, "proxy-url")
    if url.scheme not in ("http", "https"):
        raise Refused(f"`proxy-url` is for {quoted(url.scheme)}: only http and https proxies work.")
    return url.geturl()


def _split(address: str, key: str) -> SplitResult:
    try:
        url = urlsplit(address)
        usable = bool(url.hostname) and url.port != 0  # reading the port checks it
    except ValueError:
        usable = False
    if not usable or " " in address or "\\" in address:
        raise Refused(f"`{key}` should be an address such as https://host:6443.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
