-- A link is held by one receiver at a time, under a lease; what nobody ever sent is swept.

ALTER TABLE uploads ADD COLUMN claimant TEXT;
CREATE INDEX uploads_unused ON uploads (expires) WHERE size IS NULL;
