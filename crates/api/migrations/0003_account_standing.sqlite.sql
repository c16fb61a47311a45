-- `epoch` is the least that a token of the account may name: raising it ends all that were issued before. A disabled account
-- keeps its address and its rows, and lets nobody in.
ALTER TABLE accounts ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0);
ALTER TABLE accounts ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
