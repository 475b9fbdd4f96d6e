"""The audit: who read where a technician was; what is recorded is never changed; an organization's newest first.

Revision: 0014, after 0013
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


_TEXT = sqlmodel.sql.sqltypes.AutoString
_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
_KEPT = ("event", "location_read")
"""Tables whose rows nobody may change. SQLite loses a trigger when `batch_alter_table` makes its table anew."""


def upgrade() -> None:
    op.create_table(
        "location_read",
        sa.Column("id", _TEXT(length=36), nullable=False),
        sa.Column("organization_id", _TEXT(length=36), nullable=True),
        sa.Column("technician_no", sa.Integer(), nullable=False),
        sa.Column("appointment_id", _TEXT(length=36), nullable=True),
        sa.Column("by", _TEXT(length=24), nullable=False),
        sa.Column("by_id", _TEXT(length=36), nullable=True),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.Column("first_at", _INSTANT(), nullable=False),
        sa.Column("at", _INSTANT(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointment.id"], name=op.f("fk_location_read_appointment_id_appointment")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_location_read_organization_id_organization"),
        ),
        sa.ForeignKeyConstraint(
            ["technician_no"], ["technician.no"], name=op.f("fk_location_read_technician_no_technician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_read")),
    )
    op.create_index("ix_location_read_organization_id_at", "location_read", ["organization_id", "at", "id"])
    op.create_index("ix_location_read_technician_no_at", "location_read", ["technician_no", "at", "id"])
    op.create_index("ix_location_read_appointment_id", "location_read", ["appointment_id"])
    for column in ("organization_id", "at"):
        op.drop_index(f"ix_event_{column}", table_name="event")
    op.create_index("ix_event_organization_id_type_at", "event", ["organization_id", "type", "at"])
    op.create_index("ix_event_organization_id_at", "event", ["organization_id", "at", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME; END $$"""
        )
        for table in _KEPT:
            op.execute(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        return
    for table in _KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed'); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _KEPT:
            op.execute(f"DROP TRIGGER {table}_kept ON {table}")
        op.execute("DROP FUNCTION refuse_change()")
    else:
        for table in _KEPT:
            op.execute(f"DROP TRIGGER {table}_kept")
    op.drop_index("ix_event_organization_id_at", table_name="event")
    op.drop_index("ix_event_organization_id_type_at", table_name="event")
    for column in ("organization_id", "at"):
        op.create_index(f"ix_event_{column}", "event", [column])
    op.drop_table("location_read")
