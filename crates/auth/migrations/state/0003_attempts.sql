-- Counters of login attempts, and pairs of account and address that know each other. Times are Unix milliseconds.
CREATE TABLE attempts (
    name     TEXT    NOT NULL PRIMARY KEY,
    attempts INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    expires  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_expiry ON attempts (expires);
