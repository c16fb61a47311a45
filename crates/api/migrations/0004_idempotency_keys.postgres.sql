-- What was answered to a request that its client may send again, on the shard of the key's digest. `account_id` is reserved for
-- whoever carries the request out, `holder` is his attempt (0: none), and `answer` is there once there is one.
CREATE TABLE idempotency_keys (
    digest      TEXT     PRIMARY KEY,
    bucket      SMALLINT NOT NULL,
    salt        BYTEA    NOT NULL,
    fingerprint BYTEA    NOT NULL,
    account_id  BIGINT   NOT NULL,
    holder      BIGINT   NOT NULL,
    claimed_at  BIGINT   NOT NULL,
    answer      BYTEA
);
CREATE INDEX idempotency_keys_claimed ON idempotency_keys (claimed_at, bucket);
SELECT phalanx.fence_table('idempotency_keys', 'bucket');
