"""ID tokens: the proof of who has signed in."""

from collections.abc import Callable, Mapping
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt

from auth.providers.discovery import Discovery, Jwk, Metadata
from auth.providers.errors import Unbelievable
from auth.providers.web import translated

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""With a key pair. Neither `none` nor HS256, for which a public key would do as the secret."""
LEEWAY = 60
"""Seconds that the provider's clock may differ from ours."""

Claims = dict[str, Any]
IssuerOf = Callable[[Metadata, Claims, Jwk], str]
"""Whom the claims have to come from, signed by that key; raises a `ProviderError` if nobody would do."""


async def read_id_token(
    answer: Mapping[str, Any],
    *,
    name: str,
    discovery: Discovery,
    client_id: str,
    issuer_of: IssuerOf,
    nonce: str | None,
) -> Claims:
    """The claims of a token answer's `id_token`, verified: signature, issuer, audience, times and nonce.

    `nonce` is the one that the sign-in was begun with. It is None for a refreshed token alone, which comes
    straight from the provider and repeats none. Raises `Unbelievable`.
    """
    text = answer.get("id_token")
    if not isinstance(text, str):
        raise Unbelievable(f"{name} sent no ID token")
    if nonce == "":
        raise Unbelievable("this sign-in was begun without a nonce")
    with translated(name, text):
        header = jws.extract_compact(text.encode()).headers()
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise Unbelievable(f"{name}'s ID token is signed by {algorithm!r}, which proves nothing")
    jwk = await discovery.key(header.get("kid"))
    with translated(name, text):
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        claims = jwt.decode(text, jwk.key, registry=registry).claims
    issuer = issuer_of(await discovery.metadata(), claims, jwk)
    with translated(name, text):
        _validate(claims, header, issuer, client_id, nonce, answer.get("access_token"))
    return claims


def _validate(
    claims: Claims,
    header: Mapping[str, Any],
    issuer: str,
    client_id: str,
    nonce: str | None,
    access_token: object,
) -> None:
    options = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        **{name: {"essential": True} for name in ("sub", "exp", "iat")},
        **({} if nonce is None else {"nonce": {"essential": True, "value": nonce}}),
    }
    params = {"client_id": client_id, "nonce": nonce, "access_token": access_token}
    CodeIDToken(claims, header, options, params).validate(leeway=LEEWAY)
