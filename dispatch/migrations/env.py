"""Runs the migrations on the connection that `dispatch.database` hands over."""

from alembic import context

from dispatch.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
