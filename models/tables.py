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

    class Meta:
        table = "users"
        table_description = "People"
        unique_together = (("provider", "subject"),)


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

    class Meta:
        table = "instances"
        table_description = "Clusters by name"
