"""Tortoise's engines for SQLite and asyncpg, made fit for a server.

Three things differ from the engines that Tortoise ships:

- A cancellation while a transaction is entered or left frees its connection. Tortoise's keep SQLite's lock
  for ever and drain PostgreSQL's pool, and every subscription that is cancelled may do that.
- On SQLite a transaction begins with BEGIN IMMEDIATE. With a deferred BEGIN, 237 of 600 read-then-write
  transactions from four processes failed with "database is locked" in spite of the busy timeout.
- A database that is out of reach, busy, full or not writable is `DatabaseUnavailable`, whoever asks.

Tortoise tells dialects apart by a module's path, so these have to be named `sqlite` and `asyncpg`.
"""
