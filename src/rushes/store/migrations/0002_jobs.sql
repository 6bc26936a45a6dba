-- A job's row is what the API shows, the queue entry and the lease, all in one.

CREATE TABLE jobs (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    item_id       TEXT NOT NULL,
    request       TEXT NOT NULL,
    origin        TEXT NOT NULL,
    credits       TEXT NOT NULL,
    created       BIGINT NOT NULL,
    state         TEXT NOT NULL,
    run_at        BIGINT,           -- due time while nobody holds it, end of the lease while somebody does, null when ended
    owner         TEXT,
    attempt       BIGINT NOT NULL,
    tries         BIGINT NOT NULL,
    ticket        TEXT,
    submitted     BIGINT,
    progress      DOUBLE PRECISION,
    error_code    TEXT,
    error_message TEXT,
    ended         BIGINT
);

CREATE INDEX jobs_due ON jobs (run_at) WHERE run_at IS NOT NULL;

-- Files being written for an attempt: a row here before the first byte, gone in the transaction that enters the
-- item. What stays behind after a crash is what the sweep deletes.
CREATE TABLE drafts (
    file_id    TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    job_id     TEXT NOT NULL REFERENCES jobs (id),
    created    BIGINT NOT NULL,
    condemned  BIGINT            -- set before its files are deleted: such files can no longer enter the library
);

CREATE INDEX drafts_created ON drafts (created);
