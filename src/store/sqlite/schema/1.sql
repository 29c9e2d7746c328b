-- The first schema. Files hold it, so it never changes: what is different later comes as a schema after it.
-- Moments are nanoseconds since 1970 in UTC. Texts of a `form` are explained in `src/store/form`.

CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- How often the file was opened: the upper bits of leases, which nobody needs to find after the process that held them.
    openings INTEGER NOT NULL,
    -- The newest version that any record has ever had.
    record_versions INTEGER NOT NULL
);
INSERT INTO meta VALUES (1, 0, 0);

-- What runs were made of, once for all runs of the same. An id is never used again.
CREATE TABLE plans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    form INTEGER NOT NULL,
    plan TEXT NOT NULL
);

CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    phase TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    expires_at INTEGER,
    -- When the run was to be looked at next as it was last given back; while it is leased that moment has passed.
    due_at INTEGER,
    plan INTEGER NOT NULL REFERENCES plans (id),
    form INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX runs_by_age ON runs (created_at, id);
CREATE INDEX runs_by_namespace ON runs (namespace, created_at, id);
CREATE INDEX runs_by_phase ON runs (phase, created_at, id);
CREATE INDEX runs_by_plan ON runs (plan);
CREATE INDEX runs_due ON runs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX runs_completed ON runs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX runs_expiring ON runs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE labels (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;

CREATE TABLE templates (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    template TEXT NOT NULL,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;

-- Written once each, one after the other: the table keeps that order, the index finds a run's.
CREATE TABLE measurements (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    metric INTEGER NOT NULL,
    number INTEGER NOT NULL,
    form INTEGER NOT NULL,
    measurement TEXT NOT NULL
);
CREATE UNIQUE INDEX measurements_of_run ON measurements (run, metric, number);

-- Commands that a run's holder has not taken in yet.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    form INTEGER NOT NULL,
    command TEXT NOT NULL
);
CREATE INDEX inbox_of_run ON inbox (run, seq);

-- Requests that their callers may send twice. They go with their run.
CREATE TABLE requests (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX requests_of_run ON requests (run);

CREATE TABLE records (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
