//! A program in a terminal.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{eventually, transcript::Transcript};

/// A program whose three streams are a terminal.
pub(crate) struct Terminal {
    /// What it was sent.
    pub(crate) shown: Transcript,
    child: Child,
    /// The side of whoever sits before it.
    people_side: File,
}

impl Terminal {
    /// Runs a command in a terminal of this width.
    pub(crate) fn run(command: Command, columns: u16) -> Self {
        let (child, people_side) = Self::unread(command, columns);
        let shown = Transcript::of(people_side.try_clone().unwrap());
        Self { shown, child, people_side }
    }

    /// The same, with nobody before it but whoever reads what is returned.
    pub(crate) fn unread(mut command: Command, columns: u16) -> (Child, File) {
        let people_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&people_side).unwrap();
        unlockpt(&people_side).unwrap();
        resize(&people_side, columns);
        let name = ptsname(&people_side, Vec::new()).unwrap();
        let program_side: OwnedFd =
            rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let stream = || Stdio::from(program_side.try_clone().unwrap());
        let child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        (child, File::from(people_side))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives it another width.
    pub(crate) fn resize(&self, columns: u16) {
        resize(&self.people_side, columns);
    }

    /// Waits for the end of the program.
    pub(crate) fn ended(mut self) -> ExitStatus {
        eventually("the end", || self.child.try_wait().unwrap())
    }
}

fn resize(terminal: impl AsFd, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}
