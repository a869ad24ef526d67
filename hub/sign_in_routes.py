"""Signing in at a provider: `/api/auth/login/…` sends browsers there, `/api/auth/callback/…` takes them back.

What goes wrong leads to the sign-in page with a code that it explains; exactly what, is in the log.
"""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from tortoise.transactions import in_transaction

from auth.audit import Act, Outcome, Verdict
from auth.issuing import Issued
from auth.providers.catalogue import Providers
from auth.providers.errors import Code, NotAdmitted, ProviderError, Unbelievable, oauth_error
from auth.providers.types import Callback, SignedIn
from auth.sign_in import admit, record_sign_in
from hub.auditing import origin, origin_by_session, trail_of
from hub.client_address import rate_key
from hub.oauth_cookie import LIFETIME, Attempt, AttemptCookies
from hub.responses import problem_response
from hub.sessions import BrowserSessions
from hub.settings import Settings
from models.errors import DatabaseUnavailable, RateLimited
from models.ids import new_id
from models.rates import Limit, count
from models.sealing import Sealer
from schema.errors import Problem, describe

log = logging.getLogger(__name__)

HOME = "/graphql"
RETURN_TO = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f]*")
"""A path of this hub. Browsers read `\\` as `/`, and drop tabs and newlines."""
RETURN_TO_LENGTH = 2_000
"""Characters: browsers drop cookies above 4 KB."""
ONCE = Limit("this sign-in", 1, LIFETIME)
_FAILURES = (Code.MISCONFIGURED, Code.PROVIDER_UNAVAILABLE, Code.SIGN_IN_FAILED)
"""Nothing that the person may or may not do."""
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""The callback's address has the code in it."""


def login_url(provider_id: str) -> str:
    return f"/api/auth/login/{provider_id}"


def callback_url(provider_id: str) -> str:
    return f"/api/auth/callback/{provider_id}"


def sign_in_routes(settings: Settings, *, providers: Providers, browsers: BrowserSessions) -> list[BaseRoute]:
    handlers = _Handlers(
        providers=providers,
        attempts=AttemptCookies(keys=settings.auth.state_keys(), secure=settings.http.secure),
        browsers=browsers,
        sealer=settings.auth.sealer(),
        limit=settings.rates.sign_in,
        max_age=settings.auth.group_max_age,
    )
    return [
        Route(login_url("{provider}"), handlers.begin),
        Route(callback_url("{provider}"), handlers.finish),
    ]


@dataclass(frozen=True, kw_only=True)
class _Handlers:
    providers: Providers
    attempts: AttemptCookies
    browsers: BrowserSessions
    sealer: Sealer
    limit: Limit
    """By address."""
    max_age: timedelta
    """GROUP_MAX_AGE."""

    async def begin(self, request: Request) -> Response:
        name, return_to = request.path_params["provider"], request.query_params.get("returnTo", HOME)
        if name not in self.providers:
            return _not_found(request)
        if not RETURN_TO.fullmatch(return_to) or len(return_to) > RETURN_TO_LENGTH:
            fields = [{"path": "returnTo", "message": "must be a path of this hub, such as /graphql"}]
            problem = Problem(
                "BAD_USER_INPUT", "After signing in, people stay on this hub", {"fields": fields}
            )
            return problem_response(request.scope, problem)
        try:
            await count(rate_key(request.state.client_address), self.limit)
            return await self._sent_there(request, name, return_to)
        except RateLimited as error:
            _note(request, name, Code.RATE_LIMITED)
            if "text/html" not in request.headers.get("accept", ""):
                return problem_response(request.scope, describe(error))
            return _failed(Code.RATE_LIMITED, return_to)
        except ProviderError as error:
            log.warning("signing in by %s can't begin: %s", name, error)
            _note(request, name, error.code)
            return _failed(error.code, return_to)
        except DatabaseUnavailable as error:
            log.warning("signing in by %s can't begin: %s", name, error)
            return _failed(Code.UNAVAILABLE, return_to)

    async def _sent_there(self, request: Request, name: str, return_to: str) -> Response:
        redirect_uri = request.state.base_url + callback_url(name)
        begun = await (await self.providers.get(name)).begin(
            redirect_uri=redirect_uri, choose_account="choose" in request.query_params
        )
        attempt = Attempt(
            provider=name,
            state=begun.state,
            verifier=begun.verifier,
            nonce=begun.nonce,
            redirect_uri=redirect_uri,
            return_to=return_to,
            began_at=datetime.now(UTC),
        )
        response = RedirectResponse(begun.url, 302, HEADERS)
        for cookie in self.attempts.setting(attempt, request.headers):
            response.headers.append("Set-Cookie", cookie)
        return response

    async def finish(self, request: Request) -> Response:
        name, state = request.path_params["provider"], request.query_params.get("state", "")
        if name not in self.providers:
            return _not_found(request)
        attempt = self.attempts.read(state, request.headers, now=datetime.now(UTC))
        if attempt is None or attempt.provider != name:
            log.warning("a callback of %s belongs to no sign-in that this browser has begun", name)
            _note(request, name, Code.STATE_MISMATCH)
            return _failed(Code.STATE_MISMATCH, HOME)
        response = await self._outcome(request, attempt)
        response.headers.append("Set-Cookie", self.attempts.clearing(state))
        return response

    async def _outcome(self, request: Request, attempt: Attempt) -> Response:
        try:
            await count(attempt.state, ONCE)
            issued = await self._signed_in(request, attempt)
        except RateLimited:
            log.warning("a callback of %s was used before", attempt.provider)
            _note(request, attempt.provider, Code.STATE_MISMATCH)
            return _failed(Code.STATE_MISMATCH, attempt.return_to)
        except ProviderError as error:
            log.warning("signing in by %s failed: %s", attempt.provider, error)
            _note(request, attempt.provider, error.code, error)
            return _failed(error.code, attempt.return_to)
        except DatabaseUnavailable as error:
            log.warning("signing in by %s failed: %s", attempt.provider, error)
            return _failed(Code.UNAVAILABLE, attempt.return_to)
        response = RedirectResponse(attempt.return_to, 302, HEADERS)
        return self.browsers.cookies.give(response, issued)

    async def _signed_in(self, request: Request, attempt: Attempt) -> Issued:
        if error := _only(request, "error"):
            words = " ".join((_only(request, "error_description") or "").split())
            raise oauth_error(error, f"it answers {error[:80]}: {words[:300]}")
        code = _only(request, "code")
        if code is None:
            raise Unbelievable("the callback has neither a code nor an error")
        callback = Callback(
            code=code,
            issuer=_only(request, "iss"),
            redirect_uri=attempt.redirect_uri,
            verifier=attempt.verifier,
            nonce=attempt.nonce,
        )
        asked_at = datetime.now(UTC)
        signed_in = await (await self.providers.get(attempt.provider)).finish(callback)
        admit(signed_in.profile, self.providers.config)
        return await self._begun(request, signed_in, name=attempt.provider, asked_at=asked_at)

    async def _begun(self, request: Request, signed_in: SignedIn, *, name: str, asked_at: datetime) -> Issued:
        """The person, their groups and their session, or nothing of it."""
        now, session_id, token = datetime.now(UTC), new_id("ses"), signed_in.token
        async with in_transaction():
            user_id = await record_sign_in(
                signed_in,
                provider_name=self.providers.name_of(name),
                read_at=asked_at,
                now=now,
                max_age=self.max_age,
            )
            issued = await self.browsers.begin(
                request,
                user_id,
                now=now,
                session_id=session_id,
                provider_token=None if token is None else self.sealer.seal(token, row_id=session_id),
            )
            by = await origin_by_session(request.scope, session_id)
            act = Act(action="signIn", target=session_id, note=f"by {name}")
            await trail_of(request.scope).record(by, act)
            return issued


def _only(request: Request, name: str) -> str | None:
    """The parameter's value; None if it isn't there. Twice is nobody's honest callback."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise Unbelievable(f"the callback has {name} more than once")
    return values[0] if values else None


def _not_found(request: Request) -> Response:
    problem = Problem("NOT_FOUND", "There is no such way to sign in; GET /api/auth/providers lists them")
    return problem_response(request.scope, problem)


def _note(request: Request, name: str, code: Code, error: ProviderError | None = None) -> None:
    """Who isn't let in is named. What a provider says besides may hold anything, and is in the log alone."""
    words = f": {error}" if isinstance(error, NotAdmitted) else ""
    outcome = Outcome.FAILED if code in _FAILURES else Outcome.REFUSED
    verdict = Verdict(outcome, code.upper(), f"by {name}{words}")
    trail_of(request.scope).note(origin(request.scope), Act(action="signIn"), verdict)


def _failed(code: Code, return_to: str) -> Response:
    """To the sign-in page, which keeps the way back."""
    query = {"error": str(code)} | ({} if return_to == HOME else {"returnTo": return_to})
    return RedirectResponse(f"/login?{urlencode(query)}", 302, HEADERS)
