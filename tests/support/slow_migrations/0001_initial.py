from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="Thing",
            fields=[("id", fields.CharField(primary_key=True, max_length=40))],
            options={"table": "things", "app": "models", "pk_attr": "id"},
            bases=["Model"],
        ),
    ]
