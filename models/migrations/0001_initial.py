"""People, what they were granted by hand, their access tokens, and the clusters."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="User",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                ("provider", fields.CharField(max_length=16)),
                ("subject", fields.CharField(max_length=512)),
                ("display_name", fields.CharField(max_length=256)),
                ("email", fields.CharField(max_length=320, null=True)),
                ("avatar_url", fields.TextField(null=True)),
                ("active", fields.BooleanField(default=True)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                ("last_sign_in_at", fields.DatetimeField(null=True)),
            ],
            options={
                "table": "users",
                "table_description": "People",
                "app": "models",
                "pk_attr": "id",
                "unique_together": (("provider", "subject"),),
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RoleAssignment",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User", source_field="user_id", to_field="id", related_name="grants"
                    ),
                ),
                ("role", fields.SmallIntField()),
                ("instance_id", fields.CharField(max_length=63, null=True)),
                ("namespaces", fields.JSONField(null=True)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                (
                    "created_by",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="created_by_id",
                        to_field="id",
                        related_name="grants_made",
                        null=True,
                        on_delete=fields.SET_NULL,
                    ),
                ),
            ],
            options={
                "table": "role_assignments",
                "table_description": "Grants made by hand",
                "app": "models",
                "pk_attr": "id",
                "indexes": [Index(fields=["user_id"]), Index(fields=["instance_id"])],
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AccessToken",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User", source_field="user_id", to_field="id", related_name="tokens"
                    ),
                ),
                ("name", fields.CharField(max_length=256)),
                ("prefix", fields.CharField(max_length=24)),
                ("digest", fields.CharField(max_length=64, unique=True)),
                ("role", fields.SmallIntField(null=True)),
                ("instance_ids", fields.JSONField(null=True)),
                ("namespaces", fields.JSONField(null=True)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                ("expires_at", fields.DatetimeField(null=True)),
                ("last_used_at", fields.DatetimeField(null=True)),
                ("revoked_at", fields.DatetimeField(null=True)),
            ],
            options={
                "table": "access_tokens",
                "table_description": "Access tokens, as digests",
                "app": "models",
                "pk_attr": "id",
                "indexes": [Index(fields=["user_id"])],
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Instance",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=63)),
                ("display_name", fields.CharField(max_length=256)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True)),
                ("cluster_uid", fields.CharField(max_length=64, null=True)),
            ],
            options={
                "table": "instances",
                "table_description": "Clusters by name",
                "app": "models",
                "pk_attr": "id",
            },
            bases=["Model"],
        ),
    ]
