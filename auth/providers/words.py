"""Why a person's groups couldn't be read, in words for the person and for administrators."""

from datetime import timedelta

from auth.providers.errors import (
    Expired,
    Misconfigured,
    NotAdmitted,
    NotPermitted,
    ProviderError,
    Unavailable,
)
from auth.providers.types import Groups


def groups_problem(error: ProviderError, *, name: str) -> str:
    """`name` is the provider's."""
    match error:
        case Unavailable():
            return f"{name} did not answer when it was asked for your groups. The hub tries again by itself."
        case Expired():
            return f"{name} no longer takes what it gave the hub at your sign-in. Sign in again."
        case NotPermitted():
            return (
                f"{name} doesn't let the hub read your groups. Sign in again and allow it; if it asks for "
                "nothing, its administrator has to allow that (docs/sign-in.md names the permission)."
            )
        case Misconfigured():
            return f"{name} refuses the hub itself. The hub's administrator finds the reason in its log."
        case NotAdmitted():
            return "You are no longer among those who may use this hub."
        case _:
            return f"{name} answered something that the hub can't use. Its administrator finds it in the log."


def groups_notice(groups: Groups) -> str | None:
    """What to tell of groups that were hidden; None if there are none."""
    if not groups.hidden:
        return None
    return (
        f"{len(groups.hidden)} of your organisations hide their groups until you authorise this application "
        "for their single sign-on. Sign in again and authorise it there."
    )


def aged_groups(max_age: timedelta) -> str:
    hours = max_age.total_seconds() / 3600
    return f"Your groups were read more than {hours:g} hours ago, so they grant nothing now. Sign in again."
