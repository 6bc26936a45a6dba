-- Deliveries are committed with the end of their job, and are leased like jobs.

CREATE TABLE webhook_secrets (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created    BIGINT NOT NULL,
    secret     TEXT NOT NULL,
    expires    BIGINT,              -- null for the present one, the end of its rotation for one before
    PRIMARY KEY (account_id, created)
);

CREATE TABLE deliveries (
    id         TEXT PRIMARY KEY,    -- the webhook-id, the same for every try
    account_id TEXT NOT NULL REFERENCES accounts (id),
    job_id     TEXT,
    url        TEXT NOT NULL,
    body       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    tries      BIGINT NOT NULL,
    run_at     BIGINT,              -- as in jobs
    owner      TEXT,
    attempt    BIGINT NOT NULL
);

CREATE INDEX deliveries_due ON deliveries (run_at) WHERE run_at IS NOT NULL;
CREATE INDEX deliveries_newest ON deliveries (account_id, created, id);

CREATE TABLE delivery_tries (
    delivery_id TEXT NOT NULL REFERENCES deliveries (id),
    number      BIGINT NOT NULL,
    started     BIGINT NOT NULL,
    took        BIGINT NOT NULL,    -- milliseconds
    status      BIGINT,             -- null when nothing was answered
    told        TEXT NOT NULL,      -- the beginning of the answer, or what went wrong
    PRIMARY KEY (delivery_id, number)
);
