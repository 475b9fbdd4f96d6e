"""The database itself refuses that a technician is in two places.

PostgreSQL: an exclusion constraint over ranges of integers, which needs no extension. SQLite: triggers.

Revision: 0002, after 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_EXCLUSION = """
ALTER TABLE calendar_block ADD CONSTRAINT ex_calendar_block_busy EXCLUDE USING gist (
    int8range(technician_no, technician_no, '[]') WITH &&,
    int8range(busy_from, busy_to) WITH &&
)
"""

_TRIGGER = """
CREATE TRIGGER calendar_block_busy_{when} BEFORE {event} ON calendar_block
WHEN EXISTS (
    SELECT 1 FROM calendar_block AS other
    WHERE other.technician_no = NEW.technician_no
      AND other.id <> NEW.id
      AND other.busy_from < NEW.busy_to
      AND other.busy_to > NEW.busy_from
)
BEGIN
    SELECT RAISE(ABORT, 'ex_calendar_block_busy: the technician is elsewhere at that time');
END
"""

_TRIGGERS = (("insert", "INSERT"), ("update", "UPDATE OF technician_no, busy_from, busy_to"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_EXCLUSION)
        return
    for when, event in _TRIGGERS:
        op.execute(_TRIGGER.format(when=when, event=event))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE calendar_block DROP CONSTRAINT ex_calendar_block_busy")
        return
    for when, _ in _TRIGGERS:
        op.execute(f"DROP TRIGGER calendar_block_busy_{when}")
