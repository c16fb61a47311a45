//! The embedded topology: shards that are files of this machine, behind the same handle as servers.

use std::num::NonZeroU16;

use crate::{
    AccessError, Data, DataDirectory, EmbeddedSettings, Migration, OpenError, Settings, ShardId, Upkeep,
    sqlite::File, topology::opening,
};

/// Why an embedded topology cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// A file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file was opened, and cannot be read.
    #[error("cannot read the database")]
    Access(#[from] AccessError),
}

impl Data {
    /// Opens the files of `shards` shards in `directory`, creates those that are missing, and brings them to the last of
    /// `migrations`. The first is `phalanx.db`, the next `phalanx-2.db`; several processes may share them.
    ///
    /// # Errors
    /// When a file cannot be used as it is.
    pub async fn open_embedded(
        directory: &DataDirectory,
        shards: NonZeroU16,
        migrations: &'static [Migration],
        embedded: EmbeddedSettings,
        settings: Settings,
    ) -> Result<(Self, Upkeep), EmbeddedError> {
        let mut files = Vec::new();
        for shard in (1..=shards.get()).map(ShardId) {
            let (file, upkeep) = File::open(directory, shard, migrations, embedded).await?;
            files.push((shard, file, upkeep));
        }
        let opened = opening::of_files(files, &settings).await?;
        Ok(Self::of_opened(opened, settings).await)
    }
}
