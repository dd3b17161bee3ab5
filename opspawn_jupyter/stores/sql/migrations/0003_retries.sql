-- What dead letters are found by. Rows from before have neither.
ALTER TABLE finished_tasks ADD COLUMN max_retries INTEGER;
ALTER TABLE finished_tasks ADD COLUMN retry_of VARCHAR;
