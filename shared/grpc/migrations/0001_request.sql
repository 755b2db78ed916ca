-- Requests that were carried out, so that the same one again gets the same answer. Kept 30 days.
create table request (
    request_id  uuid primary key,
    -- Full name of the request's message: one id serves one kind of request.
    method      text not null,
    -- The request as it was, to name the fields in which another one with the same id differs.
    body        bytea not null,
    -- The encoded answer, written in the same transaction.
    answer      bytea,
    recorded_at timestamptz not null default now()
);
-- For the purge, oldest first.
create index request_recorded_at on request (recorded_at);
