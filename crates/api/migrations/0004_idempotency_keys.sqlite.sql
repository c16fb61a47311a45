-- What was answered to a request that its client may send again, on the shard of the key's digest. `account_id` is reserved for
-- whoever carries the request out, `holder` is his attempt (0: none), and `answer` is there once there is one.
CREATE TABLE idempotency_keys (
    digest      TEXT    PRIMARY KEY,
    bucket      INTEGER NOT NULL,
    salt        BLOB    NOT NULL,
    fingerprint BLOB    NOT NULL,
    account_id  INTEGER NOT NULL,
    holder      INTEGER NOT NULL,
    claimed_at  INTEGER NOT NULL,
    answer      BLOB
) STRICT;
CREATE INDEX idempotency_keys_claimed ON idempotency_keys (claimed_at, bucket);
