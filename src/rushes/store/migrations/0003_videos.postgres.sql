-- Ids compare byte by byte, as in Python and in SQLite.

CREATE TABLE videos (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created    BIGINT NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    file_id    TEXT NOT NULL,
    job_id     TEXT REFERENCES jobs (id),
    item       BYTEA NOT NULL,    -- the JSON text that goes out, in the bytes that go out
    PRIMARY KEY (account_id, created, id)
);

CREATE UNIQUE INDEX videos_id ON videos (account_id, id);
CREATE UNIQUE INDEX videos_file ON videos (file_id);
CREATE UNIQUE INDEX videos_job ON videos (job_id);
