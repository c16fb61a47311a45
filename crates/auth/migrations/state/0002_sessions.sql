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
    expires  INTEGER NOT NULL
) STRICT;
CREATE INDEX fields_by_version ON fields (version);
CREATE INDEX fields_by_expiry ON fields (expires);

-- The version of the last change, whoever's fields that were. It has a row of its own, so that it never goes back when theirs are
-- removed.
CREATE TABLE field_changes (version INTEGER NOT NULL) STRICT;
INSERT INTO field_changes (version) VALUES (0);
