"""The providers that are enabled, each imported when somebody first needs it."""

import asyncio
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from auth.identity import Provider as ProviderName
from auth.providers.config import SignInConfig
from auth.providers.types import Provider


class ProviderInfo(msgspec.Struct, frozen=True):
    """A way to sign in, for the page that offers it."""

    id: str
    """As in addresses: `entra`."""
    provider: ProviderName
    name: str
    """What comes after "Sign in with"."""


class Providers:
    """Made once; answers from the settings alone until a provider is used."""

    def __init__(self, config: SignInConfig, *, order: Sequence[str]) -> None:
        """`order` is that of the sign-in page, by id."""
        self.config = config
        self._configs: Mapping[str, Any] = {
            name: each for name in order if (each := getattr(config, name)) is not None
        }
        self._made: dict[str, Provider] = {}

    def __iter__(self) -> Iterator[ProviderInfo]:
        for name in self._configs:
            yield ProviderInfo(name, ProviderName(name.upper()), self.name_of(name))

    def __contains__(self, name: str) -> bool:
        return name in self._configs

    def name_of(self, name: str) -> str:
        oidc = self.config.oidc
        return {"entra": "Microsoft", "github": "GitHub"}.get(name) or (oidc.name if oidc else name)

    async def get(self, name: str) -> Provider:
        """One that is enabled. The first call takes a third of a second, beside the event loop."""
        if name not in self._made:
            made = await asyncio.to_thread(self._make, name)
            self._made.setdefault(name, made)  # of two callers at once, the first one's is kept
        return self._made[name]

    def _make(self, name: str) -> Provider:
        module = importlib.import_module(f"auth.providers.{name}")
        made: Provider = getattr(module, name.capitalize())(self._configs[name])
        return made
