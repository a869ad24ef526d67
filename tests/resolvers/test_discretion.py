"""Whom a cluster's 403 tells the hub's account."""

import pytest

from auth.permissions import Permission, Role
from auth.policy import narrow
from cluster.errors import ApiError, Cause
from resolvers.discretion import REFUSED, discreet
from tests.support.identities import a_grant, an_identity

ACCOUNT = ApiError(403, reason="Forbidden", message='User "system:serviceaccount:hub:hub" cannot create …')
WEBHOOK = ApiError(403, reason="Forbidden", message='admission webhook "a.b" denied the request: no')
TERMINATING = ApiError(
    403,
    reason="Forbidden",
    message="unable to create new content in namespace a because it is being terminated",
    causes=(Cause("metadata.namespace", "NamespaceTerminating", "namespace a is being terminated"),),
)
INVALID = ApiError(422, reason="Invalid", message="spec.engine.type: Unsupported value")


@pytest.mark.parametrize(
    ("role", "error", "told"),
    [
        (Role.ADMIN, ACCOUNT, ACCOUNT.message),
        (Role.DEPLOYER, ACCOUNT, REFUSED),
        (Role.DEPLOYER, WEBHOOK, WEBHOOK.message),
        (Role.DEPLOYER, TERMINATING, TERMINATING.message),
        (Role.DEPLOYER, INVALID, INVALID.message),
    ],
)
def test_a_refusal_of_the_account_is_a_fixed_sentence_but_for_administrators(
    role: Role, error: ApiError, told: str
) -> None:
    permit = narrow(an_identity(a_grant(role)), Permission.MANAGE_DEPLOYMENTS)
    with pytest.raises(ApiError) as caught, discreet(permit):
        raise error
    assert (caught.value.status, caught.value.reason) == (error.status, error.reason)
    assert caught.value.message == told
