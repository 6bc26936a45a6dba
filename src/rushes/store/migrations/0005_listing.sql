-- A list filtered by any of these is a walk along neighbours, like the whole list.

CREATE INDEX videos_model ON videos (account_id, model, created, id);
CREATE INDEX videos_ratio ON videos (account_id, aspect_ratio, created, id);
CREATE INDEX videos_model_ratio ON videos (account_id, model, aspect_ratio, created, id);

CREATE UNIQUE INDEX images_id ON images (account_id, id);
CREATE UNIQUE INDEX images_file ON images (file_id);
CREATE UNIQUE INDEX images_job ON images (job_id);
CREATE INDEX images_model ON images (account_id, model, created, id);
CREATE INDEX images_ratio ON images (account_id, aspect_ratio, created, id);
CREATE INDEX images_model_ratio ON images (account_id, model, aspect_ratio, created, id);

-- Items from before the change feed come in the order in which they were made.
UPDATE videos SET revision = numbered.number FROM (
    SELECT account_id AS account, created AS moment, id AS name,
        row_number() OVER (PARTITION BY account_id ORDER BY created, id) AS number
    FROM videos
) AS numbered
WHERE videos.account_id = numbered.account AND videos.created = numbered.moment AND videos.id = numbered.name;
UPDATE accounts SET revision = revision + (SELECT count(*) FROM videos WHERE videos.account_id = accounts.id);

CREATE UNIQUE INDEX videos_revision ON videos (account_id, revision);
CREATE UNIQUE INDEX images_revision ON images (account_id, revision);

-- What was deleted, at the revision of its deletion.
CREATE TABLE tombstones (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    revision   BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    item_id    TEXT NOT NULL,
    created    BIGINT NOT NULL,     -- the item's, so that a copy can find its own
    file_id    TEXT NOT NULL,       -- what was made from it can still be asked for
    PRIMARY KEY (account_id, revision)
);

CREATE INDEX tombstones_item ON tombstones (account_id, item_id);

ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'video';
ALTER TABLE jobs ADD COLUMN set_back TEXT;      -- why it waits, when it was set back
ALTER TABLE jobs ADD COLUMN cost TEXT;          -- what the provider charged, US dollars, null while unknown

CREATE INDEX jobs_newest ON jobs (account_id, created, id);
CREATE INDEX jobs_state ON jobs (account_id, state, created, id);

ALTER TABLE drafts ADD COLUMN kind TEXT NOT NULL DEFAULT 'video';

-- Files whose item is gone: they may be deleted by anyone at any time, and then this row.
CREATE TABLE trash (
    file_id    TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    created    BIGINT NOT NULL
);

CREATE INDEX trash_created ON trash (created);
