"""What a judged kubeconfig says about one connection, and how it logs in to the API server."""

import base64
import binascii
import os
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from tempfile import NamedTemporaryFile
from typing import Any

from cluster.errors import CredentialRejected
from cluster.plugin import Plugin, PluginCredential
from credentials.errors import Refused
from credentials.types import Credential

_EMBEDDED = ("certificate-authority", "client-certificate", "client-key")

Entry = Mapping[str, Any]


def chosen(credential: Credential) -> tuple[Entry, Entry]:
    """The cluster and the user of the credential's context; the user is empty where there is none."""
    context = _named(credential.config, "contexts", credential.context).get("context") or {}
    cluster = _named(credential.config, "clusters", context.get("cluster")).get("cluster") or {}
    if not cluster.get("server"):
        raise CredentialRejected(f"context {credential.context!r} names no cluster with a server")
    return cluster, _named(credential.config, "users", context.get("user")).get("user") or {}


def _named(config: Entry, kind: str, name: str | None) -> Entry:
    return next((entry for entry in config.get(kind) or () if entry.get("name") == name), {})


@contextmanager
def on_files(entry: Entry) -> Iterator[dict[str, Any]]:
    """The entry with its embedded data in files that are gone when the context ends."""
    with ExitStack() as files:
        found = dict(entry)
        for key in _EMBEDDED:
            if (data := found.pop(f"{key}-data", None)) is None:
                continue
            try:
                content = base64.b64decode(data)
            except (binascii.Error, TypeError, ValueError) as error:
                raise CredentialRejected(f"{key}-data is no base64") from error
            found[key] = files.enter_context(_on_file(content))
        yield found


@contextmanager
def _on_file(content: bytes) -> Iterator[str]:
    """A path, for OpenSSL loads client certificates from paths alone.

    On Linux it leads to memory, so that no way of dying leaves a private key on a disk.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("kubeconfig")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with NamedTemporaryFile(prefix="hub-") as file:
            file.write(content)
            file.flush()
            yield file.name


class Login:
    """Renews what a connection logs in with; kubernetes_asyncio calls it before every request."""

    def __init__(
        self, *, tls: ssl.SSLContext | None, plugin: Plugin | None, read_token: Callable[[], str] | None
    ) -> None:
        self._tls = tls
        self._plugin = plugin
        self._read_token = read_token
        self._loaded: PluginCredential | None = None

    async def __call__(self, configuration: Any) -> None:
        """Raises CredentialRejected where there is nothing to log in with."""
        if self._read_token is not None:
            try:
                configuration.api_key["BearerToken"] = f"Bearer {self._read_token()}"
            except Refused as error:
                raise CredentialRejected(f"tokenFile: {error.reason}") from error
        elif self._plugin is not None:
            credential = await self._plugin.credential()
            if credential is not self._loaded:
                self._load(credential, configuration)

    def forget(self) -> None:
        """The API server refused the login."""
        if self._plugin is not None:
            self._plugin.forget()

    def _load(self, credential: PluginCredential, configuration: Any) -> None:
        if credential.token is not None:
            configuration.api_key["BearerToken"] = f"Bearer {credential.token}"
        certificate, key = credential.client_certificate_data, credential.client_key_data
        if self._tls is not None and certificate is not None and key is not None:
            _load_certificate(self._tls, certificate.encode(), key.encode())
        self._loaded = credential


def _load_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Connections that are made from now on show this certificate."""
    with _on_file(certificate) as certificate_path, _on_file(key) as key_path:
        try:
            tls.load_cert_chain(certificate_path, key_path)
        except ssl.SSLError as error:
            raise CredentialRejected(
                f"the exec plugin's certificate can't be used: {error.reason}"
            ) from error
