from parvis.common.storage.postgres import run_migrations

run_migrations()
