"""What answers taught about acceptance, and an index by which new answers are found.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "acceptance_training",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("organization_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("trained_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("trades", sa.JSON(), nullable=False),
        sa.Column("usual_cents", sa.JSON(), nullable=False),
        sa.Column("log_loss", sa.Float(), nullable=True),
        sa.Column("prior_log_loss", sa.Float(), nullable=True),
        sa.Column("base_log_loss", sa.Float(), nullable=True),
        sa.Column("calibration", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_acceptance_training_organization_id_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance_training")),
    )
    with op.batch_alter_table("acceptance_training", schema=None) as batch_op:
        batch_op.create_index(
            "ix_acceptance_training_newest", ["organization_id", "trained_at"], unique=False
        )
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.create_index(
            "ix_offer_organization_id_answered_at", ["organization_id", "answered_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.drop_index("ix_offer_organization_id_answered_at")
    with op.batch_alter_table("acceptance_training", schema=None) as batch_op:
        batch_op.drop_index("ix_acceptance_training_newest")
    op.drop_table("acceptance_training")
