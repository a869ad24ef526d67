"""The tables. Times are aware and in UTC; ids are made by `models.ids`.

Nullable text and JSON columns are annotated by hand: Tortoise types them as never null. A table's description
is given, else Tortoise takes the docstring's first line, and rewording that would be a change of the schema.
"""

from datetime import datetime
from typing import ClassVar

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class User(Model):
    """Somebody who signed in once, or was granted something before. Known by provider and subject."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`usr_…`"""
    provider = fields.CharField(max_length=16)
    """`entra`, `github`, `oidc`, `demo` or `local`."""
    subject = fields.CharField(max_length=512)
    display_name = fields.CharField(max_length=256)
    email = fields.CharField(max_length=320, null=True)
    """Shown, and never decides anything."""
    avatar_url: str | None = fields.TextField(null=True)
    active = fields.BooleanField(default=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    last_sign_in_at: datetime | None = fields.DatetimeField(null=True)
    groups_synced_at: datetime | None = fields.DatetimeField(null=True)
    """When the person's groups were last read. Older ones than GROUP_MAX_AGE grant nothing."""
    groups_error: str | None = fields.TextField(null=True)
    """Why they couldn't be read the last time, in words for the person and for administrators."""

    class Meta:
        table = "users"
        table_description = "People"
        unique_together = (("provider", "subject"),)


class Membership(Model):
    """A group that the person is in, as last read from the provider."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`mem_…`"""
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="groups")
    user_id: str
    group_id = fields.CharField(max_length=256)
    """Entra: an object id. GitHub: an organisation's numeric id, or `ORGANISATION/TEAM` of a team, because
    they are numbered apart. OIDC: the claim's word."""
    name = fields.CharField(max_length=256, null=True)
    """Shown, and never decides anything."""
    read_at = fields.DatetimeField(auto_now_add=True)
    """When the provider last named it. Older than the person's `groups_synced_at` if it was hidden then."""

    class Meta:
        table = "memberships"
        table_description = "Groups of people, as last read"
        unique_together = (("user", "group_id"),)
        indexes: ClassVar = [Index(fields=("group_id",))]


class GroupMapping(Model):
    """A role at some places for everybody in a group. What it grants is computed, never written down."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`map_…`"""
    provider = fields.CharField(max_length=16)
    group_id = fields.CharField(max_length=256)
    group_name = fields.CharField(max_length=256)
    role = fields.SmallIntField()
    instance_id = fields.CharField(max_length=63, null=True)
    """Null: every instance."""
    namespaces: list[str] | None = fields.JSONField(null=True)
    """Sorted and without repetitions. Null: every namespace."""
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    created_by: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="mappings_made", null=True, on_delete=fields.SET_NULL
    )
    created_by_id: str | None

    class Meta:
        table = "group_mappings"
        table_description = "Roles of groups"
        indexes: ClassVar = [Index(fields=("provider", "group_id")), Index(fields=("instance_id",))]


class Session(Model):
    """A sign-in, from its beginning to its end. Its refresh token begins with its id, so a token that was
    used before is known to be this session's, and ends it."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`ses_…`"""
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="sessions")
    user_id: str
    refresh_digest = fields.CharField(max_length=64)
    """SHA-256 of the refresh token that is good now, in hex."""
    previous_digest = fields.CharField(max_length=64, null=True)
    """Of the one before it, which is good for some seconds more: tabs refresh at the same time."""
    created_at = fields.DatetimeField(auto_now_add=True)
    refreshed_at = fields.DatetimeField()
    """When the refresh token was made."""
    expires_at = fields.DatetimeField()
    """When the refresh token ends, unless it is used before."""
    ends_at = fields.DatetimeField()
    """When the session ends, however often it is refreshed: SESSION_MAX_AGE."""
    revoked_at: datetime | None = fields.DatetimeField(null=True)
    ip_address = fields.CharField(max_length=64, null=True)
    user_agent: str | None = fields.TextField(null=True)
    provider_token: str | None = fields.TextField(null=True)
    """What the provider gave to read the person's groups again, sealed with the session's id."""

    class Meta:
        table = "sessions"
        table_description = "Sign-ins"
        indexes: ClassVar = [Index(fields=("user_id",)), Index(fields=("expires_at",))]


class RoleAssignment(Model):
    """A grant made by hand: a role at some places."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`grt_…`"""
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="grants")
    user_id: str
    role = fields.SmallIntField()
    """1 viewer, 2 deployer, 3 admin."""
    instance_id = fields.CharField(max_length=63, null=True)
    """Null: every instance. No foreign key: a grant outlives the row of an instance whose file vanished."""
    namespaces: list[str] | None = fields.JSONField(null=True)
    """Sorted and without repetitions. Null: every namespace."""
    created_at = fields.DatetimeField(auto_now_add=True)
    created_by: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="grants_made", null=True, on_delete=fields.SET_NULL
    )
    created_by_id: str | None

    class Meta:
        table = "role_assignments"
        table_description = "Grants made by hand"
        indexes: ClassVar = [Index(fields=("user_id",)), Index(fields=("instance_id",))]


class AccessToken(Model):
    """A bearer token, of which only a digest is kept. It has its person's rights, cut to its own limits."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`tok_…`"""
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="tokens")
    user_id: str
    name = fields.CharField(max_length=256)
    prefix = fields.CharField(max_length=24)
    """The token's first characters, by which a person knows it again."""
    digest = fields.CharField(max_length=64, unique=True)
    """SHA-256 of the whole token, in hex."""
    role: int | None = fields.SmallIntField(null=True)
    """The highest role that it may use. Null: no limit."""
    instance_ids: list[str] | None = fields.JSONField(null=True)
    namespaces: list[str] | None = fields.JSONField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at: datetime | None = fields.DatetimeField(null=True)
    last_used_at: datetime | None = fields.DatetimeField(null=True)
    revoked_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "access_tokens"
        table_description = "Access tokens, as digests"
        indexes: ClassVar = [Index(fields=("user_id",))]


class Instance(Model):
    """A cluster under its name, remembered while its credential is away."""

    id = fields.CharField(max_length=63, primary_key=True)
    display_name = fields.CharField(max_length=256)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    cluster_uid = fields.CharField(max_length=64, null=True)
    """The uid of the namespace `kube-system`: tells another cluster under a known name."""
    kubeconfig: str | None = fields.TextField(null=True)
    """Of an instance that was registered with one, sealed with its id. Null: it is a file's."""
    removed_at: datetime | None = fields.DatetimeField(null=True)
    """Removed, and to stay so until it is registered again, whatever file there is."""

    class Meta:
        table = "instances"
        table_description = "Clusters by name"


class AuditEntry(Model):
    """Something that somebody did, tried or was refused. Written once; an attempt's outcome is filled in."""

    id = fields.CharField(max_length=40, primary_key=True)
    """`aud_…`, in the order of time."""
    occurred_at = fields.DatetimeField()
    action = fields.CharField(max_length=64)
    """Such as `createDeployment` or `signIn`."""
    outcome = fields.CharField(max_length=16)
    """`ATTEMPTED`, `SUCCEEDED`, `REFUSED`, `FAILED` or `UNKNOWN`."""
    actor: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="acts", null=True, on_delete=fields.SET_NULL
    )
    actor_id: str | None
    actor_name = fields.CharField(max_length=256)
    method = fields.CharField(max_length=16)
    """`SESSION`, `ACCESS_TOKEN`, `CLI`, `SYSTEM` or `ANONYMOUS`."""
    ip_address = fields.CharField(max_length=64, null=True)
    instance_id = fields.CharField(max_length=63, null=True)
    namespace = fields.CharField(max_length=63, null=True)
    target = fields.CharField(max_length=320, null=True)
    """What it was done to: a deployment's name, an id of ours."""
    code = fields.CharField(max_length=32, null=True)
    """The error's, if there was one."""
    message: str | None = fields.TextField(null=True)
    request_id = fields.CharField(max_length=64)

    class Meta:
        table = "audit_entries"
        table_description = "Who did what"
        indexes: ClassVar = [
            Index(fields=("occurred_at",)),
            Index(fields=("actor_id",)),
            Index(fields=("action",)),
            Index(fields=("request_id",)),
        ]


class RateWindow(Model):
    """How often something was done in a window of time, counted exactly over all replicas."""

    key = fields.CharField(max_length=160, primary_key=True)
    """What is counted, and for whom."""
    began_at = fields.DatetimeField()
    count = fields.IntField()

    class Meta:
        table = "rate_windows"
        table_description = "Rate limits"
        indexes: ClassVar = [Index(fields=("began_at",))]
