"""What the settings say of grants."""

from auth.effective import GrantRules
from auth.identity import Provider
from auth.local import LOCAL_PERSON
from hub.settings import Settings


def grant_rules(settings: Settings) -> GrantRules:
    if settings.local:
        return GrantRules(administrators=frozenset({LOCAL_PERSON}), sign_in=frozenset({Provider.LOCAL}))
    names = ("demo",) if settings.demo else settings.auth.providers
    return GrantRules(
        administrators=settings.auth.administrators,
        group_max_age=settings.auth.group_max_age,
        sign_in=frozenset(Provider(name.upper()) for name in names),
    )
