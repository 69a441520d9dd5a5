-- Why the end of a workshop could not be brought about, when that was last tried.
ALTER TABLE lives ADD COLUMN hindered TEXT;
-- How often a seat went while its workshop stood: whoever has it next is let in by another token.
CREATE TABLE rounds (
    lab   TEXT NOT NULL,
    seat  TEXT NOT NULL,
    round INTEGER NOT NULL,
    PRIMARY KEY (lab, seat)
);
