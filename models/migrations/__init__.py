"""How the tables came to be, applied in order at every start.

A migration is written by hand, with literals and without imports of ours: it says what was true then. On
SQLite, AlterField, RemoveField and new CHECKs rebuild the table, lose its indexes and empty the tables that
refer to it: use CreateModel, AddField (with `db_default` if not null), AddIndex and RenameField, and
RunPython for the rest.
"""
