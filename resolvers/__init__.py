"""The use cases: plain functions with keyword-only arguments, each with a `Permit`.

Belongs here: what a query, a mutation or a stream does, read from the instances' feeds and the database.
Doesn't: GraphQL types (`schema`), HTTP (`schema`, `hub`), policy (`auth`), Kubernetes requests (`cluster`).
"""
