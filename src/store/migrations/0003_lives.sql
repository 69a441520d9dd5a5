-- Workshops: since when one lives, until when, and by which code it is joined. A life goes with the last of its
-- machines. Its code stays, so that it can be said that it has ended, and is never given again.
CREATE TABLE lives (
    lab     TEXT PRIMARY KEY,
    code    TEXT NOT NULL,
    born_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    -- The last warning given: so many milliseconds before the end.
    warned  INTEGER
);
CREATE TABLE codes (
    code     TEXT PRIMARY KEY,
    lab      TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    ended_at INTEGER
);
-- Who sits where. `person` is a name as compared, `name` as it was typed first.
CREATE TABLE joins (
    lab       TEXT NOT NULL,
    seat      TEXT NOT NULL,
    person    TEXT NOT NULL,
    name      TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    UNIQUE (lab, seat),
    UNIQUE (lab, person)
);
