//! Small maps that the replicas share, one for each owner: the cart of an account, for instance.
//!
//! Invariants: a change happens as a whole or not at all, and changes of different fields never undo each other, whichever
//! replicas make them. The version of an owner only grows: it is the store's clock in milliseconds, or one more than the last
//! where that is ahead, so that it does not begin again when the store has lost everything.
//! Elsewhere: what owners, fields and values mean (the service); fields of a session, which end with it (`session`).
//! How it fails: [`FieldsError`]; a change that was answered with [`StateError`] may have been made all the same.

mod document;
mod embedded;
mod redis;
mod upkeep;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use phalanx_data::AccessError;

use self::watch::Watches;
pub(crate) use self::{
    document::{decode, encode},
    redis::{CHANGE, change_arguments, fields_of_pairs},
};
pub use self::{
    upkeep::FieldsUpkeep,
    watch::{FieldWatch, TooManyWatches},
};
use crate::{SharedState, StateError, state::Store};

/// How much one map holds.
#[derive(Clone, Copy, Debug)]
pub struct FieldBounds {
    /// Fields of one owner.
    pub fields_max: usize,
    /// Bytes of one field, its name and its value together.
    pub field_bytes_max: usize,
}

/// The bounds of [`Fields`].
#[derive(Clone, Copy, Debug)]
pub struct FieldsSettings {
    /// Of each owner.
    pub bounds: FieldBounds,
    /// How long an owner's fields are kept after the last write to them.
    pub lifetime: Duration,
    /// Watches of this process at once.
    pub watches_max: usize,
}

impl Default for FieldsSettings {
    fn default() -> Self {
        Self {
            bounds: FieldBounds { fields_max: 256, field_bytes_max: 1024 },
            lifetime: Duration::from_hours(30 * 24),
            watches_max: 10_000,
        }
    }
}

/// All that an owner has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Greater than that of whoever sees less. For an owner who has nothing stored it is Redis' time, which is greater than every
    /// version that was lost, unless changes came faster than one in a millisecond; in a file, the version of anybody's last change.
    pub version: u64,
    /// Values by names.
    pub fields: BTreeMap<String, String>,
}

/// What becomes of some fields; all others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Values by names.
    pub set: BTreeMap<String, String>,
    /// Names. One that is in `set` as well is set.
    pub remove: BTreeSet<String>,
}

/// Why fields were neither changed nor read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldsError {
    /// There would be more of them than may be; nothing was changed.
    #[error("more than {fields_max} fields")]
    TooMany {
        /// How many there may be.
        fields_max: usize,
    },
    /// One is longer than it may be; nothing was changed.
    #[error("a field of more than {field_bytes_max} bytes")]
    TooLong {
        /// How many bytes its name and value may have together.
        field_bytes_max: usize,
    },
    /// The shared state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<AccessError> for FieldsError {
    fn from(error: AccessError) -> Self {
        Self::State(error.into())
    }
}

/// The maps in the shared state; cheap to clone.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
///
/// use phalanx_auth::{Change, Fields, FieldsSettings, SharedState};
/// use phalanx_data::DataDirectory;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let (stop, mut tasks) = (CancellationToken::new(), tokio::task::JoinSet::new());
/// let (state, upkeep) = SharedState::embedded(DataDirectory::create(folder)?).await?;
/// tasks.spawn(upkeep.run(stop.clone()));
/// let (carts, upkeep) = Fields::new(state, FieldsSettings::default());
/// tasks.spawn(upkeep.run(stop.clone()));
///
/// // Somebody looks at the cart of account 42, and somebody, perhaps on another replica, puts something into it.
/// let mut watch = carts.watch("42")?;
/// let two = BTreeMap::from([("product-9".to_owned(), "2".to_owned())]);
/// let written = carts.merge("42", &Change { set: two, remove: BTreeSet::new() }).await?;
/// loop {
///     watch.changed().await;
///     let cart = carts.get("42").await?;
///     if cart.version >= written.version {
///         assert_eq!(cart.fields["product-9"], "2");
///         break;
///     }
/// }
///
/// stop.cancel();
/// while tasks.join_next().await.is_some() {}
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fields {
    state: SharedState,
    settings: FieldsSettings,
    watches: Arc<Watches>,
}

impl Fields {
    /// The maps in `state`, and what has to run for watches to hear of changes.
    #[must_use]
    pub fn new(state: SharedState, settings: FieldsSettings) -> (Self, FieldsUpkeep) {
        let watches = Arc::new(Watches::new(settings.watches_max));
        let upkeep = FieldsUpkeep::new(state.store.clone(), Arc::clone(&watches));
        (Self { state, settings, watches }, upkeep)
    }

    /// What `owner` has.
    ///
    /// # Errors
    /// When the shared state fails.
    pub async fn get(&self, owner: &str) -> Result<Contents, StateError> {
        match &self.state.store {
            Store::Redis(link) => redis::get(link, owner).await,
            Store::Embedded(state) => embedded::get(state, owner).await,
        }
    }

    /// Changes some fields of `owner`; answers all that it has then.
    ///
    /// # Errors
    /// When it would have too many fields or too long ones, or the shared state fails.
    pub async fn merge(&self, owner: &str, change: &Change) -> Result<Contents, FieldsError> {
        self.settings.bounds.check(&change.set)?;
        match &self.state.store {
            Store::Redis(link) => redis::merge(link, owner, change, &self.settings).await,
            Store::Embedded(state) => embedded::merge(state, owner, change, &self.settings).await,
        }
    }

    /// Gives `owner` these fields in place of all that it had.
    ///
    /// # Errors
    /// When they are too many or too long, or the shared state fails.
    pub async fn replace(
        &self,
        owner: &str,
        fields: &BTreeMap<String, String>,
    ) -> Result<Contents, FieldsError> {
        self.settings.bounds.check(fields)?;
        Ok(self.put(owner, fields).await?)
    }

    /// Takes all fields from `owner`; its version goes on.
    ///
    /// # Errors
    /// When the shared state fails.
    pub async fn clear(&self, owner: &str) -> Result<Contents, StateError> {
        self.put(owner, &BTreeMap::new()).await
    }

    /// Hears of the changes of `owner` from now on, whichever replica makes them.
    ///
    /// # Errors
    /// When the process has as many watches as it may.
    pub fn watch(&self, owner: &str) -> Result<FieldWatch, TooManyWatches> {
        Watches::watch(&self.watches, owner)
    }

    async fn put(&self, owner: &str, fields: &BTreeMap<String, String>) -> Result<Contents, StateError> {
        match &self.state.store {
            Store::Redis(link) => redis::replace(link, owner, fields, self.settings.lifetime).await,
            Store::Embedded(state) => embedded::replace(state, owner, fields, self.settings.lifetime).await,
        }
    }
}

impl FieldBounds {
    /// Whether these may be stored, as far as that can be said without what is stored already.
    pub(crate) fn check(&self, fields: &BTreeMap<String, String>) -> Result<(), FieldsError> {
        if fields.len() > self.fields_max {
            return Err(self.too_many());
        }
        let too_long = |(name, value): (&String, &String)| name.len() + value.len() > self.field_bytes_max;
        if fields.iter().any(too_long) {
            return Err(FieldsError::TooLong { field_bytes_max: self.field_bytes_max });
        }
        Ok(())
    }

    pub(crate) fn too_many(&self) -> FieldsError {
        FieldsError::TooMany { fields_max: self.fields_max }
    }
}

impl Change {
    /// The names that are removed and not set.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &String> {
        self.remove.iter().filter(|name| !self.set.contains_key(*name))
    }

    /// Applies it to `fields`, unless more than `bounds` allow would be the result. Those that are too many already may become
    /// fewer.
    pub(crate) fn apply(
        &self,
        fields: &mut BTreeMap<String, String>,
        bounds: &FieldBounds,
    ) -> Result<(), FieldsError> {
        let before = fields.len();
        for name in self.removed() {
            fields.remove(name);
        }
        fields.extend(self.set.clone());
        if fields.len() > bounds.fields_max.max(before) { Err(bounds.too_many()) } else { Ok(()) }
    }
}
