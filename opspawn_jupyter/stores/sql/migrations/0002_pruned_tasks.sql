-- A task whose run directory was removed stays; its row is written anew with the time.
ALTER TABLE finished_tasks ADD COLUMN pruned_at TIMESTAMP;
