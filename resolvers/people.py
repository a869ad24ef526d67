"""People."""

from collections.abc import Collection

from auth.identity import Profile
from auth.lookup import load_profile
from auth.people import Person
from auth.policy import Permit


async def find_person(*, administrators: Collection[Person], permit: Permit, user_id: str) -> Profile | None:
    """A person by id, for those whose permit (MANAGE_USERS) reaches the hub itself; else None."""
    return await load_profile(user_id, administrators=administrators) if permit.scopes else None
