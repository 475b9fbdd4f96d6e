"""The day of a technician: what it says of being late, proof, follow-up visits, calendar feeds, rates of before.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


_TEXT = sqlmodel.sql.sqltypes.AutoString
_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.add_column("appointment", sa.Column("expected_start", _INSTANT(), nullable=True))
    op.add_column("technician", sa.Column("on_duty_since", _INSTANT(), nullable=True))
    with op.batch_alter_table("service_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("follow_up_of", _TEXT(length=36), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_service_request_follow_up_of_service_request"),
            "service_request",
            ["follow_up_of"],
            ["id"],
        )
        batch_op.create_index(batch_op.f("ix_service_request_follow_up_of"), ["follow_up_of"], unique=False)
    op.create_table(
        "proof",
        sa.Column("id", _TEXT(length=36), nullable=False),
        sa.Column("organization_id", _TEXT(length=36), nullable=False),
        sa.Column("appointment_id", _TEXT(length=36), nullable=False),
        sa.Column("technician_no", sa.Integer(), nullable=False),
        sa.Column("promise_revision", sa.Integer(), nullable=False),
        sa.Column(
            "kind", sa.Enum("photo", "code", name="proofkind", native_enum=False, length=24), nullable=False
        ),
        sa.Column("media_type", _TEXT(length=32), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=True),
        sa.Column("digest", _TEXT(length=64), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("at", _INSTANT(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointment.id"], name=op.f("fk_proof_appointment_id_appointment")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_proof_organization_id_organization")
        ),
        sa.ForeignKeyConstraint(
            ["technician_no"], ["technician.no"], name=op.f("fk_proof_technician_no_technician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
    )
    with op.batch_alter_table("proof", schema=None) as batch_op:
        for column in ("appointment_id", "organization_id", "technician_no"):
            batch_op.create_index(batch_op.f(f"ix_proof_{column}"), [column], unique=False)
    op.create_table(
        "calendar_feed",
        sa.Column("technician_no", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("token_hash", _TEXT(length=64), nullable=True),
        sa.Column("created_at", _INSTANT(), nullable=False),
        sa.ForeignKeyConstraint(
            ["technician_no"], ["technician.no"], name=op.f("fk_calendar_feed_technician_no_technician")
        ),
        sa.PrimaryKeyConstraint("technician_no", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_feed_token_hash")),
    )
    op.create_table(
        "former_pay",
        sa.Column("id", _TEXT(length=36), nullable=False),
        sa.Column("engagement_id", _TEXT(length=36), nullable=False),
        sa.Column("until", _INSTANT(), nullable=False),
        sa.Column("pay_per_hour_cents", sa.Integer(), nullable=True),
        sa.Column("pay_per_visit_cents", sa.Integer(), nullable=True),
        sa.Column("pay_per_km_cents", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["engagement_id"], ["engagement.id"], name=op.f("fk_former_pay_engagement_id_engagement")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_pay")),
    )
    with op.batch_alter_table("former_pay", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_former_pay_engagement_id"), ["engagement_id"], unique=False)


def downgrade() -> None:
    for table in ("former_pay", "calendar_feed", "proof"):
        op.drop_table(table)
    with op.batch_alter_table("service_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_service_request_follow_up_of"))
        batch_op.drop_constraint(
            batch_op.f("fk_service_request_follow_up_of_service_request"), type_="foreignkey"
        )
        batch_op.drop_column("follow_up_of")
    op.drop_column("technician", "on_duty_since")
    op.drop_column("appointment", "expected_start")
