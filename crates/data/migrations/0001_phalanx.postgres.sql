-- What this shard is. One row, since a database is one shard; `shard` is NULL until the shard has been given its number.
-- `revision` grows whenever something in `phalanx.buckets` changes that gives no bucket away, so that whoever knows epoch and
-- revision knows whether he has read the table as it is.
CREATE TABLE phalanx.meta (
    one      boolean  PRIMARY KEY DEFAULT true CHECK (one),
    shard    smallint CHECK (shard > 0),
    revision bigint   NOT NULL DEFAULT 0
);
INSERT INTO phalanx.meta DEFAULT VALUES;

-- The bucket map as this shard knows it: all buckets, with the epoch in which each was last given to somebody. The map's
-- epoch is the greatest of them. `here` says that the owner is this shard; it is kept by a trigger, so that the fence, which
-- every write passes, reads one row of one table.
--
-- `reader` is who answers reads that ask for no position, while a bucket is about to move; NULL for the owner. `since` is the
-- place in the owner's log from which on the owner has all that was ever written to a bucket that has just moved there: its
-- replicas have to be that far for whoever has written to the bucket elsewhere. `paused_at` is when a resharding paused the
-- bucket, by this server's clock.
CREATE TABLE phalanx.buckets (
    bucket         smallint PRIMARY KEY CHECK (bucket BETWEEN 0 AND 4095),
    owner          smallint NOT NULL CHECK (owner > 0),
    state          text     NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused')),
    epoch          bigint   NOT NULL CHECK (epoch > 0),
    here           boolean  NOT NULL,
    reader         smallint CHECK (reader > 0),
    since_timeline integer  CHECK (since_timeline > 0),
    since_lsn      pg_lsn,
    paused_at      timestamptz,
    CHECK ((since_timeline IS NULL) = (since_lsn IS NULL))
);
-- Every process asks for the greatest epoch about once a second.
CREATE INDEX buckets_epoch ON phalanx.buckets (epoch);

-- The tables behind the fence, with the column that says the bucket of a row: `column_name % modulus`.
CREATE TABLE phalanx.fenced_tables (
    relation    regclass PRIMARY KEY,
    column_name name     NOT NULL,
    modulus     integer  NOT NULL CHECK (modulus BETWEEN 1 AND 4096)
);

-- The leases of worker numbers, used in the first shard alone. `horizon` is the last instant, in the time of ids, for which
-- its holder may make ids: whoever takes the number over begins after it, whatever the clocks say.
CREATE TABLE phalanx.workers (
    number  smallint PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    holder  bigint   NOT NULL,
    horizon bigint   NOT NULL
);

-- The resharding under way, or the last one, in the first shard alone. A stage is stored before it is acted on. `map_from` and
-- `map_to` are texts of maps, of the epochs `epoch_from` and the next. `timelines` are those of the shards, by number, when
-- the streams began: a shard that has another since may have lost what was streamed to it. `pushed` says that the soak
-- is to end at once.
CREATE TABLE phalanx.reshard (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    stage       text        NOT NULL,
    direction   text        NOT NULL CHECK (direction IN ('onward', 'back')),
    shards_to   integer     NOT NULL CHECK (shards_to > 0),
    epoch_from  bigint      NOT NULL CHECK (epoch_from > 0),
    map_from    text        NOT NULL,
    map_to      text        NOT NULL,
    soak        bigint      NOT NULL CHECK (soak >= 0), -- Milliseconds.
    pushed      boolean     NOT NULL DEFAULT false,
    fault       text,
    timelines   integer[],
    began_at    timestamptz NOT NULL DEFAULT now(),
    stage_at    timestamptz NOT NULL DEFAULT now(),
    moved_at    timestamptz
);

-- What a resharding has changed in this shard for as long as it takes, each with the statement that puts it back.
CREATE TABLE phalanx.reshard_undo (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text   NOT NULL CHECK (kind IN ('identity', 'index')),
    statement text   NOT NULL
);

-- Lets a write to a bucket pass only where the bucket is open and at home, and keeps it so until the transaction has ended.
--
-- Whoever changes the map takes the exclusive lock (`phalanx.keep_bucket`), so he waits for the writers that were let in,
-- and those that come later read what he has committed. The number of locks is bounded by taking one for 64 buckets: a
-- statement over all buckets would otherwise fill the lock table.
CREATE FUNCTION phalanx.admit(wanted integer) RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    locked      text;
    known_epoch bigint;
    is_here     boolean;
    found_state text;
    found_epoch bigint;
BEGIN
    -- An assignment, because PERFORM would make a query of it.
    locked := pg_advisory_xact_lock_shared(1346913356, wanted >> 6)::text;
    IF current_setting('transaction_isolation') = 'read committed' THEN
        -- A statement of its own, for its snapshot must be taken after the lock was.
        SELECT here, state, epoch INTO is_here, found_state, found_epoch
          FROM phalanx.buckets WHERE bucket = wanted::smallint;
    ELSE
        -- The snapshot is as old as the transaction, and no lock makes it younger. Locking the row fails with 40001 where
        -- there has been a change since, so what it shows is what holds.
        SELECT here, state, epoch INTO is_here, found_state, found_epoch
          FROM phalanx.buckets WHERE bucket = wanted::smallint FOR SHARE;
    END IF;
    -- A session without an epoch goes by no map that could be old: what it may write, ownership alone decides.
    known_epoch := nullif(current_setting('phalanx.epoch', true), '')::bigint;
    IF is_here AND found_state = 'open' AND (known_epoch IS NULL OR known_epoch >= found_epoch) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'PX001',
        MESSAGE = CASE
            WHEN is_here AND found_state = 'open' THEN
                format('this session knows the bucket map of epoch %s, bucket %s has epoch %s',
                       known_epoch, wanted, found_epoch)
            WHEN is_here THEN format('bucket %s takes no writes at present', wanted)
            ELSE format('bucket %s is not in this shard', wanted)
        END,
        DETAIL = format('bucket=%s here=%s state=%s epoch=%s', wanted, is_here, found_state, found_epoch),
        HINT = 'read phalanx.buckets, and write to the owner of the bucket once it is open';
END $$;

-- A session with an old map may look for rows where they have been: it finds none, no row passes the fence, and it would take that
-- for an answer. So its statements are refused before they look.
CREATE FUNCTION phalanx.refuse_old_map() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    known_epoch bigint := nullif(current_setting('phalanx.epoch', true), '')::bigint;
    found_epoch bigint;
BEGIN
    IF known_epoch IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT max(epoch) INTO found_epoch FROM phalanx.buckets;
    IF known_epoch < found_epoch THEN
        RAISE EXCEPTION USING
            ERRCODE = 'PX001',
            MESSAGE = format('this session knows the bucket map of epoch %s, this shard has epoch %s',
                             known_epoch, found_epoch),
            HINT = 'read phalanx.buckets, and write to the owner of the bucket';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION phalanx.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'PX001',
        MESSAGE = format('TRUNCATE of %I would pass the fence by', TG_TABLE_NAME),
        HINT = 'delete the rows';
END $$;

-- Puts a table behind the fence. `bucket_column` is an integer whose remainder is the bucket of the row: its id, or the bucket
-- itself. The modulus is another than 4096 only in a database that was divided by `user_id % N` before (see `Placement`).
-- Replication is let through, since what it brings another fence has judged.
CREATE FUNCTION phalanx.fence_table(fenced regclass, bucket_column name, bucket_modulus integer DEFAULT 4096)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- The column stands in the text of a function for this table, since a look-up by name costs each row more than the rest.
    fence text := format('phalanx.%I', 'fence_' || fenced::oid);
BEGIN
    EXECUTE format($f$
        CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql AS $t$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                PERFORM phalanx.admit((OLD.%2$I %% %3$s)::integer);
            END IF;
            IF TG_OP = 'DELETE' THEN
                RETURN OLD;
            END IF;
            IF TG_OP = 'INSERT' OR NEW.%2$I IS DISTINCT FROM OLD.%2$I THEN
                PERFORM phalanx.admit((NEW.%2$I %% %3$s)::integer);
            END IF;
            RETURN NEW;
        END $t$
    $f$, fence, bucket_column, bucket_modulus);
    EXECUTE format('CREATE OR REPLACE TRIGGER phalanx_fence BEFORE INSERT OR UPDATE OR DELETE ON %s '
                   'FOR EACH ROW EXECUTE FUNCTION %s()', fenced, fence);
    EXECUTE format('CREATE OR REPLACE TRIGGER phalanx_fence_map BEFORE UPDATE OR DELETE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION phalanx.refuse_old_map()', fenced);
    EXECUTE format('CREATE OR REPLACE TRIGGER phalanx_fence_truncate BEFORE TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION phalanx.refuse_truncate()', fenced);
    INSERT INTO phalanx.fenced_tables (relation, column_name, modulus) VALUES (fenced, bucket_column, bucket_modulus)
        ON CONFLICT (relation) DO UPDATE SET column_name = excluded.column_name, modulus = excluded.modulus;
END $$;

-- Whoever changes the map waits for the writers that were let in under the old one, however he changes it.
CREATE FUNCTION phalanx.keep_bucket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1346913356, NEW.bucket >> 6);
    NEW.here := NEW.owner = (SELECT shard FROM phalanx.meta);
    RETURN NEW;
END $$;

CREATE TRIGGER keep_bucket BEFORE INSERT OR UPDATE ON phalanx.buckets
    FOR EACH ROW EXECUTE FUNCTION phalanx.keep_bucket();

-- Begins a change of buckets: no writer above READ COMMITTED is let in from here on. The trigger alone would do as well, but it
-- comes after the lock of the row, which such writers share, so that one could follow another for ever.
CREATE FUNCTION phalanx.close_buckets(wanted smallint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- In the same order everywhere, so that two of them wait instead of ending in a deadlock.
    PERFORM pg_advisory_xact_lock(1346913356, class)
       FROM (SELECT DISTINCT bucket >> 6 AS class FROM unnest(wanted) AS bucket ORDER BY class) AS classes;
END $$;

-- A shard that changed its number would leave `here` as it was.
CREATE FUNCTION phalanx.keep_shard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.shard IS NOT NULL AND NEW.shard IS DISTINCT FROM OLD.shard THEN
        RAISE EXCEPTION 'this shard has the number %, and keeps it', OLD.shard;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER keep_shard BEFORE UPDATE ON phalanx.meta FOR EACH ROW EXECUTE FUNCTION phalanx.keep_shard();
