-- AI credits, in millionths, so that sums are exact on both engines.

ALTER TABLE accounts ADD COLUMN credit_limit BIGINT;                    -- a month; null: the server's default
ALTER TABLE accounts ADD COLUMN month BIGINT NOT NULL DEFAULT 0;        -- year * 100 + month, UTC, that spent counts
ALTER TABLE accounts ADD COLUMN spent BIGINT NOT NULL DEFAULT 0;        -- charged in that month
ALTER TABLE accounts ADD COLUMN held BIGINT NOT NULL DEFAULT 0;         -- what the jobs under way will cost
ALTER TABLE accounts ADD COLUMN under_way BIGINT NOT NULL DEFAULT 0;    -- how many those are

UPDATE accounts SET
    under_way = (SELECT count(*) FROM jobs WHERE account_id = accounts.id AND ended IS NULL),
    held = (
        SELECT coalesce(CAST(round(sum(CAST(credits AS DOUBLE PRECISION)) * 1000000) AS BIGINT), 0)
        FROM jobs WHERE account_id = accounts.id AND ended IS NULL
    );

CREATE TABLE ledger (
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    created     BIGINT NOT NULL,
    id          TEXT NOT NULL,
    type        TEXT NOT NULL,
    amount      BIGINT NOT NULL,
    source      TEXT NOT NULL,
    description TEXT NOT NULL,
    job_id      TEXT,
    PRIMARY KEY (account_id, created, id)
);
