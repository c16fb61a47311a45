-- Whose an e-mail address is, on the shard of the address. It is claimed before the account is stored, on the shard of the
-- account, and confirmed after; what a crash leaves between the two is a claim that is not confirmed.
CREATE TABLE account_emails (
    email      TEXT     PRIMARY KEY,
    bucket     SMALLINT NOT NULL,
    account_id BIGINT   NOT NULL,
    claimed_at BIGINT   NOT NULL,
    confirmed  SMALLINT NOT NULL CHECK (confirmed IN (0, 1))
);
CREATE INDEX account_emails_claimed ON account_emails (claimed_at) WHERE confirmed = 0;
SELECT phalanx.fence_table('account_emails', 'bucket');
