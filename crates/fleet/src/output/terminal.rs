//! Writes the lines of all replicas, on a thread that may stand still.
//!
//! Invariant: a writer that fails, such as a full disk or a closed pipe, costs the lines that it did not take, which are
//! counted, and nothing else: lines are still taken, since a replica must not stand still because nobody reads along, and
//! once it takes lines again it gets them, and is told of those that are lost.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{
    OutputLine,
    clean::{Colours, clean},
};

/// What is written at once, so that a flood costs few system calls.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Counts lines that the terminal, or what stands in its place, did not take.
#[derive(Clone, Debug, Default)]
pub struct LostLines(Arc<AtomicU64>);

impl LostLines {
    /// So many since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes each line as `INSTANCE | TEXT` until every sender is gone. Blocks, so it takes a thread of its own.
///
/// The writer should not buffer, or lines that were counted as lost could be written later.
pub fn write_lines(
    mut lines: mpsc::Receiver<OutputLine>,
    mut writer: impl Write,
    colours: Colours,
    lost: &LostLines,
) {
    let mut batch = Vec::new();
    let mut untold = Untold::default();
    while let Some(line) = lines.blocking_recv() {
        append(&mut batch, &line, colours);
        if batch.len() < BATCH_BYTES_MAX && !lines.is_empty() {
            continue;
        }
        untold.prepend(&mut batch);
        let written = write_all(&mut writer, &batch);
        untold.note(&batch, &written, lost);
        batch.clear();
    }
}

fn append(batch: &mut Vec<u8>, line: &OutputLine, colours: Colours) {
    if let Some(instance) = &line.instance {
        batch.extend_from_slice(format!("{instance} | {}\n", clean(&line.text, colours)).as_bytes());
    } else {
        batch.extend_from_slice(line.text.as_bytes());
        batch.push(b'\n');
    }
}

/// How far a write got.
struct Written {
    bytes: usize,
    end: io::Result<()>,
}

fn write_all(writer: &mut impl Write, batch: &[u8]) -> Written {
    let mut bytes = 0;
    while bytes < batch.len() {
        match writer.write(&batch[bytes..]) {
            Ok(0) => return Written { bytes, end: Err(io::ErrorKind::WriteZero.into()) },
            Ok(written) => bytes += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Written { bytes, end: Err(error) },
        }
    }
    Written { bytes, end: writer.flush() }
}

/// What the writer did not take, and has not been told of.
#[derive(Default)]
struct Untold {
    lines: u64,
    cause: Option<io::Error>,
    /// The last line that was written has no end.
    is_within_a_line: bool,
    /// Lines at the beginning of the batch that are not those of a replica.
    notice_lines: u64,
}

impl Untold {
    /// Tells of it in front of what is written next.
    fn prepend(&mut self, batch: &mut Vec<u8>) {
        self.notice_lines = 0;
        let Some(cause) = &self.cause else { return };
        let end_of_line = if self.is_within_a_line { "\n" } else { "" };
        let notice = format!("{end_of_line}({} lines were dropped: {cause})\n", self.lines);
        self.notice_lines = lines_of(notice.as_bytes());
        batch.splice(0..0, notice.into_bytes());
    }

    fn note(&mut self, batch: &[u8], written: &Written, lost: &LostLines) {
        let lines_written = lines_of(&batch[..written.bytes]);
        if lines_written >= self.notice_lines {
            (self.lines, self.cause) = (0, None);
        }
        if let Some(last) = batch[..written.bytes].last() {
            self.is_within_a_line = *last != b'\n';
        }
        if let Err(error) = &written.end {
            let lines = lines_of(batch) - lines_written.max(self.notice_lines);
            lost.0.fetch_add(lines, Ordering::Relaxed);
            self.lines += lines;
            self.cause = Some(io::Error::new(error.kind(), error.to_string()));
        }
    }
}

fn lines_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        fs::File,
        io::{Read, pipe},
        thread,
    };

    use super::*;
    use crate::output::output_queue;

    /// Takes as many bytes of each write as it is told, and then fails until it is told otherwise.
    struct Moody {
        moods: VecDeque<Option<usize>>,
        taken: Vec<u8>,
    }

    impl Write for &mut Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.moods.pop_front().unwrap_or(Some(usize::MAX)) {
                Some(room) => {
                    let bytes = &bytes[..bytes.len().min(room)];
                    self.taken.extend_from_slice(bytes);
                    Ok(bytes.len())
                }
                None => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of these lines, each on its own, and how many are lost.
    fn written(moods: &[Option<usize>], texts: &[&str]) -> (String, u64) {
        let mut moody = Moody { moods: moods.iter().copied().collect(), taken: Vec::new() };
        let lost = LostLines::default();
        let mut untold = Untold::default();
        for text in texts {
            let mut batch = Vec::new();
            append(&mut batch, &line(text), Colours::Strip);
            untold.prepend(&mut batch);
            let written = write_all(&mut &mut moody, &batch);
            untold.note(&batch, &written, &lost);
        }
        (String::from_utf8(moody.taken).unwrap(), lost.count())
    }

    fn line(text: &str) -> OutputLine {
        OutputLine { instance: Some("api-1".into()), text: text.to_owned() }
    }

    #[test]
    fn each_line_is_written_with_its_instance() {
        let (sender, receiver) = output_queue();
        for text in ["ready", "\u{1b}[31mred"] {
            sender.try_send(line(text)).unwrap();
        }
        sender.try_send(OutputLine::verbatim("phalanx".to_owned())).unwrap();
        drop(sender);
        let mut written = Vec::new();
        write_lines(receiver, &mut written, Colours::Strip, &LostLines::default());
        assert_eq!(String::from_utf8(written).unwrap(), "api-1 | ready\napi-1 | red\nphalanx\n");
    }

    #[test]
    fn lines_that_are_lost_are_counted_and_told_of() {
        let all = Some(usize::MAX);
        for (moods, expected, lost) in [
            (&[][..], "api-1 | a\napi-1 | b\napi-1 | c\n", 0),
            (&[None, all], "(1 lines were dropped: no storage space)\napi-1 | b\napi-1 | c\n", 1),
            (&[all, None, None], "api-1 | a\n", 2),
            (&[None, None, all], "(2 lines were dropped: no storage space)\napi-1 | c\n", 2),
            // Torn lines: the next begins on a line of its own.
            (
                &[Some(5), None, all],
                "api-1\n(1 lines were dropped: no storage space)\napi-1 | b\napi-1 | c\n",
                1,
            ),
            (&[Some(5), Some(5)], "api-1 | a\napi-1 | b\napi-1 | c\n", 0),
            // The notice was written, and its line was not.
            (
                &[None, Some(41), None, all],
                "(1 lines were dropped: no storage space)\n(1 lines were dropped: no storage space)\napi-1 | c\n",
                2,
            ),
        ] {
            let (found, count) = written(moods, &["a", "b", "c"]);
            assert_eq!((found.as_str(), count), (expected, lost), "{moods:?}");
        }
    }

    #[test]
    fn a_full_disk_and_a_closed_pipe_stop_nobody() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (reader, closed) = pipe().unwrap();
        drop(reader);
        for writer in [Box::new(full) as Box<dyn Write + Send>, Box::new(closed)] {
            let (sender, receiver) = output_queue();
            let lost = LostLines::default();
            let counted = lost.clone();
            let thread = thread::spawn(move || write_lines(receiver, writer, Colours::Strip, &lost));
            for _ in 0..2000 {
                sender.blocking_send(line("more")).unwrap();
            }
            drop(sender);
            thread.join().unwrap();
            assert_eq!(counted.count(), 2000);
        }
    }

    #[test]
    fn a_disk_that_has_room_again_gets_lines_again() {
        let (mut reader, writer) = pipe().unwrap();
        let (sender, receiver) = output_queue();
        let lost = LostLines::default();
        let counted = lost.clone();
        let disk = Disk {
            full: File::options().write(true).open("/dev/full").unwrap(),
            free: writer,
            lost: lost.clone(),
        };
        let thread = thread::spawn(move || write_lines(receiver, disk, Colours::Strip, &lost));
        let mut sent = 0;
        while counted.count() == 0 || sent % 10 != 0 {
            sender.blocking_send(line(&sent.to_string())).unwrap();
            sent += 1;
        }
        sender.blocking_send(line("last")).unwrap();
        drop(sender);
        thread.join().unwrap();
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        let told = written.lines().next().unwrap();
        assert_eq!(
            told,
            format!("({} lines were dropped: No space left on device (os error 28))", counted.count())
        );
        assert_eq!(written.lines().count() as u64, 1 + sent + 1 - counted.count());
        assert_eq!(written.lines().last(), Some("api-1 | last"));
    }

    /// Full until a line was lost to it.
    struct Disk {
        full: File,
        free: io::PipeWriter,
        lost: LostLines,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.lost.count() == 0 { self.full.write(bytes) } else { self.free.write(bytes) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
