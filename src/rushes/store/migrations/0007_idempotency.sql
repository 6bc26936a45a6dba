-- Answers given under an Idempotency-Key, kept for a day.

CREATE TABLE idempotency (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    route      TEXT NOT NULL,
    name       TEXT NOT NULL,       -- the key as sent
    body_hash  TEXT NOT NULL,
    answer     TEXT NOT NULL,
    created    BIGINT NOT NULL,
    PRIMARY KEY (account_id, route, name)
);

CREATE INDEX idempotency_created ON idempotency (created);
