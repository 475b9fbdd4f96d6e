"""A technician's latest position and an organization's latest event are found without reading those of before.

Revision: 0016, after 0011
"""

from alembic import op

revision = "0016"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_position_technician_no_recorded_at", "position", ["technician_no", "recorded_at"], unique=False
    )
    op.drop_index("ix_position_technician_no", "position")
    op.create_index("ix_event_organization_id_id", "event", ["organization_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_event_organization_id_id", "event")
    op.create_index("ix_position_technician_no", "position", ["technician_no"], unique=False)
    op.drop_index("ix_position_technician_no_recorded_at", "position")
