"""Arguments that several fields take."""

from typing import Annotated

import strawberry

from schema.inputs import DeploymentFilter

First = Annotated[int | None, strawberry.argument(description="The page's size.")]
After = Annotated[str | None, strawberry.argument(description="A cursor: go on behind it.")]
Wanted = Annotated[
    DeploymentFilter | None, strawberry.argument(description="What to let through; all if left out.")
]
InstanceId = Annotated[strawberry.ID, strawberry.argument(description="The instance's id.")]
Namespace = Annotated[str, strawberry.argument(description="The namespace.")]
DeploymentName = Annotated[str, strawberry.argument(description="The deployment's name.")]
IncludeInitial = Annotated[
    bool, strawberry.argument(description="Begin with what is there now: ADDED for each, then SYNCED.")
]
