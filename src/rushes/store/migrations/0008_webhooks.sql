-- Deliveries are committed with the end of their job, and are leased like jobs.

CREATE TABLE webhook_secrets (
    secret     TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created    BIGINT NOT NULL,
    expires    BIGINT               -- null for the present one, the end of its rotation for one before
);

-- Whoever comes second with an account's first secret finds the other's.
CREATE UNIQUE INDEX webhook_secrets_present ON webhook_secrets (account_id) WHERE expires IS NULL;
CREATE INDEX webhook_secrets_rotated ON webhook_secrets (account_id, created);

CREATE TABLE deliveries (
    id         TEXT PRIMARY KEY,    -- the webhook-id, the same for every try
    account_id TEXT NOT NULL REFERENCES accounts (id),
    job_id     TEXT,                -- null for a test
    url        TEXT NOT NULL,
    lane       TEXT NOT NULL,       -- the account and its receiver: what is slow or dead as one
    body       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    tries      BIGINT NOT NULL,     -- of the schedule as it runs now; the log has all
    run_at     BIGINT,              -- as in jobs
    owner      TEXT,
    attempt    BIGINT NOT NULL,
    ended      BIGINT
);

CREATE INDEX deliveries_due ON deliveries (lane, run_at) WHERE run_at IS NOT NULL;
CREATE INDEX deliveries_newest ON deliveries (created, id);
CREATE INDEX deliveries_newest_of ON deliveries (account_id, created, id);
CREATE INDEX deliveries_ended ON deliveries (ended) WHERE ended IS NOT NULL;

CREATE TABLE delivery_tries (
    delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number      BIGINT NOT NULL,
    started     BIGINT NOT NULL,
    took        BIGINT NOT NULL,    -- milliseconds
    status      BIGINT,             -- null when nothing was answered
    told        TEXT NOT NULL,      -- the beginning of the answer, or what went wrong
    PRIMARY KEY (delivery_id, number)
);
