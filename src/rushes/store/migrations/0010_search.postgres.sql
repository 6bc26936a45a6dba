-- The words of the prompts. An account's items stand in chunks, each a stretch of its list; in a chunk every term has one
-- row that says which of its members have it (store/search.py).

CREATE TABLE search_chunks (
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    kind         TEXT NOT NULL,
    created      BIGINT NOT NULL,        -- its first item's place: it reaches up to the next chunk's
    id           TEXT COLLATE "C" NOT NULL,
    chunk        BIGINT GENERATED ALWAYS AS IDENTITY,
    last_created BIGINT NOT NULL,
    last_id      TEXT COLLATE "C" NOT NULL,
    members      BIGINT NOT NULL,        -- numbers given out
    in_order     BIGINT NOT NULL,        -- 1 while a higher number is a later item
    PRIMARY KEY (account_id, kind, created, id)
);

CREATE TABLE search_members (
    number  BIGINT PRIMARY KEY,          -- the chunk and the place in it
    created BIGINT NOT NULL,
    id      TEXT COLLATE "C" NOT NULL
);

CREATE TABLE search_bits (
    chunk BIGINT NOT NULL,
    term  TEXT COLLATE "C" NOT NULL,
    bits  BYTEA NOT NULL,
    PRIMARY KEY (chunk, term)
) WITH (autovacuum_vacuum_scale_factor = 0.02);  -- a chunk's rows are written anew until it is full
ALTER TABLE search_bits ALTER COLUMN bits SET STORAGE PLAIN;

-- Items that stand in no chunk yet.
CREATE TABLE search_pending (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    terms      TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, created, id)
);

-- Items from before the index: a worker reads their prompts.
CREATE TABLE search_backlog (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, kind, created, id)
);

INSERT INTO search_backlog (account_id, kind, created, id) SELECT account_id, 'video', created, id FROM videos;
INSERT INTO search_backlog (account_id, kind, created, id) SELECT account_id, 'image', created, id FROM images;
