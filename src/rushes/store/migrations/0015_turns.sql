-- Whose turn it is. A new job stands in line (queued, run_at null) until a worker takes it; from then on the clock says
-- when it is due. One that is put back before it was sent, and whose time has come, stands in line again.

ALTER TABLE accounts ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;

ALTER TABLE jobs ADD COLUMN model    TEXT NOT NULL DEFAULT '';  -- empty: from before this, until it stands in line
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN turn     BIGINT;                    -- among those of its model and priority

CREATE INDEX jobs_line ON jobs (model, priority DESC, turn, created) WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX jobs_line_of_account ON jobs (account_id, model, priority, turn) WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX jobs_aside ON jobs (run_at) WHERE state = 'queued' AND run_at IS NOT NULL;
CREATE INDEX jobs_sent ON jobs (model, run_at) WHERE state <> 'queued' AND run_at IS NOT NULL;
CREATE INDEX jobs_in_hand ON jobs (model) WHERE ended IS NULL AND (state <> 'queued' OR owner IS NOT NULL);
