//! Reads a stream of events as it comes.

use std::io::{BufRead, Read as _};

use crate::{control::Told, state::Event};

/// An event is some hundred bytes; a line beyond this is none.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The events of a Phalanx; blocks for the next. It ends with the Phalanx, or with the connection.
pub struct EventReader {
    lines: Box<dyn BufRead + Send>,
    is_missed: bool,
}

impl EventReader {
    pub(super) fn new(lines: Box<dyn BufRead + Send>) -> Self {
        Self { lines, is_missed: false }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(1..) if line.ends_with(b"\n") => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            // The rest of a line that was cut would be taken for another.
            Ok(_) | Err(_) => None,
        }
    }

    fn data(&self, data: &str) -> Option<Told> {
        if self.is_missed {
            let missed: serde_json::Value = serde_json::from_str(data).ok()?;
            return missed["missed"].as_u64().map(Told::Missed);
        }
        serde_json::from_str::<Event>(data).ok().map(Told::Event)
    }
}

impl Iterator for EventReader {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        loop {
            let line = self.line()?;
            if let Some(kind) = line.strip_prefix("event: ") {
                self.is_missed = kind == "missed";
            } else if let Some(told) = line.strip_prefix("data: ").and_then(|data| self.data(data)) {
                return Some(told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream: &'static str) -> Vec<Told> {
        EventReader::new(Box::new(stream.as_bytes())).collect()
    }

    #[test]
    fn events_are_read_between_comments() {
        let stream = concat!(
            ":\n\n",
            "id: 7\nevent: ready\n",
            r#"data: {"id":7,"at_unix_millis":1,"service":"api","instance":"api-1","kind":"ready","reason":"after 2s"}"#,
            "\n\nevent: missed\ndata: {\"missed\":12}\n\n",
            "event: odd\ndata: {\"of\":\"another version\"}\n\n",
        );
        let told = told(stream);
        assert!(
            matches!(&told[0], Told::Event(event) if event.id == 7 && event.reason == "after 2s"),
            "{told:?}"
        );
        assert_eq!(told[1..], [Told::Missed(12)]);
    }

    #[test]
    fn a_stream_that_breaks_off_ends() {
        assert_eq!(told("event: missed\ndata: {\"missed\":1}\ndata: {\"missed\":2"), [Told::Missed(1)]);
    }
}
