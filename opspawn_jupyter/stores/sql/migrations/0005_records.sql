-- One row for each version of each record: what is asked, decided or set up beside the tasks.
CREATE TABLE records (
    subject    VARCHAR NOT NULL,
    id         VARCHAR NOT NULL,
    version    INTEGER NOT NULL,
    is_open    BOOLEAN NOT NULL,
    key        VARCHAR,
    task_id    VARCHAR NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    seq        BIGINT NOT NULL,
    content    JSON NOT NULL
);
