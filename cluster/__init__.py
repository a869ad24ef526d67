"""One watched cluster and the manager of many.

Belongs here: the client, the watch state machine, the store and its change log, health, status, manifests.
Doesn't: the database (`models`), people and permissions (`auth`), GraphQL (`schema`).
Everybody above sees a cluster through `cluster.feed.InstanceFeed` alone.
"""
