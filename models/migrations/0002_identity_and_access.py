"""Groups and what they grant, sessions, stored kubeconfigs, the audit log, rate limits."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    operations = [
        ops.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                ("occurred_at", fields.DatetimeField()),
                ("action", fields.CharField(max_length=64)),
                ("outcome", fields.CharField(max_length=16)),
                (
                    "actor",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="actor_id",
                        null=True,
                        to_field="id",
                        related_name="acts",
                        on_delete=fields.SET_NULL,
                    ),
                ),
                ("actor_name", fields.CharField(max_length=256)),
                ("method", fields.CharField(max_length=16)),
                ("ip_address", fields.CharField(null=True, max_length=64)),
                ("instance_id", fields.CharField(null=True, max_length=63)),
                ("namespace", fields.CharField(null=True, max_length=63)),
                ("target", fields.CharField(null=True, max_length=320)),
                ("code", fields.CharField(null=True, max_length=32)),
                ("message", fields.TextField(null=True)),
                ("request_id", fields.CharField(max_length=64)),
            ],
            options={
                "table": "audit_entries",
                "app": "models",
                "indexes": [
                    Index(fields=["occurred_at"]),
                    Index(fields=["actor_id"]),
                    Index(fields=["action"]),
                    Index(fields=["request_id"]),
                ],
                "pk_attr": "id",
                "table_description": "Who did what",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="GroupMapping",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                ("provider", fields.CharField(max_length=16)),
                ("group_id", fields.CharField(max_length=256)),
                ("group_name", fields.CharField(max_length=256)),
                ("role", fields.SmallIntField()),
                ("instance_id", fields.CharField(null=True, max_length=63)),
                ("namespaces", fields.JSONField(null=True)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True)),
                (
                    "created_by",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="created_by_id",
                        null=True,
                        to_field="id",
                        related_name="mappings_made",
                        on_delete=fields.SET_NULL,
                    ),
                ),
            ],
            options={
                "table": "group_mappings",
                "app": "models",
                "indexes": [Index(fields=["provider", "group_id"]), Index(fields=["instance_id"])],
                "pk_attr": "id",
                "table_description": "Roles of groups",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Membership",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User", source_field="user_id", to_field="id", related_name="groups"
                    ),
                ),
                ("group_id", fields.CharField(max_length=256)),
                ("name", fields.CharField(null=True, max_length=256)),
                ("read_at", fields.DatetimeField(auto_now_add=True)),
            ],
            options={
                "table": "memberships",
                "app": "models",
                "unique_together": (("user", "group_id"),),
                "indexes": [Index(fields=["group_id"])],
                "pk_attr": "id",
                "table_description": "Groups of people, as last read",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RateWindow",
            fields=[
                ("key", fields.CharField(primary_key=True, max_length=160)),
                ("began_at", fields.DatetimeField()),
                ("count", fields.IntField()),
            ],
            options={
                "table": "rate_windows",
                "app": "models",
                "indexes": [Index(fields=["began_at"])],
                "pk_attr": "key",
                "table_description": "Rate limits",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Session",
            fields=[
                ("id", fields.CharField(primary_key=True, max_length=40)),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User", source_field="user_id", to_field="id", related_name="sessions"
                    ),
                ),
                ("refresh_digest", fields.CharField(max_length=64)),
                ("previous_digest", fields.CharField(null=True, max_length=64)),
                ("created_at", fields.DatetimeField(auto_now_add=True)),
                ("refreshed_at", fields.DatetimeField()),
                ("expires_at", fields.DatetimeField()),
                ("ends_at", fields.DatetimeField()),
                ("revoked_at", fields.DatetimeField(null=True)),
                ("ip_address", fields.CharField(null=True, max_length=64)),
                ("user_agent", fields.TextField(null=True)),
                ("provider_token", fields.TextField(null=True)),
            ],
            options={
                "table": "sessions",
                "app": "models",
                "indexes": [Index(fields=["user_id"]), Index(fields=["expires_at"])],
                "pk_attr": "id",
                "table_description": "Sign-ins",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Instance",
            name="kubeconfig",
            field=fields.TextField(null=True),
        ),
        ops.AddField(
            model_name="Instance",
            name="removed_at",
            field=fields.DatetimeField(null=True),
        ),
        ops.AddField(
            model_name="User",
            name="groups_error",
            field=fields.TextField(null=True),
        ),
        ops.AddField(
            model_name="User",
            name="groups_synced_at",
            field=fields.DatetimeField(null=True),
        ),
    ]
