"""What a cluster's refusal tells, and to whom."""

from collections.abc import Iterator
from contextlib import contextmanager

from auth.policy import Permit
from cluster.errors import ApiError
from resolvers.places import in_detail

REFUSED = "The hub may not do this on the cluster; an administrator can see why."


@contextmanager
def discreet(permit: Permit) -> Iterator[None]:
    """A 403 for the hub's account names it: to those who manage instances alone (API.md)."""
    try:
        yield
    except ApiError as error:
        if error.names_account and not in_detail(permit):
            raise ApiError(error.status, reason=error.reason, message=REFUSED) from error
        raise
