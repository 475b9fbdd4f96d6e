"""A technician's latest position is found without reading those of before.

Revision: 0015, after 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_position_technician_no_recorded_at", "position", ["technician_no", "recorded_at"], unique=False
    )
    op.drop_index("ix_position_technician_no", "position")


def downgrade() -> None:
    op.create_index("ix_position_technician_no", "position", ["technician_no"], unique=False)
    op.drop_index("ix_position_technician_no_recorded_at", "position")
