//! The handle through which a service reads and writes.

use std::{
    io,
    num::NonZeroUsize,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::{
    connection, file_name, readers,
    transaction::{self, Bounds, Transaction},
    writer,
};
use crate::{AccessError, DataDirectory, Migration, ShardId};

/// The bounds of an embedded database.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedSettings {
    /// Reader threads, each with a connection.
    pub readers: NonZeroUsize,
    /// Reads that may wait for a thread; one more is refused.
    pub read_queue_max: NonZeroUsize,
    /// Writes that may wait for a commit; one more is refused.
    pub write_queue_max: NonZeroUsize,
    /// How long a statement waits for a lock that another process holds.
    pub busy_timeout: Duration,
    /// How long a transaction may send no statement: it keeps the one writer meanwhile, and is rolled back then.
    pub transaction_idle_max: Duration,
    /// How long a transaction may take in all.
    pub transaction_length_max: Duration,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        let nonzero = |number| NonZeroUsize::new(number).expect("the literals below are not zero");
        Self {
            // A replica has about one core; a second reader covers the one that waits for the disk.
            readers: nonzero(2),
            read_queue_max: nonzero(1024),
            write_queue_max: nonzero(1024),
            busy_timeout: Duration::from_secs(5),
            transaction_idle_max: Duration::from_secs(1),
            transaction_length_max: Duration::from_secs(5),
        }
    }
}

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is something else.
    #[error("`{}` is not a Phalanx database: move it away or choose another directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be created or written to.
    #[error("cannot open `{}`: is it this user's, and is there room?", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later version of Phalanx has been here.
    #[error(
        "`{}` has schema {found}, this version of Phalanx knows schemas up to {known}: run a newer version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The last migration applied.
        found: u16,
        /// The last migration of this binary.
        known: usize,
    },
    /// A migration that was applied reads otherwise in this binary.
    #[error(
        "migration {number} ({name}) was edited after it had been applied to `{}`: restore its text, and add the change as another",
        path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
        /// Its number.
        number: u16,
        /// Its name.
        name: &'static str,
    },
    /// A schema change failed; the schema is as it was.
    #[error("cannot apply migration {number} ({name}) to `{}`", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Its number.
        number: u16,
        /// Its name.
        name: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process held the lock for longer than the busy timeout.
    #[error("`{}` is locked by another process: end it, or wait until it has finished", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No space is left.
    #[error("no space is left for `{}`: free some, or choose another directory", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The filesystem cannot share memory between processes.
    #[error(
        "`{}` cannot have a write-ahead log (journal mode stays `{mode}`): choose a directory on a local filesystem",
        path.display()
    )]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
        /// The journal mode it has.
        mode: String,
    },
    /// The threads cannot be started.
    #[error("cannot start the database threads")]
    Threads {
        /// What the system said.
        source: io::Error,
    },
    /// Any other fault.
    #[error("cannot open the database `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl OpenError {
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            _ => Self::Sqlite { path, source },
        }
    }
}

/// An open database; cheap to clone. When the last clone is dropped without [`Self::close`], the threads end by
/// themselves after what is queued.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    writes: mpsc::Sender<writer::Command>,
    reads: mpsc::Sender<readers::Command>,
    readers: usize,
    bounds: Bounds,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Database {
    /// Opens `phalanx.db` in `directory`, creates it where it is missing, and brings it to the last of `migrations`.
    /// Processes that do so at once wait for each other.
    ///
    /// # Errors
    /// When the file cannot be used as it is; nothing has changed then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(
        directory: &DataDirectory,
        migrations: &'static [Migration],
        settings: EmbeddedSettings,
    ) -> Result<Self, OpenError> {
        Self::open_file(directory.path().join(file_name(ShardId(1))), migrations, settings).await
    }

    pub(super) async fn open_file(
        path: PathBuf,
        migrations: &'static [Migration],
        settings: EmbeddedSettings,
    ) -> Result<Self, OpenError> {
        // Opening waits for locks and for the disk, and the caller may have to answer a signal meanwhile.
        let opening = tokio::task::spawn_blocking(move || {
            connection::open(&path, migrations, settings.readers.get(), settings.busy_timeout)
        });
        let connections = opening.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()))?;
        let (writes, write_queue) = mpsc::channel(settings.write_queue_max.get());
        let (reads, read_queue) = mpsc::channel(settings.read_queue_max.get());
        let threads =
            start(connections, write_queue, read_queue).map_err(|source| OpenError::Threads { source })?;
        let bounds =
            Bounds { idle_max: settings.transaction_idle_max, length_max: settings.transaction_length_max };
        let readers = settings.readers.get();
        Ok(Self { inner: Arc::new(Inner { writes, reads, readers, bounds, threads: Mutex::new(threads) }) })
    }

    /// Runs `closure` on a reader's connection, where every statement sees what was committed before it began.
    ///
    /// Dropped while it waits in the queue, it never runs.
    ///
    /// # Errors
    /// When the queue is full, or the closure or SQLite fails.
    pub async fn read<T, F>(&self, closure: F) -> Result<T, AccessError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.run_read(|connection| Ok(closure(connection)?)).await
    }

    pub(super) async fn run_read<T, F>(&self, closure: F) -> Result<T, AccessError>
    where
        F: FnOnce(&Connection) -> Result<T, AccessError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let job: readers::Job = Box::new(move |connection| {
            if !reply.is_closed() {
                let caught = panic::catch_unwind(AssertUnwindSafe(|| closure(connection)));
                let _ = reply.send(caught.unwrap_or(Err(AccessError::Panicked)));
            }
        });
        self.inner.reads.try_send(readers::Command::Run(job))?;
        outcome.await.unwrap_or(Err(AccessError::Closed))
    }

    /// Runs `closure` in a write transaction. When this answers `Ok`, the commit is on the disk; when it answers `Err`,
    /// nothing of it is. The closure may share its transaction with other writes, so it neither begins nor ends one.
    ///
    /// Dropped while it waits in the queue, it never runs; dropped later, it ends unheard.
    ///
    /// # Errors
    /// When the queue or the disk is full, the lock stays taken, or the closure or SQLite fails.
    pub async fn write<T, F>(&self, closure: F) -> Result<T, AccessError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.run_write(|connection| Ok(closure(connection)?)).await
    }

    pub(super) async fn run_write<T, F>(&self, closure: F) -> Result<T, AccessError>
    where
        F: FnOnce(&Connection) -> Result<T, AccessError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let job = Box::new(writer::Write::new(closure, reply));
        self.inner.writes.try_send(writer::Command::Run(job))?;
        outcome.await.unwrap_or(Err(AccessError::Closed))
    }

    /// Begins a transaction on the writer thread, which does nothing else until it has ended.
    pub(super) async fn begin(&self, shard: ShardId) -> Result<Transaction, AccessError> {
        let (transaction, opening, begun) = transaction::channel(shard, self.inner.bounds);
        self.inner.writes.try_send(writer::Command::Open(opening))?;
        begun.await.unwrap_or(Err(AccessError::Closed))?;
        Ok(transaction)
    }

    /// Reader threads, and reads that wait for one.
    pub(super) fn reads_waiting(&self) -> (usize, usize) {
        (self.inner.readers, self.inner.reads.max_capacity() - self.inner.reads.capacity())
    }

    /// Writes that wait for the writer thread.
    pub(super) fn writes_waiting(&self) -> usize {
        self.inner.writes.max_capacity() - self.inner.writes.capacity()
    }

    /// Ends the threads once everything queued is done. Later reads and writes answer [`AccessError::Closed`].
    pub async fn close(&self) {
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for _ in &threads.readers {
            let _ = self.inner.reads.send(readers::Command::Stop).await;
        }
        let _ = self.inner.writes.send(writer::Command::Stop).await;
        let joining = tokio::task::spawn_blocking(move || {
            for thread in threads.readers.into_iter().chain(threads.writer) {
                let _ = thread.join(); // Their closures' panics were caught and answered.
            }
        });
        let _ = joining.await;
    }
}

fn start(
    connections: connection::Connections,
    write_queue: mpsc::Receiver<writer::Command>,
    read_queue: mpsc::Receiver<readers::Command>,
) -> io::Result<Threads> {
    let read_queue = Arc::new(Mutex::new(read_queue));
    let mut threads = Threads::default();
    for connection in connections.readers {
        let queue = Arc::clone(&read_queue);
        let thread = thread::Builder::new().name("sqlite-reader".to_owned());
        threads.readers.push(thread.spawn(move || readers::run(connection, queue))?);
    }
    let thread = thread::Builder::new().name("sqlite-writer".to_owned());
    threads.writer = Some(thread.spawn(move || writer::run(connections.writer, write_queue))?);
    Ok(threads)
}
