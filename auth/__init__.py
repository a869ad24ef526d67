"""Who somebody is and what they may do.

Belongs here: identities, permissions, the pure policy that makes permits, access tokens, sessions, keys.
Doesn't: clusters (`cluster`), use cases (`resolvers`), HTTP or GraphQL (`schema`, `hub`).
"""
