-- Which releases the database serves: of the last row, the oldest migration that one must know to work on it.

ALTER TABLE migrations ADD COLUMN serves BIGINT;
