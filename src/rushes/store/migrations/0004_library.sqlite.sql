-- Images beside videos; what lists are filtered by; and the revision of the account at which each item entered, which
-- is what the change feed is read by.

ALTER TABLE videos ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE videos ADD COLUMN aspect_ratio TEXT NOT NULL DEFAULT '';
ALTER TABLE videos ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- The placeholder of our own links is no JSON: it goes before the text is read.
UPDATE videos SET
    model = json_extract(replace(CAST(item AS TEXT), char(1), ''), '$.model'),
    aspect_ratio = json_extract(replace(CAST(item AS TEXT), char(1), ''), '$.aspectRatio');

CREATE TABLE images (
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    created      INTEGER NOT NULL,
    id           TEXT NOT NULL,
    file_id      TEXT NOT NULL,
    job_id       TEXT REFERENCES jobs (id),
    item         BLOB NOT NULL,
    model        TEXT NOT NULL,
    aspect_ratio TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    PRIMARY KEY (account_id, created, id)
) WITHOUT ROWID;

-- What was made from which file of ours.
CREATE TABLE lineage (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    parent     TEXT NOT NULL,       -- the uuid in the parent's file names
    kind       TEXT NOT NULL,       -- the child's
    created    BIGINT NOT NULL,
    id         TEXT NOT NULL,
    model        TEXT NOT NULL,     -- as the child has them, so that the list of children is filtered like any other
    aspect_ratio TEXT NOT NULL,
    PRIMARY KEY (account_id, parent, kind, created, id)
);

CREATE INDEX lineage_model ON lineage (account_id, parent, kind, model, created, id);
CREATE INDEX lineage_ratio ON lineage (account_id, parent, kind, aspect_ratio, created, id);
CREATE INDEX lineage_model_ratio ON lineage (account_id, parent, kind, model, aspect_ratio, created, id);

CREATE INDEX lineage_child ON lineage (account_id, kind, created, id);
