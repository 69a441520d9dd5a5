-- The first schema. Times are milliseconds since 1970. A body is JSON; the columns beside it repeat
-- what is searched for. Levels are 0 debug, 1 info, 2 success, 3 warning, 4 error.

CREATE TABLE definitions (
    name       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    site       TEXT NOT NULL,
    body       TEXT NOT NULL,
    applied_at INTEGER NOT NULL
);

CREATE TABLE runs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    lab              TEXT NOT NULL,
    kind             TEXT NOT NULL,
    state            TEXT NOT NULL,
    owner            TEXT NOT NULL,
    plan             TEXT NOT NULL,
    started_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_of_lab ON runs (lab, id);

CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run      INTEGER NOT NULL REFERENCES runs (id),
    seq      INTEGER NOT NULL,
    lab      TEXT NOT NULL,
    seat     TEXT,
    level    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, seq)
);
CREATE INDEX events_of_lab ON events (lab, position);

CREATE TABLE machines (
    lab        TEXT NOT NULL,
    seat       TEXT NOT NULL,
    site       TEXT NOT NULL,
    node       TEXT,
    vmid       INTEGER,
    state      TEXT NOT NULL,
    body       TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (lab, seat)
);
