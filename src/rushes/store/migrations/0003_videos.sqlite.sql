-- Clustered by the list's own order: a page is one walk along neighbouring rows.

CREATE TABLE videos (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created    INTEGER NOT NULL,
    id         TEXT NOT NULL,
    file_id    TEXT NOT NULL,
    job_id     TEXT REFERENCES jobs (id),
    item       BLOB NOT NULL,     -- the JSON text that goes out, in the bytes that go out
    PRIMARY KEY (account_id, created, id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX videos_id ON videos (account_id, id);
CREATE UNIQUE INDEX videos_file ON videos (file_id);
CREATE UNIQUE INDEX videos_job ON videos (job_id);
