-- The video that a job's provider goes on from: its length, and how its last frame looks.

ALTER TABLE jobs ADD COLUMN source TEXT;
