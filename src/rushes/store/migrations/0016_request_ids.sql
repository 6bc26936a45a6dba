-- The request that asked for a job, as answers and logs name it; and the trace it was a part of.

ALTER TABLE jobs ADD COLUMN request_id TEXT;
ALTER TABLE jobs ADD COLUMN trace TEXT;
