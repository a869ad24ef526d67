"""What can go wrong with an identity provider.

ProviderError
├── Unavailable      it can't be reached, or fails itself: the same may succeed later
├── Misconfigured    it refuses the hub, or isn't who the settings say
├── Denied           it, or the person, refused this sign-in
├── Expired          what the hub shows, a code or a token, is worth nothing any more
├── NotPermitted     the hub may not read this: a permission or a scope is missing
├── Unbelievable     its answer fails a check
└── NotAdmitted      the person is who they say, and may not use this hub

The text is for the log: exact, without a secret. `code` is for the address of the sign-in page.
"""

from enum import StrEnum

from auth.errors import AuthError


class Code(StrEnum):
    """Why somebody wasn't signed in, as the sign-in page is told; `web/src/login/texts.ts` has the words."""

    ACCESS_DENIED = "access_denied"
    ACCOUNT_DISABLED = "account_disabled"
    EMAIL_UNVERIFIED = "email_unverified"
    INVALID_ANSWER = "invalid_answer"
    MISCONFIGURED = "misconfigured"
    MISSING_SCOPE = "missing_scope"
    NOT_ALLOWED = "not_allowed"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    RATE_LIMITED = "rate_limited"
    SIGN_IN_FAILED = "sign_in_failed"
    SSO_REQUIRED = "sso_required"
    STATE_MISMATCH = "state_mismatch"
    UNAVAILABLE = "unavailable"


class ProviderError(AuthError):
    code = Code.SIGN_IN_FAILED


class Unavailable(ProviderError):
    code = Code.PROVIDER_UNAVAILABLE


class Misconfigured(ProviderError):
    code = Code.MISCONFIGURED


class Denied(ProviderError):
    code = Code.ACCESS_DENIED


class Expired(ProviderError):
    code = Code.STATE_MISMATCH


class NotPermitted(ProviderError):
    code = Code.MISSING_SCOPE


class Unbelievable(ProviderError):
    code = Code.INVALID_ANSWER


class NotAdmitted(ProviderError):
    def __init__(self, text: str, *, code: Code = Code.NOT_ALLOWED) -> None:
        super().__init__(text)
        self.code = code


_MISCONFIGURED = frozenset(
    {
        "application_suspended",
        "incorrect_client_credentials",
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "redirect_uri_mismatch",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
    }
)
_AWAY = frozenset({"server_error", "temporarily_unavailable"})
_DENIED = frozenset({"access_denied", "account_selection_required", "consent_required", "login_required"})
_EXPIRED = frozenset({"bad_refresh_token", "bad_verification_code", "interaction_required", "invalid_grant"})


def oauth_error(error: str, text: str) -> ProviderError:
    """By the `error` of an authorisation or a token response."""
    for names, kind in (
        (_MISCONFIGURED, Misconfigured),
        (_AWAY, Unavailable),
        (_DENIED, Denied),
        (_EXPIRED, Expired),
    ):
        if error in names:
            return kind(text)
    if error == "unverified_user_email":  # GitHub's, for an account without a verified address
        return NotAdmitted(text, code=Code.EMAIL_UNVERIFIED)
    return ProviderError(text)
