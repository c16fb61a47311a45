//! The directory that holds the embedded storage: whoever has a [`DataDirectory`] may write there.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Only the owner enters: the directory holds password hashes and the signing secret.
const DIRECTORY_MODE: u32 = 0o700;

/// A directory that exists and was writable when this value was made.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
}

/// Why a directory cannot hold the storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Something else stands at the path.
    #[error("`{}` is not a directory: move that file away or choose another directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It does not exist and cannot be made.
    #[error(
        "cannot create the directory `{}`: create it and let this user write there, or choose another directory",
        path.display()
    )]
    Create {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It exists, and no file can be created in it.
    #[error(
        "cannot write in the directory `{}`: let this user write there and free some space, or choose another directory",
        path.display()
    )]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataDirectory {
    /// Creates the directory where it is missing and proves that files can be created in it.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        if let Err(source) = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&path) {
            return Err(if path.exists() {
                DirectoryError::NotADirectory { path }
            } else {
                DirectoryError::Create { path, source }
            });
        }
        // Tried rather than read from the mode bits, which say nothing of read-only mounts and full disks. SQLite would
        // notice too, but only says "unable to open database file".
        if let Err(source) = tempfile::tempfile_in(&path) {
            return Err(DirectoryError::Unwritable { path, source });
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parents_are_created_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        DataDirectory::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, DIRECTORY_MODE);
        DataDirectory::create(&path).expect("an existing directory is taken as it is");
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDirectory::create(file.path()).unwrap_err();
        assert!(matches!(error, DirectoryError::NotADirectory { .. }), "{error:?}");
        assert!(error.to_string().contains(&*file.path().to_string_lossy()), "{error}");
    }

    #[test]
    fn a_place_where_nobody_may_create_is_named() {
        let below_a_file = tempfile::NamedTempFile::new().unwrap();
        for path in [PathBuf::from("/proc/phalanx"), below_a_file.path().join("data")] {
            let error = DataDirectory::create(&path).unwrap_err();
            assert!(matches!(error, DirectoryError::Create { .. }), "{error:?}");
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        }
        let error = DataDirectory::create("/proc").unwrap_err();
        assert!(matches!(error, DirectoryError::Unwritable { .. }), "{error:?}");
    }
}
