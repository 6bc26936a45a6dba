-- The words of the prompts. An account's items stand in chunks, each a stretch of its list; in a chunk every term has one
-- row that says which of its members have it (store/search.py).

CREATE TABLE search_chunks (
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    kind         TEXT NOT NULL,
    created      INTEGER NOT NULL,       -- its first item's place: it reaches up to the next chunk's
    id           TEXT NOT NULL,
    chunk        INTEGER PRIMARY KEY AUTOINCREMENT,
    last_created INTEGER NOT NULL,
    last_id      TEXT NOT NULL,
    members      INTEGER NOT NULL,       -- numbers given out
    in_order     INTEGER NOT NULL,       -- 1 while a higher number is a later item
    UNIQUE (account_id, kind, created, id)
);

CREATE TABLE search_members (
    number  INTEGER PRIMARY KEY,         -- the chunk and the place in it
    created INTEGER NOT NULL,
    id      TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE search_bits (
    chunk INTEGER NOT NULL,
    term  TEXT NOT NULL,
    bits  BLOB NOT NULL,
    PRIMARY KEY (chunk, term)
) WITHOUT ROWID;

-- Items that stand in no chunk yet.
CREATE TABLE search_pending (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    id         TEXT NOT NULL,
    terms      TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, created, id)
) WITHOUT ROWID;

-- Items from before the index: a worker reads their prompts.
CREATE TABLE search_backlog (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    id         TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, created, id)
) WITHOUT ROWID;

INSERT INTO search_backlog (account_id, kind, created, id) SELECT account_id, 'video', created, id FROM videos;
INSERT INTO search_backlog (account_id, kind, created, id) SELECT account_id, 'image', created, id FROM images;
