//! Reads a file that somebody wrote or a program recorded, as text and not without end.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, ensure};

/// Bytes of a file; a day of load by the second, or some thousand replicas, are far below.
const FILE_BYTES_MAX: u64 = 64 << 20;

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= FILE_BYTES_MAX, "{} has more than {FILE_BYTES_MAX} bytes", path.display());
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))?;
    // The mark that some editors put before a text is not part of it.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
