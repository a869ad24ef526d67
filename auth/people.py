"""How a person is named before they ever signed in: `PROVIDER:SUBJECT`."""

import re

import msgspec

from auth.errors import InvalidRequest
from auth.identity import Provider

_GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SUBJECTS = {
    Provider.ENTRA: (re.compile(f"{_GUID}/{_GUID}"), "entra:<tenant id>/<object id>, both GUIDs"),
    Provider.GITHUB: (re.compile(r"[1-9][0-9]{0,18}"), "github:<numeric id>, not the user name"),
    Provider.OIDC: (re.compile(r"https?://[^\s#]+#\S+"), "oidc:<issuer>#<sub>"),
    Provider.DEMO: (re.compile(r"[a-z][a-z0-9-]{0,62}"), "demo:<name>"),
}


class Person(msgspec.Struct, frozen=True):
    """Somebody at a provider. E-mail addresses and user names change hands, so they name nobody."""

    provider: Provider
    subject: str
    """Entra: `tid/oid`; GitHub: the numeric id; OIDC: `iss#sub`; demo: the name."""

    def __str__(self) -> str:
        return f"{self.provider.lower()}:{self.subject}"


def parse_person(text: str) -> Person:
    """Read `PROVIDER:SUBJECT`; raises `InvalidRequest` with the form that the provider's subjects have."""
    name, _, subject = text.partition(":")
    provider = next((known for known in _SUBJECTS if known.lower() == name.lower()), None)
    if provider is None:
        forms = "; ".join(form for _, form in _SUBJECTS.values())
        raise InvalidRequest(f"{text!r} names no person: write {forms}")
    shape, form = _SUBJECTS[provider]
    if not shape.fullmatch(subject):
        raise InvalidRequest(f"{text!r} names no person: write {form}")
    return Person(provider, subject.lower() if provider is Provider.ENTRA else subject)
