"""Transactions that have to come one after the other."""

import zlib

from models.connection import current_client

KEYS = 0x4855_4221
"""The first half of the keys of these locks in PostgreSQL, any number that no other program takes."""


async def one_at_a_time(matter: str) -> None:
    """Inside a transaction: wait until no other one is over the same matter, and keep others waiting.

    For what no row can keep, because each of two transactions reads what the other writes. On SQLite they
    come one after the other anyway. Raises `models.errors.DatabaseUnavailable`.
    """
    client = current_client()
    if client.capabilities.dialect == "postgres":
        key = zlib.crc32(matter.encode()) - 2**31
        await client.execute_query("SELECT pg_advisory_xact_lock($1, $2)", [KEYS, key])
