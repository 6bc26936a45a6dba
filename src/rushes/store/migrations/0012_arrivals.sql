-- Items come in from elsewhere too, under the uuids that their files have there. Those are one account's own: another
-- may have pulled the same library. Nothing but keys can say so, and not every engine changes a key in place.

ALTER TABLE drafts RENAME TO drafts_before;

CREATE TABLE drafts (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    file_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    job_id     TEXT REFERENCES jobs (id),   -- null for what comes in from elsewhere
    created    BIGINT NOT NULL,
    condemned  BIGINT,                      -- set before its files are deleted: such files can no longer enter the library
    PRIMARY KEY (account_id, file_id)
);

INSERT INTO drafts (account_id, file_id, kind, job_id, created, condemned)
SELECT account_id, file_id, kind, job_id, created, condemned FROM drafts_before;
DROP TABLE drafts_before;
CREATE INDEX drafts_created ON drafts (created);

ALTER TABLE trash RENAME TO trash_before;

CREATE TABLE trash (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    file_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    PRIMARY KEY (account_id, file_id)
);

INSERT INTO trash (account_id, file_id, kind, created) SELECT account_id, file_id, kind, created FROM trash_before;
DROP TABLE trash_before;
CREATE INDEX trash_created ON trash (created);

DROP INDEX videos_file;
DROP INDEX images_file;
CREATE UNIQUE INDEX videos_file ON videos (account_id, file_id);
CREATE UNIQUE INDEX images_file ON images (account_id, file_id);

-- Whether a file was in the library until its item was deleted.
CREATE INDEX tombstones_file ON tombstones (account_id, file_id);
