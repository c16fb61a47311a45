//! The group of one run: its limits, whoever is in it, and its end.

use std::{
    fs, io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use phalanx_config::Resources;
use tokio::time::sleep;

pub(super) const KILL: &str = "cgroup.kill";
/// How long killed processes may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// The kernel does not say when a group can be removed; the processes in it are being killed, which takes microseconds.
const END_LOOK_PERIOD: Duration = Duration::from_millis(5);
/// In which a share of CPU time is used up; the kernel's own.
const PERIOD_MICROS: u64 = 100_000;
/// Where the share of the usual period would be below the kernel's least, 1 ms.
const LONG_PERIOD_MICROS: u64 = 1_000_000;
const QUOTA_MICROS_MIN: u64 = 1_000;
/// The kernel's own for a group that has no other; here that of one core.
const WEIGHT_PER_CORE: u32 = 100;

/// The group of one run. Dropped instead of ended, it is killed, and its folder may stay until Phalanx starts again.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    memory_max: Option<u64>,
    is_ended: bool,
}

impl Group {
    pub(super) fn create(folder: &Path, resources: &Resources) -> io::Result<Self> {
        // Left where the last run took too long to end.
        let _ = fs::remove_dir(folder);
        fs::create_dir(folder)?;
        let memory_max = resources.limits.memory_bytes.map(Into::into);
        // From here on, an error removes it.
        let group = Self { folder: folder.to_owned(), memory_max, is_ended: false };
        if let Some(milli) = resources.limits.cpu_milli {
            group.write("cpu.max", &cpu_max(milli))?;
        }
        if let Some(milli) = resources.requests.cpu_milli {
            group.write("cpu.weight", &cpu_weight(milli).to_string())?;
        }
        if let Some(bytes) = memory_max {
            group.write("memory.max", &bytes.to_string())?;
            // A replica of which one process is gone is broken, and nobody would know.
            group.write("memory.oom.group", "1")?;
        }
        Ok(group)
    }

    /// Puts a process in.
    ///
    /// It runs already, outside of the group for some microseconds: what it allocates in that time is not counted, and a
    /// process that it starts then stays outside. A child could enter by itself before it becomes the program, but only in
    /// code between `fork` and `exec`, where little is sound.
    pub(crate) fn enter(&self, pid: u32) -> io::Result<()> {
        self.write(super::PROCESSES, &pid.to_string())
    }

    /// Kills whoever is left and removes the group. Returns the limit if the kernel has killed for memory beyond it.
    pub(crate) async fn end(mut self) -> Option<u64> {
        let exceeded = self.memory_max.filter(|_| self.has_killed_for_memory());
        let looks = END_TIMEOUT.as_millis() / END_LOOK_PERIOD.as_millis();
        for _ in 0..looks {
            if self.try_end() {
                break;
            }
            sleep(END_LOOK_PERIOD).await;
        }
        exceeded
    }

    fn has_killed_for_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        kills.is_some_and(|kills: u64| kills > 0)
    }

    fn try_end(&mut self) -> bool {
        // Again each time: one that was just starting another may have been missed. A kernel before 5.14 has no such file.
        let _ = self.write(KILL, "1");
        self.is_ended = match fs::remove_dir(&self.folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.is_ended
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(file), text)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_ended {
            self.try_end();
        }
    }
}

/// `cpu.max`: so many microseconds in a period.
pub(super) fn cpu_max(milli: NonZeroU32) -> String {
    let quota = |period: u64| u64::from(milli.get()) * period / 1000;
    let period = if quota(PERIOD_MICROS) >= QUOTA_MICROS_MIN { PERIOD_MICROS } else { LONG_PERIOD_MICROS };
    format!("{} {period}", quota(period))
}

/// `cpu.weight`: its part of the CPU time where there is too little of it.
pub(super) fn cpu_weight(milli: NonZeroU32) -> u32 {
    (milli.get().saturating_mul(WEIGHT_PER_CORE) / 1000).clamp(1, 10_000)
}
