-- Links for one file each, given out signed; the row says what may come and what has.

CREATE TABLE uploads (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    name         TEXT NOT NULL,     -- the blob's
    content_type TEXT NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    claimed      BIGINT,            -- until when it is being received, null while it is not
    size         BIGINT             -- bytes; null until the file is there
);
