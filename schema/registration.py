"""Registering instances, changing and removing them: their part of the mutation root."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry

from auth.permissions import Permission
from auth.policy import Permit, Place
from resolvers.names import check_place
from resolvers.registration import KEPT, InstanceChange, Registrar
from schema.common import given
from schema.context import Info
from schema.guards import Requires
from schema.instances import Instance

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="arg-type"

KUBECONFIG = (
    "A kubeconfig in which everything is embedded, over https; kept encrypted and never shown. No `exec`, no "
    "files, no proxy. "
)


@strawberry.input(description="An instance to register, or to register again after it was removed.")
class RegisterInstanceInput:
    name: strawberry.ID = strawberry.field(description="Its name, for good: a DNS label.")
    display_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="What to call it; its name if left out."
    )
    kubeconfig: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=KUBECONFIG + "Without one, `NAME.kubeconfig` has to lie in the credentials directory.",
    )


@strawberry.input(
    description="What to change of an instance. What is left out stays. If everything is left out, the "
    "cluster that answers is confirmed, where it is another one than the name stood for: all rights here "
    "are for that one from now on."
)
class UpdateInstanceInput:
    id: strawberry.ID = strawberry.field(description="Which instance.")
    display_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="What to call it; null: its name."
    )
    kubeconfig: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=KUBECONFIG + "Null: the file in the credentials directory is used from now on.",
    )

    @property
    def change(self) -> InstanceChange:
        return InstanceChange(
            KEPT if self.display_name is strawberry.UNSET else self.display_name,
            KEPT if self.kubeconfig is strawberry.UNSET else self.kubeconfig,
        )


@strawberry.input(description="An instance to remove.")
class RemoveInstanceInput:
    id: strawberry.ID = strawberry.field(description="Which instance.")


@strawberry.type(description="What `registerInstance` did.")
class RegisterInstancePayload:
    instance: Instance = strawberry.field(description="The instance.")


@strawberry.type(description="What `updateInstance` did.")
class UpdateInstancePayload:
    instance: Instance = strawberry.field(description="The instance.")


@strawberry.type(description="What `removeInstance` did.")
class RemoveInstancePayload:
    removed_instance_id: strawberry.ID = strawberry.field(description="The instance's id.")


def _named(_source: object, arguments: Mapping[str, Any]) -> Place:
    """The hub. The name is judged before the policy is asked."""
    chosen: RegisterInstanceInput | UpdateInstanceInput | RemoveInstanceInput = arguments["input"]
    if isinstance(chosen, RegisterInstanceInput):
        check_place(instance_id=chosen.name, instance_path="name")
    else:
        check_place(instance_id=chosen.id, instance_path="id")
    return Place()


def _registrar(info: Info) -> Registrar:
    registrar = info.context.services.registrar
    assert registrar is not None  # noqa: S101 - the assembly's word
    return registrar


@strawberry.type
class RegistrationMutation:
    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_INSTANCES, place=_named)],
        description="Bring an instance to the hub. Nobody has rights on it but by grants for every instance.",
    )
    async def register_instance(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[RegisterInstanceInput, strawberry.argument(description="What to register.")],
    ) -> RegisterInstancePayload | None:
        view = await _registrar(info).register(
            permit=permit,
            instance_id=input.name,
            display_name=given(input.display_name),
            kubeconfig=given(input.kubeconfig),
        )
        return RegisterInstancePayload(instance=view)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_INSTANCES, place=_named)],
        description="Change an instance's name or credential, or confirm that it is another cluster now.",
    )
    async def update_instance(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[UpdateInstanceInput, strawberry.argument(description="What to change.")],
    ) -> UpdateInstancePayload | None:
        view = await _registrar(info).update(permit=permit, instance_id=input.id, change=input.change)
        return UpdateInstancePayload(instance=view)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_INSTANCES, place=_named)],
        description="Take an instance from the hub, with every grant, group mapping and token limit that "
        "names it. It stays removed until it is registered again, even if its file is still there. Nothing "
        "happens to the cluster.",
    )
    async def remove_instance(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[RemoveInstanceInput, strawberry.argument(description="What to remove.")],
    ) -> RemoveInstancePayload | None:
        await _registrar(info).remove(permit=permit, instance_id=input.id)
        return RemoveInstancePayload(removed_instance_id=input.id)
