"""Creates the tables that services make by their migrations, for tests of the code that uses them."""


def create_outbox_table_sql(schema: str, *, is_delayed: bool = False) -> str:
    """The SQL that creates a service's outbox."""
    delayed = ", due_at timestamptz, event_id text" if is_delayed else ""
    return f"""
        create table {schema}.outbox (
            id bigint generated always as identity primary key,
            topic text not null,
            key bytea not null,
            headers jsonb not null,
            value bytea not null,
            written_at timestamptz not null default now(),
            sent_at timestamptz,
            parked_at timestamptz,
            parked_reason text{delayed}
        );
        create index outbox_waiting on {schema}.outbox (id) where sent_at is null and parked_at is null;
    """


def create_halt_table_sql(schema: str) -> str:
    """The SQL that creates the table of consumer halts."""
    return f"""
        create table {schema}.consumer_halt (
            id bigint generated always as identity primary key,
            reason text not null,
            halted_at timestamptz not null default now(),
            resumed_at timestamptz
        );
    """


def create_partition_growth_table_sql(schema: str) -> str:
    """The SQL that creates the table of known partition counts."""
    return f"""
        create table {schema}.partition_count (
            topic text primary key,
            known integer not null,
            grown_to integer,
            noticed_at timestamptz,
            drain_to text,
            constraint grows_from_an_instant check ((grown_to is null) = (noticed_at is null))
        )
    """
