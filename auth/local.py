"""Local mode: nobody signs in, and whoever reaches the hub is the person who runs it."""

from datetime import datetime

from auth.accounts import ensure_user
from auth.effective import GrantRules
from auth.identity import Identity, Method, Provider
from auth.lookup import load_profiles
from auth.people import Person
from models.tables import User

LOCAL_PERSON = Person(Provider.LOCAL, "local")
"""An admin by `GrantRules.administrators`. No provider vouches for it, so in a portal it is nobody."""
CREDENTIAL = "local"


async def local_identity(*, display_name: str, rules: GrantRules, now: datetime) -> Identity:
    """They are written down like anybody, for what they do is."""
    user_id = await ensure_user(LOCAL_PERSON, display_name=display_name)
    (profile,) = await load_profiles([await User.get(id=user_id)], rules=rules, now=now)
    known = {name: getattr(profile, name) for name in profile.__struct_fields__}
    return Identity(
        **known | {"active": True},
        effective=profile.grants,
        method=Method.LOCAL,
        credential_id=CREDENTIAL,
        expires_at=None,
    )
