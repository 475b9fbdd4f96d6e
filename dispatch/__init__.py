"""The field-service domain: nouns (a table and its own rules) and verbs (what crosses nouns)."""

from sqlmodel import SQLModel

# Set before any table is defined, so that migrations can name every constraint on both databases.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
