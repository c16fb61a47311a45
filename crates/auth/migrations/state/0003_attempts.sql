-- Filled in with the attempts.
CREATE TABLE attempts (key TEXT PRIMARY KEY) STRICT;
