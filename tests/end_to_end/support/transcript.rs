//! What a process has written so far.

use std::{
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use super::DEADLINE;

/// One stream of a process, read by a thread until it ends.
#[derive(Clone, Default)]
pub(crate) struct Transcript {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    text: String,
    has_ended: bool,
}

impl Transcript {
    pub(crate) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let writer = transcript.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let read = stream.read(&mut bytes);
                let ended = match read {
                    Ok(count) => count == 0,
                    Err(ref error) => error.kind() != io::ErrorKind::Interrupted,
                };
                writer.append(&bytes[..read.unwrap_or(0)], ended);
                if ended {
                    break;
                }
            }
        });
        transcript
    }

    pub(crate) fn text(&self) -> String {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Waits until it contains `text`, and returns all of it.
    pub(crate) fn tells(&self, text: &str) -> String {
        self.wait_until(text, |written| written.text.contains(text))
    }

    /// Waits for its first line.
    pub(crate) fn first_line(&self) -> String {
        let text = self.wait_until("a line", |written| written.text.contains('\n'));
        text.lines().next().unwrap().to_owned()
    }

    /// Waits for the end of the stream, and returns all of it.
    pub(crate) fn whole(&self) -> String {
        self.wait_until("the end", |written| written.has_ended)
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Written) -> bool) -> String {
        let (written, changed) = &*self.shared;
        let guard = written.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |written: &mut Written| !holds(written) && !written.has_ended;
        let (guard, _) =
            changed.wait_timeout_while(guard, DEADLINE, waits).unwrap_or_else(PoisonError::into_inner);
        assert!(holds(&guard), "no {what:?} in\n{}", guard.text);
        guard.text.clone()
    }

    fn append(&self, bytes: &[u8], has_ended: bool) {
        let (written, changed) = &*self.shared;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        written.text.push_str(&String::from_utf8_lossy(bytes));
        written.has_ended = has_ended;
        changed.notify_all();
    }
}
