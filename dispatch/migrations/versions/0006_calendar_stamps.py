"""Each calendar gets a stamp that is new whenever anything changes by which slots are found in it.

The database stamps, so that no writer can forget to. A stamp is never used twice, not even after a rollback: of a
sequence on PostgreSQL, random on SQLite.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OWN = ("engagement", "technician_skill", "shift", "availability", "calendar_block")
"""Tables whose rows say by `technician_no` whose calendar they are part of."""
_OF_VISIT = {
    "appointment": ("id", "window_start, window_end, pinned, pinned_time, status, agreed_start"),
    "offer": ("appointment_id", "status"),
}
"""Tables whose rows decide how a visit may be moved in the calendar where it stands: its id, and the columns."""
_OF_TECHNICIAN = "lat, lon, time_zone, max_travel_m"

_SEQUENCE = "calendar_stamp_serial"
_NEXT = {"postgresql": f"nextval('{_SEQUENCE}')", "sqlite": "random()"}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(f"CREATE SEQUENCE {_SEQUENCE}")
    op.add_column(
        "technician", sa.Column("calendar_stamp", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute(f"UPDATE technician SET calendar_stamp = {_NEXT[dialect]}")
    for statement in _POSTGRESQL() if dialect == "postgresql" else _SQLITE():
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in (*_OWN, *_OF_VISIT, "technician"):
            op.execute(f"DROP TRIGGER {table}_stamp ON {table}")
        for function in ("stamp_own", "stamp_technician", *(f"stamp_of_{table}" for table in _OF_VISIT)):
            op.execute(f"DROP FUNCTION {function}()")
    else:
        for table in (*_OWN, *_OF_VISIT, "technician"):
            for event in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER IF EXISTS {table}_stamp_{event}")
    op.drop_column("technician", "calendar_stamp")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP SEQUENCE {_SEQUENCE}")


def _POSTGRESQL() -> list[str]:
    stamp = f"UPDATE technician SET calendar_stamp = {_NEXT['postgresql']} WHERE no"
    statements = [
        f"""CREATE FUNCTION stamp_own() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                {stamp} = OLD.technician_no;
            END IF;
            IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.technician_no <> OLD.technician_no) THEN
                {stamp} = NEW.technician_no;
            END IF;
            RETURN NULL;
        END $$""",
        f"""CREATE FUNCTION stamp_technician() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.calendar_stamp := {_NEXT["postgresql"]};
            RETURN NEW;
        END $$""",
        f"CREATE TRIGGER technician_stamp BEFORE INSERT OR UPDATE OF {_OF_TECHNICIAN} ON technician "
        "FOR EACH ROW EXECUTE FUNCTION stamp_technician()",
    ]
    statements += [
        f"CREATE TRIGGER {table}_stamp AFTER INSERT OR UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION stamp_own()"
        for table in _OWN
    ]
    for table, (visit, columns) in _OF_VISIT.items():
        statements += [
            f"""CREATE FUNCTION stamp_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                {stamp} IN (SELECT technician_no FROM calendar_block WHERE appointment_id = NEW.{visit});
                RETURN NULL;
            END $$""",
            f"CREATE TRIGGER {table}_stamp AFTER INSERT OR UPDATE OF {columns} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION stamp_of_{table}()",
        ]
    return statements


def _SQLITE() -> list[str]:
    stamp = f"UPDATE technician SET calendar_stamp = {_NEXT['sqlite']} WHERE no"
    triggers = [
        ("technician", "insert", "INSERT", f"{stamp} = NEW.no"),
        ("technician", "update", f"UPDATE OF {_OF_TECHNICIAN}", f"{stamp} = NEW.no"),
    ]
    for table in _OWN:
        triggers += [
            (table, "insert", "INSERT", f"{stamp} = NEW.technician_no"),
            (table, "update", "UPDATE", f"{stamp} IN (OLD.technician_no, NEW.technician_no)"),
            (table, "delete", "DELETE", f"{stamp} = OLD.technician_no"),
        ]
    for table, (visit, columns) in _OF_VISIT.items():
        whose = f"{stamp} IN (SELECT technician_no FROM calendar_block WHERE appointment_id = NEW.{visit})"
        triggers += [(table, "insert", "INSERT", whose), (table, "update", f"UPDATE OF {columns}", whose)]
    return [
        f"CREATE TRIGGER {table}_stamp_{name} AFTER {event} ON {table} BEGIN {action}; END"
        for table, name, event, action in triggers
    ]
