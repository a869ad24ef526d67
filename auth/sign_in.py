"""Who comes in, and what is written down of them when they do."""

from datetime import datetime, timedelta

from tortoise.transactions import in_transaction

from auth.accounts import ensure_user
from auth.groups import write_groups, write_groups_error
from auth.identity import Provider
from auth.providers.config import SignInConfig
from auth.providers.errors import Code, NotAdmitted, ProviderError
from auth.providers.types import Profile, SignedIn
from auth.providers.words import groups_problem
from models.bus import publish
from models.tables import User


def admit(profile: Profile, config: SignInConfig) -> None:
    """Raises `NotAdmitted` for whom ALLOWED_EMAIL_DOMAINS keeps out.

    It holds for verified addresses. Entra verifies none, and its tenant says who may come in.
    """
    domains = config.allowed_email_domains
    if not domains or profile.person.provider is Provider.ENTRA:
        return
    if profile.email is None or not profile.email_verified:
        raise NotAdmitted(f"{profile.person} has no verified e-mail address", code=Code.EMAIL_UNVERIFIED)
    if profile.email.rpartition("@")[2].lower() not in domains:
        raise NotAdmitted(f"{profile.person}'s e-mail address is in none of ALLOWED_EMAIL_DOMAINS")


async def record_sign_in(
    signed_in: SignedIn, *, provider_name: str, read_at: datetime, now: datetime, max_age: timedelta
) -> str:
    """Write down the person, as the provider describes them, and their groups. Returns their id.

    `read_at` is when the provider was asked, `max_age` is GROUP_MAX_AGE. Raises `NotAdmitted` for a
    deactivated account, and `models.errors.DatabaseUnavailable`.
    """
    profile = signed_in.profile
    user_id = await ensure_user(profile.person)
    async with in_transaction():
        updated = await User.filter(id=user_id, active=True).update(
            display_name=profile.display_name,
            email=profile.email,
            avatar_url=profile.avatar_url,
            last_sign_in_at=now,
        )
        if not updated:
            raise NotAdmitted(f"{profile.person}'s account is deactivated", code=Code.ACCOUNT_DISABLED)
        if isinstance(signed_in.groups, ProviderError):
            await write_groups_error(user_id, groups_problem(signed_in.groups, name=provider_name))
        else:
            await write_groups(user_id, signed_in.groups, read_at=read_at, max_age=max_age)
        await publish("user", user_id)
    return user_id
