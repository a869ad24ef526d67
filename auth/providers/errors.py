"""What can go wrong with an identity provider.

ProviderError
├── Unavailable      it can't be reached, or fails itself: the same may succeed later
├── Misconfigured    it refuses the hub, or isn't who the settings say
├── Denied           it, or the person, refused this sign-in
├── Expired          what the hub shows, a code or a token, is worth nothing any more
├── NotPermitted     the hub may not read this: a permission or a scope is missing
├── Unbelievable     its answer fails a check
└── NotAdmitted      the person is who they say, and may not use this hub

The text is for the log: exact, without a secret. `code` is for the address of the sign-in page, where
`web/src/login/texts.ts` explains it.
"""

from auth.errors import AuthError


class ProviderError(AuthError):
    code = "sign_in_failed"


class Unavailable(ProviderError):
    code = "provider_unavailable"


class Misconfigured(ProviderError):
    code = "misconfigured"


class Denied(ProviderError):
    code = "access_denied"


class Expired(ProviderError):
    code = "state_mismatch"


class NotPermitted(ProviderError):
    code = "missing_scope"


class Unbelievable(ProviderError):
    code = "invalid_answer"


class NotAdmitted(ProviderError):
    """`code`: `not_allowed`, `email_unverified`, `sso_required`, `missing_scope` or `account_disabled`."""

    def __init__(self, text: str, *, code: str = "not_allowed") -> None:
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
        return NotAdmitted(text, code="email_unverified")
    return ProviderError(text)
