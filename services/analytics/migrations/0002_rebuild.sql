-- How many events of each feed are applied, so that a rebuild knows when it is done.
create table feed_progress (
    source text   primary key,
    events bigint not null,
    -- As many had been applied when the last rebuild began.
    target bigint not null default 0
) with (fillfactor = 50);

-- Rebuilds, newest last.
create table rebuild (
    rebuild_id  uuid        primary key,
    started_at  timestamptz not null default now(),
    finished_at timestamptz
);
