-- `email` is stored trimmed and in lower case. That no two accounts have the same is the business of `account_emails`, since two
-- accounts may be on two shards.
CREATE TABLE accounts (
    id            BIGINT PRIMARY KEY,
    email         TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    role          TEXT   NOT NULL CHECK (role IN ('user', 'admin')),
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL DEFAULT extract(epoch FROM now())::bigint
);
SELECT phalanx.fence_table('accounts', 'id');
