"""Decisions about technicians, and reviews of them.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES = {
    "decision": ("organization_id", "appointment_id", "offer_id", "at"),
    "review": ("organization_id", "due_at"),
}


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def upgrade() -> None:
    op.create_table(
        "decision",
        sa.Column("id", _text(36), nullable=False),
        sa.Column("organization_id", _text(36), nullable=False),
        sa.Column("appointment_id", _text(36), nullable=True),
        sa.Column("technician_no", sa.Integer(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "offered",
                "not_offered",
                "assigned",
                "unassigned",
                "suspended",
                name="outcome",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("offer_id", _text(36), nullable=True),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_decision_organization_id_organization")
        ),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointment.id"], name=op.f("fk_decision_appointment_id_appointment")
        ),
        sa.ForeignKeyConstraint(
            ["technician_no"], ["technician.no"], name=op.f("fk_decision_technician_no_technician")
        ),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_decision_offer_id_offer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    op.create_table(
        "review",
        sa.Column("id", _text(36), nullable=False),
        sa.Column("organization_id", _text(36), nullable=False),
        sa.Column("decision_id", _text(36), nullable=False),
        sa.Column("note", _text(2000), nullable=True),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("answer", _text(2000), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum("upheld", "changed", name="reviewoutcome", native_enum=False, length=24),
            nullable=True,
        ),
        sa.Column("answered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("answered_by", _text(36), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_review_organization_id_organization")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decision.id"], name=op.f("fk_review_decision_id_decision")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_review_decision_id")),
    )
    for table, columns in _INDEXES.items():
        for column in columns:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    op.create_index("ix_decision_technician_no_at", "decision", ["technician_no", "at"])


def downgrade() -> None:
    op.drop_table("review")
    op.drop_table("decision")
