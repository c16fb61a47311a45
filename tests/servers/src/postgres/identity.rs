//! Gives a copied database a system identifier of its own. To PostgreSQL, and to whoever asks it, two servers with one
//! identifier are copies of one another, and a template is copied many times.

use std::fs;

use crc::{CRC_32_ISCSI, Crc};

use super::{programs, template};
use crate::{account::Account, home::Home};

/// PostgreSQL's checksum of the control file (CRC-32C), which stands behind all that it covers.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const IDENTIFIER_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
/// The file is padded to a page; what is in it has never been half as long.
const CONTENT_BYTES_MAX: usize = 512;

/// Makes the database that was copied into the home one that no other server has a copy of.
pub(super) fn make_own(home: &Home, account: Account) {
    let path = home.data().join("global/pg_control");
    let mut control = fs::read(&path).expect("an initialised database has a control file");
    let end = checksum_at(&control).expect("a control file of PostgreSQL ends with its checksum");
    control[..IDENTIFIER_BYTES].copy_from_slice(&fastrand::u64(1..i64::MAX.cast_unsigned()).to_le_bytes());
    let checksum = CHECKSUM.checksum(&control[..end]);
    control[end..end + CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, control).expect("a file of the own directory");
    // The log has the identifier in its segments, and is begun anew.
    let mut reset = account.command(&programs::directory().join("pg_resetwal"));
    template::run(reset.arg("--pgdata").arg(home.data()), home);
}

/// Where the checksum stands: its place moves with the version, its value tells it.
fn checksum_at(control: &[u8]) -> Option<usize> {
    (IDENTIFIER_BYTES..CONTENT_BYTES_MAX).step_by(CHECKSUM_BYTES).find(|&at| {
        let stored = control.get(at..at + CHECKSUM_BYTES).and_then(|bytes| bytes.try_into().ok());
        stored.map(u32::from_le_bytes) == Some(CHECKSUM.checksum(&control[..at]))
    })
}
