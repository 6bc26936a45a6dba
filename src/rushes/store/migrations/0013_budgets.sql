-- What the providers cost, in US dollars.

ALTER TABLE jobs ADD COLUMN provider TEXT NOT NULL DEFAULT '';  -- who has the job, or will be asked
ALTER TABLE jobs ADD COLUMN estimate TEXT;                      -- what it may cost there; null: nobody knows
ALTER TABLE jobs ADD COLUMN cost_source TEXT;                   -- 'reported', a price list, 'settled', 'unknown'
ALTER TABLE jobs ADD COLUMN position BIGINT;                    -- in the provider's queue

-- A month's money, in millionths of a dollar: of a provider, or of an account ('account <id>', 'provider <word>').
CREATE TABLE budgets (
    scope TEXT PRIMARY KEY,
    most  BIGINT,                       -- a month; null: what the settings say
    month BIGINT NOT NULL DEFAULT 0,    -- year * 100 + month, UTC, that spent counts
    spent BIGINT NOT NULL DEFAULT 0,
    held  BIGINT NOT NULL DEFAULT 0     -- what the jobs under way may cost
);
