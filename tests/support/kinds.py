"""The kinds of people that tables over guards and routes ask as. Their own place is ml-team on east."""

from dataclasses import dataclass

from auth.grants import TokenLimits
from auth.permissions import Role, Scope
from tests.support.hub import EVERYWHERE, HubUnderTest
from tests.support.people import sign_in

OWN = Scope("east", ("ml-team",))


UNLIMITED = TokenLimits()


@dataclass(frozen=True)
class Who:
    """A person with one grant, and by what they ask: a session, or a token that is cut down to its limits."""

    rights: str
    """The column of the tables below."""
    role: Role | None
    scope: Scope = EVERYWHERE
    limits: TokenLimits | None = None
    """None: they have signed in."""

    @property
    def by_token(self) -> bool:
        return self.limits is not None


TO_OWN = TokenLimits(instance_ids=("east",), namespaces=("ml-team",))
AS_VIEWER = TokenLimits(role=Role.VIEWER)
PEOPLE = {
    "nobody": Who("nothing", None),
    "viewer": Who("sees all", Role.VIEWER),
    "ml-team viewer": Who("sees own", Role.VIEWER, OWN),
    "deployer": Who("deploys all", Role.DEPLOYER),
    "ml-team deployer": Who("deploys own", Role.DEPLOYER, OWN),
    "admin": Who("everything", Role.ADMIN),
    "nobody, by token": Who("nothing", None, limits=UNLIMITED),
    "deployer, by token": Who("deploys all", Role.DEPLOYER, limits=UNLIMITED),
    "admin, by token": Who("everything", Role.ADMIN, limits=UNLIMITED),
    "nobody, limited": Who("nothing", None, limits=TO_OWN),
    "viewer, limited": Who("sees own", Role.VIEWER, limits=TO_OWN),
    "ml-team viewer, limited": Who("sees own", Role.VIEWER, OWN, TO_OWN),
    "ml-team viewer, limited to west": Who("nothing", Role.VIEWER, OWN, TokenLimits(instance_ids=("west",))),
    "deployer, limited": Who("deploys own", Role.DEPLOYER, limits=TO_OWN),
    "deployer, limited to viewing": Who("sees all", Role.DEPLOYER, limits=AS_VIEWER),
    "ml-team deployer, limited": Who("deploys own", Role.DEPLOYER, OWN, TO_OWN),
    "ml-team deployer, limited to viewing": Who("sees own", Role.DEPLOYER, OWN, AS_VIEWER),
    "admin, limited": Who("deploys own", Role.ADMIN, limits=TO_OWN),
    "admin, limited to viewing": Who("sees all", Role.ADMIN, limits=AS_VIEWER),
}


async def a_credential(hub: HubUnderTest, name: str, who: Who) -> str:
    if who.by_token:
        return await hub.token(called(name), who.role, who.scope, limits=who.limits)
    return await sign_in(hub, called(name), who.role, who.scope)


def called(name: str) -> str:
    return f"some-{name.replace(' ', '-')}"
