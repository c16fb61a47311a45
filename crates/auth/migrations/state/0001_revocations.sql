-- The feed of revocations. `number` only grows, also after old rows are gone, so that a follower knows where it was.
CREATE TABLE revocations (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT    NOT NULL CHECK (kind IN ('session', 'subject')),
    id      TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_by_id ON revocations (kind, id);
CREATE INDEX revocations_by_expiry ON revocations (expires);
