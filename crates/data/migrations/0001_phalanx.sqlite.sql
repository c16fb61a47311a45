-- The leases of worker numbers. `horizon` is the last instant, in the time of ids, for which its holder may make ids:
-- whoever takes the number over begins after it, whatever the clocks say.
CREATE TABLE phalanx_workers (
    number  INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    holder  INTEGER NOT NULL,
    horizon INTEGER NOT NULL
) STRICT;
