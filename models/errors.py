"""What can go wrong with the database, and with what is kept in it.

    DatabaseError
    ├── BadDatabaseUrl        DATABASE_URL isn't understood
    ├── DatabaseUnavailable   out of reach, busy, full or not writable: the same call may succeed later
    ├── DatabaseTooNew        a later release migrated it, and this one doesn't know its tables
    └── MigrationFailed       a migration was rolled back; the database is as it was before
    SealBroken                what is sealed doesn't open: another key, another row, or altered
    RateLimited               it was tried too often

No message ever holds a password.
"""


class DatabaseError(Exception):
    pass


class BadDatabaseUrl(DatabaseError, ValueError):
    pass


class DatabaseUnavailable(DatabaseError):
    pass


class DatabaseTooNew(DatabaseError):
    pass


class MigrationFailed(DatabaseError):
    pass


class SealBroken(Exception):
    """The text says which row it is of, and nothing of what is in it."""


class RateLimited(Exception):
    """`actual` times of at most `limit`; possible again in `retry_after` seconds."""

    def __init__(self, name: str, *, limit: int, actual: int, retry_after: int) -> None:
        super().__init__(f"Too many attempts: {name}; try again in {retry_after} s")
        self.reason = name.upper().replace(" ", "_").replace("-", "_")
        self.limit = limit
        self.actual = actual
        self.retry_after = retry_after
