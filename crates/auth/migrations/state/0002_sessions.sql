-- Filled in with the sessions.
CREATE TABLE sessions (id TEXT PRIMARY KEY) STRICT;
