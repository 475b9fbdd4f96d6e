"""Webhooks: what became of each delivery and of each endpoint. The tables of before were never written to.

Revision: 0013, after 0012
"""

from typing import Any

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


_TEXT = sqlmodel.sql.sqltypes.AutoString
_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
_WHY = sa.Enum("dispatcher", "gone", "failing", name="disabledwhy", native_enum=False, length=24)
_STATUS = sa.Enum("pending", "delivered", "failed", name="deliverystatus", native_enum=False, length=24)


def upgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
    _create_endpoint(
        sa.Column("failing_since", _INSTANT(), nullable=True),
        sa.Column("disabled_why", _WHY, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    _create_delivery(
        sa.Column("type", _TEXT(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", _STATUS, nullable=False),
        sa.Column("last_error", _TEXT(length=200), nullable=True),
        sa.Column("ended_at", _INSTANT(), nullable=True),
        sa.Column("created_at", _INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_webhook_delivery_endpoint_id_status_due_at", ["endpoint_id", "status", "due_at"], unique=False
        )
        for column in ("event_id", "ended_at"):
            batch_op.create_index(batch_op.f(f"ix_webhook_delivery_{column}"), [column], unique=False)


def downgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
    _create_endpoint()
    _create_delivery(
        sa.Column("delivered_at", _INSTANT(), nullable=True),
        sa.Column("gave_up_at", _INSTANT(), nullable=True),
    )
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        for column in ("due_at", "endpoint_id", "event_id"):
            batch_op.create_index(batch_op.f(f"ix_webhook_delivery_{column}"), [column], unique=False)


def _create_endpoint(*more: sa.Column[Any]) -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", _TEXT(length=36), nullable=False),
        sa.Column("organization_id", _TEXT(length=36), nullable=False),
        sa.Column("url", _TEXT(length=2000), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("sealed_secret", _TEXT(length=500), nullable=False),
        sa.Column("disabled_at", _INSTANT(), nullable=True),
        sa.Column("created_at", _INSTANT(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_webhook_endpoint_organization_id_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
    )
    with op.batch_alter_table("webhook_endpoint", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webhook_endpoint_organization_id"), ["organization_id"], unique=False
        )


def _create_delivery(*more: sa.Column[Any]) -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", _TEXT(length=36), nullable=False),
        sa.Column("endpoint_id", _TEXT(length=36), nullable=False),
        sa.Column("event_id", _TEXT(length=36), nullable=False),
        sa.Column("due_at", _INSTANT(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        *more,
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoint.id"],
            name=op.f("fk_webhook_delivery_endpoint_id_webhook_endpoint"),
        ),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_webhook_delivery_event_id_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
    )
