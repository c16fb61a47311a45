-- Sessions of browsers. `secret` is the SHA-256 of what the cookie holds, `principal` and `fields` are JSON; times are in seconds.
CREATE TABLE sessions (
    id        TEXT    PRIMARY KEY,
    secret    BLOB    NOT NULL,
    principal BLOB    NOT NULL,
    seen      INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    fields    BLOB    NOT NULL
) STRICT;
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- Fields of owners; `contents` is JSON, times are in milliseconds. An owner is bytes, since NUL may be in it.
CREATE TABLE fields (
    owner    BLOB    PRIMARY KEY,
    version  INTEGER NOT NULL,
    contents BLOB    NOT NULL,
    change   INTEGER NOT NULL,
    expires  INTEGER NOT NULL
) STRICT;
CREATE INDEX fields_by_change ON fields (change);
CREATE INDEX fields_by_expiry ON fields (expires);

-- Numbers the changes of all owners. It has a row of its own, so that it never goes back when theirs are removed.
CREATE TABLE field_changes (number INTEGER NOT NULL) STRICT;
INSERT INTO field_changes (number) VALUES (0);
