//! A line for programs: one JSON object with `timestamp`, `level`, the fields of the event (`message` is one) and `target`.
//!
//! The formatter of `tracing-subscriber` shows the head of an error and leaves out its causes.

use std::{
    error::Error,
    fmt::{self, Debug},
};

use serde::ser::{SerializeMap, Serializer as _};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::{chain, escape};

/// Writes an event as a line of JSON.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = serialized(event).map_err(|_| fmt::Error)?;
        // JSON lets DEL, the C1 controls and the marks that reorder text stand in a string.
        for character in line.chars() {
            if escape::is_hostile(character) {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            } else {
                writer.write_char(character)?;
            }
        }
        writeln!(writer)
    }
}

fn serialized(event: &Event<'_>) -> serde_json::Result<String> {
    let mut timestamp = String::new();
    // Without a time the line is still worth having.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &timestamp)?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    let mut visitor = JsonVisitor { map, written: Ok(()) };
    event.record(&mut visitor);
    let JsonVisitor { mut map, written } = visitor;
    written?;
    map.serialize_entry("target", event.metadata().target())?;
    map.end()?;
    Ok(String::from_utf8(line).expect("serde_json writes UTF-8"))
}

/// Writes one entry after the other, until a write fails.
struct JsonVisitor<M: SerializeMap> {
    map: M,
    written: Result<(), M::Error>,
}

impl<M: SerializeMap> JsonVisitor<M> {
    fn entry(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        if self.written.is_ok() {
            self.written = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for JsonVisitor<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.entry(field, &chain(error).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.entry(field, &format!("{value:?}"));
    }
}
