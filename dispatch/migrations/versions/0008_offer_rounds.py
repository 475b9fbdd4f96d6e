"""Every offer belongs to a round: one asking for one visit.

Offers that were sent before get a round each.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ROUNDS_OF_OFFERS = """
INSERT INTO offer_round (id, organization_id, appointment_id, strategy, status, technician_nos, pay_cents, deadline,
                         asked_by, would_fill_if, ended_version, ended_at, created_at, version)
SELECT o.id, o.organization_id, o.appointment_id, o.strategy,
       CASE WHEN o.status IN ('pending', 'countered') THEN 'running'
            WHEN o.status = 'accepted' THEN 'filled'
            WHEN o.status IN ('declined', 'expired') THEN 'unfilled'
            ELSE 'stopped' END,
       '[]', o.pay_cents, o.expires_at, 'dispatcher', '[]',
       CASE WHEN o.status IN ('declined', 'expired', 'withdrawn') THEN a.version END,
       o.answered_at, o.created_at, 1
FROM offer o JOIN appointment a ON a.id = o.appointment_id
"""
_WHOSE = "UPDATE technician SET calendar_stamp = random() WHERE no IN (SELECT technician_no FROM calendar_block WHERE "
_STAMPS = [
    f"CREATE TRIGGER offer_stamp_{name} AFTER {event} ON offer BEGIN {_WHOSE}appointment_id = NEW.appointment_id); END"
    for name, event in (("insert", "INSERT"), ("update", "UPDATE OF status"))
]
"""As 0006 made them: SQLite drops them with the table, which it makes anew for a column that must not be null."""


def upgrade() -> None:
    op.create_table(
        "offer_round",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("organization_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("appointment_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column(
            "strategy",
            sa.Enum(
                "none", "direct", "cascade", "broadcast", name="offerstrategy", native_enum=False, length=24
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "running", "filled", "unfilled", "stopped", name="roundstatus", native_enum=False, length=24
            ),
            nullable=False,
        ),
        sa.Column("technician_nos", sa.JSON(), nullable=False),
        sa.Column("answer_s", sa.Integer(), nullable=True),
        sa.Column("pay_cents", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("asked_by", sqlmodel.sql.sqltypes.AutoString(length=24), nullable=False),
        sa.Column("asked_by_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=True),
        sa.Column("would_fill_if", sa.JSON(), nullable=False),
        sa.Column("ended_version", sa.Integer(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointment.id"], name=op.f("fk_offer_round_appointment_id_appointment")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_offer_round_organization_id_organization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_round")),
    )
    with op.batch_alter_table("offer_round", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_offer_round_appointment_id"), ["appointment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_offer_round_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index("ix_offer_round_status_deadline", ["status", "deadline"], unique=False)
        batch_op.create_index(
            "ix_offer_round_running",
            ["appointment_id"],
            unique=True,
            postgresql_where=sa.text("status = 'running'"),
            sqlite_where=sa.text("status = 'running'"),
        )
    op.execute(_ROUNDS_OF_OFFERS)
    op.add_column("offer", sa.Column("round_id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=True))
    op.execute("UPDATE offer SET round_id = id")
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.alter_column("round_id", existing_type=sa.String(length=36), nullable=False)
        batch_op.create_index(batch_op.f("ix_offer_round_id"), ["round_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_offer_round_id_offer_round"), "offer_round", ["round_id"], ["id"]
        )
    _stamp_on_sqlite()


def downgrade() -> None:
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_offer_round_id_offer_round"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_offer_round_id"))
        batch_op.drop_column("round_id")
    _stamp_on_sqlite()
    op.drop_table("offer_round")


def _stamp_on_sqlite() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in _STAMPS:
            op.execute(statement)
