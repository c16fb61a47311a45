//! Standard output as a terminal that shows a few lines at the bottom, which are drawn anew in place, and above them what is
//! printed, line by line.
//!
//! Invariant: whoever prints waits for this thread no longer than for plain output; where the terminal stands still, views are
//! left out and lines are dropped. A terminal that has gone, or whose width changes, ends nothing.
//! Elsewhere: what the view says (`super::view`); plain output (`phalanx_fleet::write_lines`).

use std::{
    io::{self, IsTerminal as _},
    thread,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use phalanx_fleet::{Colours, OutputLine};
use tokio::sync::{mpsc, oneshot, watch};

use super::view::{self, View};
use crate::terminal;

/// A view changes once a second, and lines bring their own redraw: more would be seen by nobody.
const REDRAWS_PER_SECOND: u8 = 20;
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
    // A runtime of its own, since a terminal may hold this thread up for as long as it likes.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    thread::Builder::new().name("output".to_owned()).spawn(move || {
        runtime.block_on(draw(lines, views, Screen::new(), colours));
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
    mut screen: Screen,
    colours: Colours,
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
        match event {
            Event::Lines(lines) => screen.print(&lines, colours),
            Event::View => {
                let view = views.borrow_and_update().clone();
                screen.show(
                    view.as_ref().map(|view| view::lines(view, terminal::columns())).unwrap_or_default(),
                );
            }
            Event::Ended => return screen.close(),
        }
    }
}

/// The terminal. What cannot be drawn is dropped: whoever has closed it does not want to see it.
struct Screen {
    progress: MultiProgress,
    /// One for each line of the view.
    rows: Vec<ProgressBar>,
}

impl Screen {
    fn new() -> Self {
        let target = ProgressDrawTarget::stdout_with_hz(REDRAWS_PER_SECOND);
        Self { progress: MultiProgress::with_draw_target(target), rows: Vec::new() }
    }

    fn print(&self, lines: &[OutputLine], colours: Colours) {
        let texts: Vec<_> = lines.iter().map(|line| line.shown(colours)).collect();
        let _ = self.progress.println(texts.join("\n"));
    }

    fn show(&mut self, lines: Vec<String>) {
        while self.rows.len() > lines.len() {
            if let Some(row) = self.rows.pop() {
                self.progress.remove(&row);
            }
        }
        while self.rows.len() < lines.len() {
            let style = ProgressStyle::with_template("{wide_msg}").expect("the template names a known key");
            self.rows.push(self.progress.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (row, line) in self.rows.iter().zip(lines) {
            row.set_message(line);
            row.tick();
        }
    }

    fn close(mut self) {
        self.show(Vec::new());
        let _ = self.progress.clear();
    }
}
