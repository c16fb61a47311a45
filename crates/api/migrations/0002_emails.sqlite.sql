-- Whose an e-mail address is, on the shard of the address. It is claimed before the account is stored, on the shard of the
-- account, and confirmed after; what a crash leaves between the two is a claim that is not confirmed.
CREATE TABLE account_emails (
    email      TEXT    PRIMARY KEY,
    -- NULL for those that were there before; they have never been anywhere but on the one shard.
    bucket     INTEGER,
    account_id INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    confirmed  INTEGER NOT NULL CHECK (confirmed IN (0, 1))
) STRICT;
CREATE INDEX account_emails_claimed ON account_emails (claimed_at) WHERE confirmed = 0;
INSERT INTO account_emails (email, bucket, account_id, claimed_at, confirmed)
    SELECT email, NULL, id, created_at, 1 FROM accounts;
