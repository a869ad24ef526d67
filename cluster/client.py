"""One connection to one API server: the only module that imports kubernetes_asyncio.

kubernetes_asyncio reads the kubeconfig; the requests are ours, because its client takes proxies from the
environment, follows redirects, has no time limits, and fails on watch lines above 4 MiB.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import aiohttp
import msgspec
from yarl import URL

from cluster import paths
from cluster.addresses import OutwardResolver, check_literal
from cluster.answers import Status, api_error, unreachable, warnings
from cluster.errors import ClusterError, CredentialRejected, Unreachable
from cluster.events import Opened, Page, R, WatchEvent, event_decoder, page_decoder
from cluster.kubeconfig import Entry, Login, chosen, on_files
from cluster.plugin import ExecConfig, Plugin
from cluster.timing import Timing
from cluster.wire import Resource
from credentials.files import read_token
from credentials.types import Credential

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

T = TypeVar("T")

PAGE = 500
MAX_BODY = 64 * 1024 * 1024
"""Bytes of one watch line or one page. etcd holds 1.5 MiB an object by default; ours average 4 KB."""
MAX_ERROR_BODY = 64 * 1024
MAX_REQUESTS = 16
"""At once, watches apart."""

_METADATA_ONLY = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a write answered, with the warnings that the server and its webhooks sent along."""

    value: T
    warnings: tuple[str, ...]


class Client:
    """Typed requests. All raise `ApiError`, `Unreachable` and, from a renewal, `CredentialRejected`."""

    def __init__(
        self, *, session: aiohttp.ClientSession, configuration: "Configuration", login: Login, timing: Timing
    ) -> None:
        self.endpoint = str(configuration.host)
        self.last_seen_at: datetime | None = None
        """When the API server last sent anything."""
        self.verify: Callable[[], Awaitable[None]] | None = None
        """Awaited before the next request once a connection was lost or a watch ended, for another cluster
        may answer by then. What it raises, the request does. It asks for `kube-system`, and that alone."""
        self._doubted = False
        self._verifying = asyncio.Lock()
        self._session = session
        self._configuration = configuration
        self._login = login
        self._timing = timing
        self._slots = asyncio.Semaphore(MAX_REQUESTS)

    async def get(self, path: str, type_: type[T], *, params: Mapping[str, str] | None = None) -> T:
        async with self._slots, self._answer("GET", path, params=params) as response:
            return msgspec.json.decode(await self._body(response), type=type_)

    async def page(self, path: str, type_: type[R], *, token: str = "", limit: int = PAGE) -> Page[R]:
        """One page of a list. `token` is the page before's `next`; 410 when it has expired."""
        params = {"limit": str(limit)} | ({"continue": token} if token else {})
        decode = page_decoder(type_)
        async with (
            self._slots,
            self._answer("GET", path, params=params, accept=_accept(type_, "List")) as response,
        ):
            return decode(await self._body(response))

    async def watch(self, path: str, type_: type[R], *, version: str) -> AsyncGenerator[WatchEvent[R], None]:
        """Events after the resource version: `Opened` first, then until the server ends the watch.

        Close the iterator with `aclose()`. Raises `ApiError` for ERROR events too.
        """
        params = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(self._timing.watch))),
        }
        decode = event_decoder(type_)
        async with self._answer(
            "GET",
            path,
            params=params,
            accept=_accept(type_, ""),
            silence=self._timing.silence,
            headers={"Accept-Encoding": "identity"},
        ) as response:
            yield Opened()
            async for line in self._lines(response):
                yield decode(line)
            self._doubted = True

    async def create(self, path: str, body: Any, type_: type[T], *, params: Mapping[str, str]) -> Answer[T]:
        async with self._slots, self._answer("POST", path, params=params, body=body) as response:
            value = msgspec.json.decode(await self._body(response), type=type_)
            return Answer(value, warnings(response.headers.getall("Warning", ())))

    async def delete(self, path: str, options: Any, type_: type[T]) -> T | None:
        """The object as it was last, still there where a finalizer holds it; None for a plain success."""
        async with self._slots, self._answer("DELETE", path, body=options) as response:
            body = await self._body(response)
            if msgspec.json.decode(body, type=Status).kind == "Status":
                return None
            return msgspec.json.decode(body, type=type_)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        accept: str = "application/json",
        silence: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, its status a success; the one place where aiohttp's errors become ours."""
        if path != paths.KUBE_SYSTEM:
            await self._verified()
        try:
            authorization = await self._configuration.get_api_key_with_prefix("BearerToken")
            async with self._session.request(
                method,
                URL(self.endpoint + path, encoded=True),
                params=params,
                data=None if body is None else msgspec.json.encode(body),
                headers={
                    "Accept": accept,
                    **({} if body is None else {"Content-Type": "application/json"}),
                    **({"Authorization": authorization} if authorization else {}),
                    **(headers or {}),
                },
                timeout=aiohttp.ClientTimeout(
                    connect=self._timing.connect, sock_read=silence or self._timing.answer
                ),
                allow_redirects=False,
                server_hostname=self._configuration.tls_server_name,
            ) as response:
                self.last_seen_at = datetime.now(UTC)
                if response.status >= 300:
                    raise await self._refusal(response)
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            self._doubted = True
            raise unreachable(error, host=self.endpoint) from error

    async def _verified(self) -> None:
        if self._doubted and self.verify is not None:
            async with self._verifying:
                if self._doubted:
                    await self.verify()
                    self._doubted = False

    async def _refusal(self, response: aiohttp.ClientResponse) -> ClusterError:
        if response.status < 400:
            return Unreachable(
                f"{self.endpoint}: the answer leads elsewhere, and the hub doesn't follow. "
                "Put the API server's own address into the kubeconfig"
            )
        if response.status == 401:
            self._login.forget()
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ERROR_BODY:
                break
        return api_error(response.status, bytes(body), retry_after=response.headers.get("Retry-After"))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            self._check(len(body), "an answer")
        return bytes(body)

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Lines of any length up to `MAX_BODY`; a last one without its end is a cut connection."""
        rest = bytearray()
        async for chunk in response.content.iter_any():
            self.last_seen_at = datetime.now(UTC)
            seen = len(rest)
            rest += chunk
            if (end := rest.rfind(b"\n", seen)) >= 0:
                lines, rest = bytes(rest[:end]).split(b"\n"), rest[end + 1 :]
                for line in lines:
                    yield line
            self._check(len(rest), "a watch event")
        if rest:
            raise aiohttp.ClientPayloadError

    def _check(self, length: int, what: str) -> None:
        if length > MAX_BODY:
            raise Unreachable(
                f"{self.endpoint}: {what} is longer than the {MAX_BODY >> 20} MiB that the hub takes"
            )


@asynccontextmanager
async def open_client(credential: Credential, *, timing: Timing) -> AsyncIterator[Client]:
    """A client that logs in with the credential. Nothing of it is on a disk. Raises CredentialRejected.

    End every watch before leaving: closing a session doesn't wake the readers of its streams.
    """
    configuration, tls, login = await _load(credential, timing=timing)
    if credential.local_refused:
        check_literal(URL(str(configuration.host)).host or "")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=tls or True, limit=0, resolver=OutwardResolver() if credential.local_refused else None
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "kubeairunway-hub"},
        proxy=configuration.proxy or None,
        trust_env=False,
    )
    async with session:
        yield Client(session=session, configuration=configuration, login=login, timing=timing)


async def _load(
    credential: Credential, *, timing: Timing
) -> tuple["Configuration", ssl.SSLContext | None, Login]:
    # With all its models this takes 0.4 s, a third of the hub's start: not before a cluster needs it, and
    # beside the event loop.
    library = await asyncio.to_thread(import_module, "kubernetes_asyncio.config.kube_config")
    cluster, user = chosen(credential)
    # What changes while the hub runs is the login's; the loader would run or read it once.
    settled = {key: value for key, value in user.items() if key not in ("exec", "tokenFile")}
    configuration = library.Configuration()
    with on_files(cluster) as cluster_files, on_files(settled) as user_files:
        try:
            config = _config(cluster_files, user_files)
            loader = library.KubeConfigLoader(config_dict=config, config_base_path=credential.directory)
            await loader.load_and_set(configuration)
            tls = _tls(configuration) if str(configuration.host).startswith("https:") else None
            if tls is not None and cluster.get("insecure-skip-tls-verify") is True:
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        except (library.ConfigException, OSError, ValueError, TypeError, KeyError, AssertionError) as error:
            raise CredentialRejected(f"the kubeconfig can't be used: {error}") from error
    login = Login(
        tls=tls,
        plugin=_plugin(user, timeout=timing.plugin),
        read_token=_token_file(user, credential.directory),
    )
    configuration.refresh_api_key_hook = login
    await login(configuration)
    return configuration, tls, login


def _config(cluster: Entry, user: Entry) -> Entry:
    return {
        "current-context": "chosen",
        "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
        "clusters": [{"name": "chosen", "cluster": cluster}],
        "users": [{"name": "chosen", "user": user}],
    }


def _tls(configuration: "Configuration") -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # On from Python 3.13; refuses certificates without AuthorityKeyIdentifier, which clusters have.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return tls


def _plugin(user: Entry, *, timeout: float) -> Plugin | None:
    if not user.get("exec"):
        return None
    try:
        config = msgspec.convert(user["exec"], type=ExecConfig)
    except msgspec.ValidationError as error:
        raise CredentialRejected(f"the kubeconfig's exec entry: {error}") from error
    return Plugin(config, timeout=timeout)


def _token_file(user: Entry, directory: str) -> Callable[[], str] | None:
    return partial(read_token, directory, user["tokenFile"]) if user.get("tokenFile") else None


def _accept(type_: type[Resource], suffix: str) -> str:
    """Of resources whose names alone matter, the server sends the metadata alone."""
    return _METADATA_ONLY.format(suffix) if type_ is Resource else "application/json"
