"""The HTTP face: from a request to the registry, a list or a watch."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from hub.demo import status
from hub.demo.access import Account, Tokens, refusal
from hub.demo.crds import CrdController
from hub.demo.faults import Faults, GoneOnContinue, Hang, Refuse, Slow, Verb
from hub.demo.listing import ListOptions, list_body
from hub.demo.objects import Store
from hub.demo.patches import decode_patch
from hub.demo.registry import Part, Preconditions, Registry, WriteOptions, Written
from hub.demo.resources import NAMESPACES
from hub.demo.routing import Target, document, target_of, verb_of
from hub.demo.selectors import Selection, field_selector, label_selector
from hub.demo.status import Json, StatusError
from hub.demo.watch import WatchOptions, WatchStream

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class ApiSettings(msgspec.Struct, frozen=True):
    """How the server behaves towards its clients."""

    version: str = "v1.37.2"
    bookmark_interval: float = 60.0
    """Seconds between bookmarks."""
    watch_timeout: float = 1800.0
    """Seconds after which the server ends a watch at the latest."""
    crd_settle: float = 0.5
    """Seconds during which requests for a just installed type get a 429."""


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a DELETE, as far as it is looked at."""

    preconditions: Preconditions = Preconditions()
    dry_run: tuple[str, ...] = ()


class Api:
    """Answers one request at a time; `handle` is what an aiohttp server calls."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        crds: CrdController,
        tokens: Tokens,
        faults: Faults,
        settings: ApiSettings,
    ) -> None:
        self._store = store
        self._registry = registry
        self._tokens = tokens
        self._faults = faults
        self._crds = crds
        self._settings = settings
        self.requests: Counter[str] = Counter()
        """How many requests came, by verb and resource: `watch modeldeployments`, `discover`, `review`."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except StatusError as error:
            headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
            return _answer(msgspec.json.encode(error.body()), code=error.code, headers=headers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        target = target_of(request.path, self._store.resources)
        verb = verb_of(request, target)
        self.requests[f"{verb} {target.resource.plural}" if target else verb] += 1
        await self._suffer(target, verb)
        account = self._tokens.account(request.headers.get(hdrs.AUTHORIZATION), request.path)
        if request.path == ACCESS_REVIEWS and request.method == "POST":
            return self._review(account, await request.read())
        if target is None:
            return self._describe(request.path)
        return await self._serve(request, target, verb, account)

    async def _suffer(self, target: Target | None, verb: Verb) -> None:
        plural = target.resource.plural if target else None
        if slow := self._faults.strike(Slow, plural, verb):
            await asyncio.sleep(slow.delay)
        if self._faults.strike(Hang, plural, verb):
            await asyncio.Event().wait()
        if fault := self._faults.strike(Refuse, plural, verb):
            raise status.refused(fault.status, fault.retry_after)

    def _review(self, account: Account | None, body: bytes) -> web.Response:
        """Whether whoever asks may do something."""
        self.requests["review"] += 1
        review = _decode(body)
        asked = review.get("spec", {}).get("resourceAttributes", {})
        kind = (asked.get("group", ""), asked.get("resource"))
        served = (each for each in self._store.resources if (each.group, each.plural) == kind)
        target = Target(next(served, NAMESPACES), asked.get("namespace", ""), asked.get("name", ""))
        allowed = refusal(account, Verb(asked.get("verb")), target) is None
        return _answer(msgspec.json.encode(review | {"status": {"allowed": allowed}}), code=201)

    def _describe(self, path: str) -> web.Response:
        if path in ("/readyz", "/livez", "/healthz"):
            return web.Response(text="ok")
        found = document(path, self._store.resources, self._settings.version)
        if found is None:
            return web.Response(text="404 page not found\n", status=404)
        return _answer(msgspec.json.encode(found))

    async def _serve(
        self, request: web.BaseRequest, target: Target, verb: Verb, account: Account | None
    ) -> web.StreamResponse:
        if denied := refusal(account, verb, target):
            raise denied
        if not self._crds.settled(target.resource):
            raise status.initializing()
        if target.subresource and not (target.subresource == "status" and target.resource.status):
            raise status.unserved()
        match verb:
            case Verb.WATCH:
                return await self._watch(request, target)
            case Verb.LIST:
                return self._list(request, target)
            case Verb.GET:
                return _answer(self._registry.get(target.resource, target.namespace, target.name).body)
            case _:
                return self._write(request, target, verb, await request.read())

    def _list(self, request: web.BaseRequest, target: Target) -> web.Response:
        token = request.query.get("continue", "")
        if token and self._faults.strike(GoneOnContinue, target.resource.plural, Verb.LIST):
            raise status.refused(410, None)
        options = ListOptions(
            limit=int(_number(request.query, "limit", 0)),
            continue_=token,
            version=_version(request.query),
            exact=request.query.get("resourceVersionMatch") == "Exact",
        )
        collection = self._registry.served(target.resource)
        return _answer(list_body(self._store, collection, _selection(request, target), options))

    async def _watch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        longest = self._settings.watch_timeout
        options = WatchOptions(
            version=_version(request.query),
            bookmarks=request.query.get("allowWatchBookmarks") in ("true", "1"),
            timeout=min(_number(request.query, "timeoutSeconds", longest), longest),
            bookmark_interval=self._settings.bookmark_interval,
        )
        stream = WatchStream(
            store=self._store,
            collection=self._registry.served(target.resource),
            faults=self._faults,
            selection=_selection(request, target),
            options=options,
        )
        return await stream.run(request)

    def _write(self, request: web.BaseRequest, target: Target, verb: Verb, body: bytes) -> web.Response:
        options = _write_options(request)
        resource, namespace = target.resource, target.namespace
        if verb is Verb.CREATE:
            _check_media_type(request)
            return _written(self._registry.create(resource, namespace, _decode(body), options=options), 201)
        old = self._registry.get(resource, namespace, target.name)
        if verb is Verb.DELETE:
            return self._delete(target, body, options)
        if verb is Verb.PATCH:
            wanted = decode_patch(request.content_type, old.read(), body)
        else:
            _check_media_type(request)
            wanted = _decode(body)
        part = Part.STATUS if target.subresource else Part.MAIN
        return _written(self._registry.update(resource, old, wanted, part=part, options=options))

    def _delete(self, target: Target, body: bytes, options: WriteOptions) -> web.Response:
        try:
            wanted = msgspec.json.decode(body or b"{}", type=DeleteOptions)
        except msgspec.DecodeError as error:
            raise status.bad_request(str(error)) from error
        old = self._registry.get(target.resource, target.namespace, target.name)
        dry_run = options.dry_run or "All" in wanted.dry_run
        deleted = self._registry.delete(
            target.resource,
            old,
            preconditions=wanted.preconditions,
            options=WriteOptions(dry_run=dry_run),
        )
        if not deleted.removed:
            return _written(deleted)
        return _answer(msgspec.json.encode(status.deleted(target.resource, target.name, old.uid)))


def _answer(body: bytes, *, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=code, headers=headers, content_type="application/json")


def _written(written: Written, code: int = 200) -> web.Response:
    answer = _answer(written.stored.body, code=code)
    for warning in written.warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        answer.headers.add("Warning", f'299 - "{quoted}"')
    return answer


def _decode(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=Json)
    except msgspec.DecodeError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error


def _check_media_type(request: web.BaseRequest) -> None:
    if request.content_type != "application/json":
        raise status.unsupported_media_type(request.content_type)


def _write_options(request: web.BaseRequest) -> WriteOptions:
    return WriteOptions(
        dry_run="All" in request.query.getall("dryRun", []),
        field_validation=request.query.get("fieldValidation", "Warn"),
    )


def _selection(request: web.BaseRequest, target: Target) -> Selection:
    labels, fields = request.query.get("labelSelector"), request.query.get("fieldSelector")
    return Selection(
        namespace=target.namespace,
        labels=label_selector(labels) if labels else None,
        fields=field_selector(fields, target.resource) if fields else None,
    )


def _number(query: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(query.get(name) or default)
    except ValueError as error:
        raise status.bad_request(f"{name}: {error}") from error


def _version(query: Mapping[str, str]) -> int | None:
    """The resourceVersion asked for; None for "the most recent" and for "any" (0)."""
    return int(_number(query, "resourceVersion", 0)) or None
