"""What a plan run was given is kept, so that it can be solved again; how many visits it may move.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


_TEXT = sqlmodel.sql.sqltypes.AutoString
_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.add_column("plan_run", sa.Column("max_moves", sa.Integer(), nullable=True))
    op.create_table(
        "plan_input",
        sa.Column("plan_run_id", _TEXT(length=36), nullable=False),
        sa.Column("task", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("kept_at", _INSTANT(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_run_id"], ["plan_run.id"], name=op.f("fk_plan_input_plan_run_id_plan_run")
        ),
        sa.PrimaryKeyConstraint("plan_run_id", name=op.f("pk_plan_input")),
    )
    op.create_index(op.f("ix_plan_input_kept_at"), "plan_input", ["kept_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_plan_input_kept_at"), table_name="plan_input")
    op.drop_table("plan_input")
    op.drop_column("plan_run", "max_moves")
