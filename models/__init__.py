"""What the hub remembers: Tortoise models, migrations and the database's life.

Belongs here: tables, opening and migrating the database, transactions.
Doesn't: decisions (`auth`), use cases (`resolvers`). Imported by `auth`, `resolvers` and `hub`.
"""
