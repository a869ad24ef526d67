"""Guards: who may use a field, printed in the SDL and enforced by the same object.

A guarded resolver may take a keyword `permit`, which the guard fills in and clients never see. There is no
other source of permits, so a use case can't be reached around its guard.
"""

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField

from auth.permissions import Permission
from auth.policy import Permit, Place, Refusal, RefusalReason, authorise, narrow
from resolvers.errors import NotFound
from schema.auditing import is_act, perform
from schema.context import Info
from schema.errors import Refused
from schema.words import Denial

PlaceOf = Callable[[Any, Mapping[str, Any]], Place]
"""From a field's parent and arguments to where it acts. Names are checked here, before the policy."""


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requiresPermission",
    description="Only for people with the permission, there where the field acts.",
)
class RequiresPermission:
    permission: Permission = strawberry.directive_field(name="permission")
    when_denied: Denial = strawberry.directive_field(name="whenDenied", default=Denial.REFUSE)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="authenticated",
    description="Only for people who have signed in.",
)
class AuthenticatedDirective:
    pass


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], name="public", description="For everybody, signed in or not."
)
class PublicDirective:
    pass


class Guard(FieldExtension):
    """Base of the guards: puts its directive into the SDL and itself before the resolver."""

    directive: object

    def apply(self, field: StrawberryField) -> None:
        if self.directive not in field.directives:  # every schema that is built applies it anew
            field.directives = [*field.directives, self.directive]

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        """The same guard before a resolver that waits. No mutation's runs without an entry in the audit."""
        if is_act(info):
            return await perform(self.resolve, next_, source, info, kwargs)
        result = self.resolve(next_, source, info, **kwargs)
        return await result if isawaitable(result) else result


class Public(Guard):
    directive = PublicDirective()

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs)


class Authenticated(Guard):
    directive = AuthenticatedDirective()

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        if info.context.identity is None:
            raise Refused(Refusal(RefusalReason.UNAUTHENTICATED, Permission.VIEW_INSTANCES, Place()))
        return next_(source, info, **kwargs)


class Requires(Guard):
    """`@requiresPermission`: REFUSE asks for the one place of `place`, NARROW for all that is allowed."""

    def __init__(
        self,
        permission: Permission,
        when_denied: Denial = Denial.REFUSE,
        *,
        place: PlaceOf = lambda _source, _arguments: Place(),
    ) -> None:
        self.directive = RequiresPermission(permission=permission, when_denied=when_denied)
        self._permission = permission
        self._when_denied = when_denied
        self._place = place
        self._passes_permit = False

    def apply(self, field: StrawberryField) -> None:
        super().apply(field)
        arguments = [argument for argument in field.arguments if argument.python_name != "permit"]
        self._passes_permit = self._passes_permit or len(arguments) < len(field.arguments)
        field.arguments = arguments

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        identity = info.context.identity
        if identity is None:
            raise Refused(Refusal(RefusalReason.UNAUTHENTICATED, self._permission, Place()))
        if self._when_denied is Denial.NARROW:
            return self._pass(next_, source, info, narrow(identity, self._permission), kwargs)
        place = self._place(source, kwargs)
        verdict = authorise(identity, self._permission, place)
        if isinstance(verdict, Permit):
            return self._pass(next_, source, info, verdict, kwargs)
        if self._when_denied is Denial.HIDE:
            return None
        if place.instance_id is not None and place.instance_id not in info.context.services.fleet.feeds:
            raise NotFound  # who sees every instance knows that this is none
        raise Refused(verdict)

    def _pass(
        self, next_: Callable[..., Any], source: Any, info: Info, permit: Permit, kwargs: dict[str, Any]
    ) -> Any:
        if self._passes_permit:
            kwargs["permit"] = permit
        return next_(source, info, **kwargs)


PUBLIC = Public()
AUTHENTICATED = Authenticated()
