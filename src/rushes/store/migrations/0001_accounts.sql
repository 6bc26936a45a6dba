-- Who may ask, and the server's own secrets.

CREATE TABLE server (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE accounts (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    created  BIGINT NOT NULL,
    revision BIGINT NOT NULL        -- grows with every change to what the account's lists show
);

CREATE TABLE keys (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    label      TEXT NOT NULL,
    created    BIGINT NOT NULL,
    revoked    BIGINT
);
