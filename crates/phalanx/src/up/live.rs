//! Standard output as a terminal that shows a few lines at the bottom, which are drawn anew in place, and above them what is
//! printed, line by line.
//!
//! Invariant: whoever prints waits for this thread no longer than for plain output; where the terminal stands still, views are
//! left out and lines are dropped. A terminal that has gone, or whose width changes, ends nothing.
//! Elsewhere: what the view says (`super::view`); plain output (`phalanx_fleet::write_lines`).

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, IsTerminal as _, Write},
    os::fd::AsFd as _,
    thread,
};

use phalanx_fleet::{Colours, OutputLine};
use tokio::sync::{mpsc, oneshot, watch};
use unicode_width::UnicodeWidthStr as _;

use super::view::{self, View};

/// Lines that are drawn in one go where many wait.
const LINES_AT_ONCE_MAX: usize = 256;

/// Whether standard output can show a view that is drawn in place.
pub(super) fn is_possible() -> bool {
    let term = std::env::var_os("TERM");
    io::stdout().is_terminal() && term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Starts the thread that draws; what it returns comes when everything has been written.
pub(super) fn start(
    lines: mpsc::Receiver<OutputLine>,
    views: watch::Receiver<Option<View>>,
    colours: Colours,
) -> io::Result<oneshot::Receiver<()>> {
    let (drawn, all_drawn) = oneshot::channel();
    // Without the buffer of the standard library, which would keep what a terminal that has gone did not take.
    let screen = Screen::new(File::from(io::stdout().as_fd().try_clone_to_owned()?), colours);
    // A runtime of its own, since a terminal may hold this thread up for as long as it likes.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    thread::Builder::new().name("output".to_owned()).spawn(move || {
        runtime.block_on(draw(lines, views, screen));
        let _ = drawn.send(());
    })?;
    Ok(all_drawn)
}

enum Event {
    Lines(Vec<OutputLine>),
    View,
    Ended,
}

async fn draw(
    mut lines: mpsc::Receiver<OutputLine>,
    mut views: watch::Receiver<Option<View>>,
    mut screen: Screen<File>,
) {
    let mut has_views = true;
    loop {
        let mut waiting = Vec::new();
        let event = tokio::select! {
            count = lines.recv_many(&mut waiting, LINES_AT_ONCE_MAX) => match count {
                0 => Event::Ended,
                _ => Event::Lines(waiting),
            },
            changed = views.changed(), if has_views => {
                has_views = changed.is_ok();
                Event::View
            }
        };
        let size = size();
        // Laid out each time: the terminal may have another width since the view came.
        let shown = || views.borrow().as_ref().map(|view| view::lines(view, size.columns, size.rows));
        match event {
            Event::Lines(lines) => screen.draw(&lines, shown().unwrap_or_default(), size),
            Event::View => screen.draw(&[], shown().unwrap_or_default(), size),
            Event::Ended => return screen.draw(&[], Vec::new(), size),
        }
    }
}

/// Columns and rows that can be written to without anything moving by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

/// Of the terminal, which may change at any time. In its last column a cursor waits to wrap, so that is left free.
fn size() -> Size {
    let (columns, rows) =
        terminal_size::terminal_size().map_or((80, 24), |(width, height)| (width.0, height.0));
    Size { columns: usize::from(columns).saturating_sub(1).max(1), rows: usize::from(rows).saturating_sub(1) }
}

/// The terminal. What cannot be drawn is dropped: whoever has closed it does not want to see it.
struct Screen<W> {
    writer: W,
    colours: Colours,
    /// The lines at the bottom; the cursor stands behind the last.
    shown: Vec<String>,
}

impl<W: Write> Screen<W> {
    fn new(writer: W, colours: Colours) -> Self {
        Self { writer, colours, shown: Vec::new() }
    }

    /// Writes lines above those at the bottom, and puts others there.
    fn draw(&mut self, lines: &[OutputLine], shown: Vec<String>, size: Size) {
        let mut frame = self.erasure(size);
        for line in lines {
            frame.push_str(&line.shown(self.colours));
            frame.push('\n');
        }
        frame.push_str(&shown.join("\n"));
        self.shown = shown;
        let _ = self.writer.write_all(frame.as_bytes());
    }

    /// What takes the lines at the bottom away. A terminal that has become narrower has broken them, as far as it does that.
    fn erasure(&self, size: Size) -> String {
        if self.shown.is_empty() {
            return String::new();
        }
        let rows: usize = self.shown.iter().map(|line| line.width().div_ceil(size.columns + 1).max(1)).sum();
        let mut erasure = "\r".to_owned();
        if rows > 1 {
            write!(erasure, "\u{1b}[{}A", rows - 1).expect("writing to a string cannot fail");
        }
        erasure.push_str("\u{1b}[J");
        erasure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Size = Size { columns: 79, rows: 23 };

    fn view(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    fn drawn(screen: &mut Screen<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut screen.writer)).unwrap()
    }

    fn line(text: &str) -> [OutputLine; 1] {
        [OutputLine { instance: Some("api-1".into()), text: text.to_owned() }]
    }

    #[test]
    fn lines_are_printed_above_what_stays() {
        let mut screen = Screen::new(Vec::new(), Colours::Strip);
        screen.draw(&[], view(&["api", "gateway"]), WIDE);
        assert_eq!(drawn(&mut screen), "api\ngateway");
        screen.draw(&line("hello"), view(&["api", "gateway"]), WIDE);
        assert_eq!(drawn(&mut screen), "\r\u{1b}[1A\u{1b}[Japi-1 | hello\napi\ngateway");
        screen.draw(&[], Vec::new(), WIDE);
        assert_eq!(drawn(&mut screen), "\r\u{1b}[1A\u{1b}[J");
        screen.draw(&line("the end"), Vec::new(), WIDE);
        assert_eq!(drawn(&mut screen), "api-1 | the end\n");
    }

    #[test]
    fn what_a_narrower_terminal_has_broken_is_taken_away_whole() {
        let mut screen = Screen::new(Vec::new(), Colours::Strip);
        screen.draw(&[], view(&["0123456789012345678", "gateway"]), WIDE);
        drawn(&mut screen);
        screen.draw(&[], view(&["narrow"]), Size { columns: 9, rows: 23 });
        assert_eq!(drawn(&mut screen), "\r\u{1b}[2A\u{1b}[Jnarrow");
    }

    #[test]
    fn a_terminal_that_has_gone_ends_nothing() {
        Screen::new(Gone, Colours::Strip).draw(&line("more"), view(&["api"]), WIDE);
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
