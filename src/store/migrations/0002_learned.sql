-- What runs have found out about how much a site bears at once.
CREATE TABLE learned (
    site       TEXT NOT NULL,
    limit_key  TEXT NOT NULL,
    value      DOUBLE PRECISION NOT NULL,
    learned_at INTEGER NOT NULL,
    PRIMARY KEY (site, limit_key)
);
