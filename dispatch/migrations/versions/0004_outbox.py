"""The outbox of notifications, and whether the customer will be there.

The first `outbox` was written by nothing.

Revision: 0004, after 0002
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KINDS = (
    "booked",
    "changed",
    "cancelled",
    "day_before",
    "on_the_day",
    "technician_confirmed",
    "on_the_way",
    "running_late",
    "arrived",
    "done",
    "rate_us",
)
_STATES = ("pending", "sent", "dropped", "given_up")


def upgrade() -> None:
    with op.batch_alter_table("appointment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("promise_revision", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("customer_confirmed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True)
        )
    op.drop_table("outbox")
    op.create_table(
        "notification",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("organization_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("appointment_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("kind", sa.Enum(*_KINDS, name="kind", native_enum=False, length=24), nullable=False),
        sa.Column("occasion", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("state", sa.Enum(*_STATES, name="state", native_enum=False, length=24), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("why", sqlmodel.sql.sqltypes.AutoString(length=24), nullable=True),
        sa.Column("expected_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointment.id"], name=op.f("fk_notification_appointment_id_appointment")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_notification_organization_id_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint(
            "appointment_id", "occasion", name=op.f("uq_notification_appointment_id_occasion")
        ),
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notification_organization_id"), ["organization_id"], unique=False
        )
        batch_op.create_index("ix_notification_state_due_at", ["state", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("notification")
    op.create_table(
        "outbox",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("organization_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("event_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("topic", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_outbox_event_id_event")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_outbox_organization_id_organization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        for column in ("done_at", "due_at", "event_id", "organization_id"):
            batch_op.create_index(batch_op.f(f"ix_outbox_{column}"), [column], unique=False)
    with op.batch_alter_table("appointment", schema=None) as batch_op:
        batch_op.drop_column("customer_confirmed_at")
        batch_op.drop_column("promise_revision")
