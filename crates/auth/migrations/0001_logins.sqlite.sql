-- One row for each login, on the shard of its account: `id` has the bucket of `account_id`. It holds what judges the refresh tokens of
-- the login, none of which can be made from it. Times are in milliseconds of Unix time.
--
-- `generation` and `token_hash` (SHA-256 of its secret) are those of the one token that rotates. `salt` makes a token's successor of its
-- secret, `tag_key` tells old tokens from invented ones, `rotations` says when the latest rotations were: 8 bytes each, the last one
-- first. The login is over at `valid_until`, which each refresh moves towards `valid_until_max`, and which is never after `ended_at`.
CREATE TABLE logins (
    id              INTEGER PRIMARY KEY,
    account_id      INTEGER NOT NULL,
    generation      INTEGER NOT NULL CHECK (generation > 0),
    token_hash      BLOB    NOT NULL CHECK (length(token_hash) = 32),
    salt            BLOB    NOT NULL CHECK (length(salt) = 32),
    tag_key         BLOB    NOT NULL CHECK (length(tag_key) = 32),
    rotations       BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    used_at         INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    valid_until_max INTEGER NOT NULL,
    ended_at        INTEGER,
    label           TEXT    NOT NULL,
    address         TEXT
) STRICT;
CREATE INDEX logins_account ON logins (account_id);
CREATE INDEX logins_valid_until ON logins (valid_until, id);
