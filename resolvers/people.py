"""People."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from auth.effective import GrantRules
from auth.identity import Profile
from auth.lookup import load_profiles
from auth.policy import Permit
from models.tables import User


async def find_people(
    *, rules: GrantRules, permit: Permit, user_ids: Collection[str]
) -> Mapping[str, Profile]:
    """People by id, for those whose permit (MANAGE_USERS) reaches the hub itself; else nobody."""
    if not permit.scopes or not user_ids:
        return {}
    users = await User.filter(id__in=list(user_ids))
    return {
        profile.user_id: profile for profile in await load_profiles(users, rules=rules, now=datetime.now(UTC))
    }
