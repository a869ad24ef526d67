"""What can go wrong with the database.

    DatabaseError
    ├── BadDatabaseUrl        DATABASE_URL isn't understood
    ├── DatabaseUnavailable   out of reach, busy, full or not writable: the same call may succeed later
    ├── DatabaseTooNew        a later release migrated it, and this one doesn't know its tables
    └── MigrationFailed       a migration was rolled back; the database is as it was before

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
