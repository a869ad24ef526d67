"""The GraphQL surface: types, fields, guards, the HTTP and WebSocket views, the fan-out of live answers.

Belongs here: how things are named, guarded, encoded and sent.
Doesn't: deciding (`auth.policy`), doing (`resolvers`), serving pages (`hub`).
"""
