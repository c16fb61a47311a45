//! The signing secret that the replicas of one data directory share when `JWT_SECRET` is not set.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use phalanx_auth::{KeyRing, SECRET_BYTES_MIN, WeakSecret};
use phalanx_data::DataDirectory;

const FILE_NAME: &str = "jwt_secret";

/// Why there is no secret to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot read or create the signing secret `{}`: let this user do so, or set JWT_SECRET", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds too little.
    #[error("the signing secret `{}` is too short: delete the file, or set JWT_SECRET", path.display())]
    Weak {
        /// The file.
        path: PathBuf,
        /// How short.
        source: WeakSecret,
    },
}

/// Reads the secret, or creates it. Whichever replica is first, all get the same. Blocks.
pub(crate) fn load_or_create(directory: &DataDirectory) -> Result<KeyRing, SecretError> {
    let path = directory.path().join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(directory.path(), &path).and_then(|()| fs::read_to_string(&path))
        }
        outcome => outcome,
    };
    let text = text.map_err(|source| SecretError::File { path: path.clone(), source })?;
    // The hexadecimal text itself is the secret: put into JWT_SECRET elsewhere, it verifies the same tokens.
    KeyRing::from_secret(text.trim().as_bytes()).map_err(|source| SecretError::Weak { path, source })
}

/// Makes the file appear whole: under its name there is nothing, or the complete secret of whoever came first.
fn create(directory: &Path, path: &Path) -> io::Result<()> {
    let mut bytes = [0; SECRET_BYTES_MIN];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = tempfile::NamedTempFile::new_in(directory)?; // Readable by its owner alone, from the beginning.
    writeln!(file, "{digits}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(lost) if lost.error.kind() != ErrorKind::AlreadyExists => Err(lost.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, thread};

    use super::*;

    #[test]
    fn replicas_that_start_at_once_share_one_secret() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDirectory::create(root.path()).unwrap();
        let read = || {
            load_or_create(&directory).unwrap();
            fs::read_to_string(root.path().join(FILE_NAME)).unwrap()
        };
        let secrets: Vec<String> = thread::scope(|scope| {
            let replicas: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            replicas.into_iter().map(|replica| replica.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
        assert_eq!(secrets[0].trim().len(), 2 * SECRET_BYTES_MIN);
        let left: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [FILE_NAME]);
        let mode = fs::metadata(root.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_named_and_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDirectory::create(root.path()).unwrap();
        let path = root.path().join(FILE_NAME);
        fs::write(&path, "short\n").unwrap();
        let error = load_or_create(&directory).unwrap_err();
        assert!(matches!(error, SecretError::Weak { .. }), "{error:?}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = load_or_create(&directory).unwrap_err();
        assert!(matches!(error, SecretError::File { .. }), "{error:?}");
    }
}
