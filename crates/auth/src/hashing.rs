//! Hashing off the event loop: a few threads behind a bounded queue.
//!
//! A hash costs tens of milliseconds and 19 MiB. Unbounded, some hundred logins at once would take the memory and every
//! other route's time; here they wait in a queue, and past its end they are refused at once. Half of the queue is for
//! verification alone: those who register, whom nobody counts, do not keep out those who log in.
//!
//! An imported account brings a bcrypt hash, or one of argon2 with other parameters. It is verified as it is, and replaced at the
//! first login: [`Verified::rehash_due`]. Until then a login takes the time of that hash, and so tells that the account exists.
//! Elsewhere: what can be verified at all (`scheme`).

mod scheme;
#[cfg(test)]
mod tests;

use std::{
    io,
    num::NonZeroUsize,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
    oneshot,
};

pub(crate) use self::scheme::Scheme;
use crate::{Password, PasswordHash};

// OWASP's first choice for argon2id on a server.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Stands in for the hash of an account that does not exist: same parameters, so the same time, and no known password.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Tm9ib2R5c1NhbHRIZXJlIQ$Tm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU";

/// Hashing gives way to the event loops: it is what fills the cores, and one more hash can wait, a request cannot.
const THREAD_NICENESS: i32 = 10;

/// The bounds of hashing.
#[derive(Clone, Copy, Debug)]
pub struct HashingSettings {
    /// Hashes computed at once.
    pub threads: NonZeroUsize,
    /// Hashes that may wait for a thread; one more is refused.
    pub hash_queue_max: NonZeroUsize,
}

impl Default for HashingSettings {
    fn default() -> Self {
        Self {
            // Affinity and cgroup quota are respected by the standard library.
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            // About a second's work for two threads: who would wait longer is better told to come back.
            hash_queue_max: NonZeroUsize::new(64).expect("64 is not zero"),
        }
    }
}

/// Why there is neither a hash nor a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashingError {
    /// As many wait as may in the queue, or in the half of it that hashing has; this one was refused at once.
    #[error("the hashing queue is full")]
    Busy,
    /// The hash cannot be read: what is stored is damaged, or of a kind that [`PasswordHash::imported`] refuses.
    #[error("the stored hash cannot be read")]
    Unreadable,
    /// The hash could not be computed, for want of memory.
    #[error("hashing failed")]
    Failed,
}

/// Whether a password is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Match,
    /// It is not, or there was no hash.
    Mismatch,
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    /// Whether the password is the one.
    pub verdict: Verdict,
    /// The password is the one, and its hash was made by another algorithm or with other parameters than [`Hasher::hash`] uses:
    /// hash it again, and store that.
    pub rehash_due: bool,
}

/// The hashing threads; cheap to clone. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher {
    queue: mpsc::Sender<Job>,
    /// In the queue, for hashes that are made and not compared with.
    places_to_hash: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce(&Argon2<'_>) + Send>;

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(settings: HashingSettings) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(settings.hash_queue_max.get());
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..settings.threads.get() {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("hashing".to_owned()).spawn(move || work(&jobs))?;
        }
        let places_to_hash = Arc::new(Semaphore::new(settings.hash_queue_max.get().div_ceil(2)));
        Ok(Self { queue, places_to_hash })
    }

    /// Whether a verification would find room at this moment. Who counts attempts asks before: one that is refused for want of
    /// room need not be counted and taken back.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.capacity() > 0
    }

    /// Hashes a password with a random salt.
    ///
    /// # Errors
    /// [`HashingError::Busy`] or [`HashingError::Failed`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashingError> {
        let place = Arc::clone(&self.places_to_hash).try_acquire_owned().map_err(|_| HashingError::Busy)?;
        let hash = move |argon2: &Argon2<'_>| {
            // It does not wait any more.
            drop(place);
            let hash = argon2.hash_password(password.as_bytes()).map_err(|_| HashingError::Failed)?;
            Ok(PasswordHash::from_stored(hash.to_string()))
        };
        self.run(hash).await
    }

    /// Compares a password with a stored hash, or takes the same time where there is none.
    ///
    /// # Errors
    /// All of [`HashingError`].
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verified, HashingError> {
        let verify = move |argon2: &Argon2<'_>| {
            let text = stored.as_ref().map_or(NOBODYS_HASH, PasswordHash::as_str);
            let scheme = Scheme::of(text).map_err(|_| HashingError::Unreadable)?;
            let verdict = scheme.verify(argon2, password.as_bytes())?;
            // Whatever hashes to the stand-in, nobody owns it.
            let verdict = if stored.is_some() { verdict } else { Verdict::Mismatch };
            Ok(Verified { verdict, rehash_due: verdict == Verdict::Match && !scheme.is_of_today() })
        };
        self.run(verify).await
    }

    async fn run<T, F>(&self, work: F) -> Result<T, HashingError>
    where
        F: FnOnce(&Argon2<'_>) -> Result<T, HashingError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let job: Job = Box::new(move |argon2| {
            // A client that hung up while it was queued costs nothing.
            if !reply.is_closed() {
                let _ = reply.send(work(argon2));
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HashingError::Busy,
            TrySendError::Closed(_) => HashingError::Failed,
        })?;
        outcome.await.unwrap_or(Err(HashingError::Failed))
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    // On Linux this is the priority of the thread, not of the process. Failing, hashing is merely less polite.
    let _ = rustix::process::setpriority_process(None, THREAD_NICENESS);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters());
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            // A job that panics answers its caller by dropping the reply; the thread is needed for the next.
            Some(job) => drop(panic::catch_unwind(AssertUnwindSafe(|| job(&argon2)))),
            None => return,
        }
    }
}

fn parameters() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants above are within argon2's ranges")
}
