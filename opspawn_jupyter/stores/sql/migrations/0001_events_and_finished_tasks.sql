-- Insert-only, without indexes: task ids of UUID version 7 and sequence numbers arrive in order,
-- so the minimum and maximum of each row group find a row. Times are UTC.

-- Every durable event, as the journal has it.
CREATE TABLE events (
    seq         BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    task_id     VARCHAR NOT NULL,
    attempt     INTEGER NOT NULL,
    number      BIGINT NOT NULL,
    type        VARCHAR NOT NULL,
    data        JSON NOT NULL,
    hash        VARCHAR NOT NULL
);

-- One row for each task that has ended; it never changes. `record` is the whole task, exactly.
CREATE TABLE finished_tasks (
    id               VARCHAR NOT NULL,
    kind             VARCHAR NOT NULL,
    name             VARCHAR NOT NULL,
    state            VARCHAR NOT NULL,
    created_at       TIMESTAMP NOT NULL,
    started_at       TIMESTAMP,
    finished_at      TIMESTAMP,
    duration_seconds DOUBLE,
    attempt          INTEGER NOT NULL,
    submitted_by     VARCHAR NOT NULL,
    idempotency_key  VARCHAR,
    run_directory    VARCHAR NOT NULL,
    labels           JSON NOT NULL,
    spec             JSON NOT NULL,
    outputs          JSON NOT NULL,
    error_name       VARCHAR,
    error_message    VARCHAR,
    cells            JSON NOT NULL,
    seq              BIGINT NOT NULL,
    record           JSON NOT NULL
);

-- `version`: number of the last migration. `applied`: seq of the last event in this file.
CREATE TABLE meta (
    key   VARCHAR PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO meta VALUES ('version', 0), ('applied', 0);
