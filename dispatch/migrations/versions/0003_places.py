"""Places are found by street, house number, ZIP code and misspelt words. The gazetteer is emptied: nothing but rows
written by hand could fill it before, and its keys are folded otherwise from now on.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _by_bytes(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.execute("DELETE FROM gazetteer_entry")
    op.create_table(
        "gazetteer_road",
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("name", _by_bytes(500), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_gazetteer_road")),
        sa.UniqueConstraint("name", name=op.f("uq_gazetteer_road_name")),
    )
    op.create_table(
        "gazetteer_word",
        sa.Column("word", _by_bytes(500), nullable=False),
        sa.Column("backwards", _by_bytes(500), nullable=False),
        sa.Column("roads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_gazetteer_word")),
    )
    op.create_index("ix_gazetteer_word_backwards", "gazetteer_word", ["backwards"])
    op.create_table(
        "gazetteer_road_word",
        sa.Column("word", _by_bytes(500), nullable=False),
        sa.Column("road_no", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["road_no"], ["gazetteer_road.no"], name=op.f("fk_gazetteer_road_word_road_no_gazetteer_road")
        ),
        sa.PrimaryKeyConstraint("word", "road_no", name=op.f("pk_gazetteer_road_word")),
        sqlite_with_rowid=False,
    )
    kind = sa.Enum("place", "street", "area", name="placekind", native_enum=False, length=24)
    with op.batch_alter_table("gazetteer_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_gazetteer_entry_key")
        batch_op.alter_column("key", existing_type=sa.String(500), type_=_by_bytes(500))
        batch_op.add_column(sa.Column("kind", kind, nullable=False))
        batch_op.add_column(sa.Column("zip_code", sa.String(20), nullable=True))
        batch_op.add_column(sa.Column("road_no", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("number", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_gazetteer_entry_road_no_gazetteer_road"), "gazetteer_road", ["road_no"], ["no"]
        )
        batch_op.create_index("ix_gazetteer_entry_key", ["key", "lat", "lon"], unique=True)
        batch_op.create_index("ix_gazetteer_entry_road_no", ["road_no", "number"])
        batch_op.create_index("ix_gazetteer_entry_zip_code", ["zip_code", "kind"])


def downgrade() -> None:
    with op.batch_alter_table("gazetteer_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_gazetteer_entry_zip_code")
        batch_op.drop_index("ix_gazetteer_entry_road_no")
        batch_op.drop_index("ix_gazetteer_entry_key")
        batch_op.drop_constraint(op.f("fk_gazetteer_entry_road_no_gazetteer_road"), type_="foreignkey")
        batch_op.drop_column("number")
        batch_op.drop_column("road_no")
        batch_op.drop_column("zip_code")
        batch_op.drop_column("kind")
        batch_op.alter_column("key", existing_type=_by_bytes(500), type_=sa.String(500))
        batch_op.create_index("ix_gazetteer_entry_key", ["key"])
    op.drop_table("gazetteer_road_word")
    op.drop_index("ix_gazetteer_word_backwards", table_name="gazetteer_word")
    op.drop_table("gazetteer_word")
    op.drop_table("gazetteer_road")
