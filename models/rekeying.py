"""Sealing anew, with the current key, everything that another one sealed. May run beside the hub."""

from dataclasses import dataclass
from typing import Any

from tortoise.models import Model

from models.errors import SealBroken
from models.sealing import Sealer
from models.tables import Instance, Session

SEALED: tuple[tuple[type[Model], str], ...] = ((Session, "provider_token"), (Instance, "kubeconfig"))
"""Every column that holds something sealed with its row's id."""
BATCH = 200
"""Rows in memory at once."""


@dataclass(frozen=True)
class Rekeyed:
    anew: int
    current: int
    """Sealed with the current key already."""
    broken: tuple[str, ...]
    """Why something couldn't be opened, a sentence each. It is left as it is."""


async def rekey(sealer: Sealer) -> Rekeyed:
    """Runs in a task that has entered the database. Raises `DatabaseUnavailable`; run again, it goes on."""
    anew = current = 0
    broken: list[str] = []
    for table, column in SEALED:
        async for row_id, sealed in _sealed(table, column):
            if sealer.is_current(sealed):
                current += 1
                continue
            try:
                text = sealer.open(sealed, row_id=row_id)
            except SealBroken as error:
                broken.append(str(error))
                continue
            # Unless it was replaced meanwhile, which the current key did.
            unchanged = table.filter(**{"id": row_id, column: sealed})
            anew += await unchanged.update(**{column: sealer.seal(text, row_id=row_id)})
    return Rekeyed(anew, current, tuple(broken))


async def _sealed(table: type[Model], column: str) -> Any:
    """Ids and sealed values, in the order of ids."""
    last = ""
    while True:
        rows = table.filter(**{"id__gt": last, f"{column}__isnull": False}).order_by("id").limit(BATCH)
        found = await rows.values_list("id", column)
        for row_id, sealed in found:
            yield row_id, sealed
        if len(found) < BATCH:
            return
        last = found[-1][0]
