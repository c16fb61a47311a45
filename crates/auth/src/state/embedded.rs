//! The shared state of one machine: an SQLite file behind the data layer.

use std::num::NonZeroU16;

use phalanx_data::{
    Data, DataDirectory, EmbeddedError, EmbeddedSettings, Migration, Settings, Shard, Upkeep,
};
use phalanx_shard::Bucket;

/// In the order in which they came to be; the file is of no other store.
const MIGRATIONS: &[Migration] = &[
    Migration::per_store("revocations", include_str!("../../migrations/state/0001_revocations.sql"), ""),
    Migration::per_store("sessions", include_str!("../../migrations/state/0002_sessions.sql"), ""),
    Migration::per_store("attempts", include_str!("../../migrations/state/0003_attempts.sql"), ""),
];

/// The file; cheap to clone.
#[derive(Clone)]
pub(crate) struct EmbeddedState {
    data: Data,
}

impl EmbeddedState {
    pub(super) async fn open(directory: DataDirectory) -> Result<(Self, Upkeep), EmbeddedError> {
        let one = NonZeroU16::MIN;
        let (data, upkeep) =
            Data::open_embedded(&directory, one, MIGRATIONS, EmbeddedSettings::default(), Settings::new())
                .await?;
        Ok((Self { data }, upkeep))
    }

    /// Where every row is.
    pub(crate) fn shard(&self) -> Shard {
        self.data.shard_for(Bucket::of_low_bits(0))
    }

    pub(super) fn close(&self) {
        self.data.close();
    }
}
