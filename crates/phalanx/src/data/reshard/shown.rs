//! What a person sees of a resharding: a bar on a terminal, else a line for each stage.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use phalanx_data::reshard::{Report, TableProgress};
use phalanx_shard::reshard::{Direction, Stage};

use crate::terminal;

/// The stages onwards, which are all that a bar can count.
const STAGES: u64 = 14;
const STEADY_TICK: Duration = Duration::from_millis(250);

pub(super) struct Shown {
    bar: Option<ProgressBar>,
    /// What the last line was about.
    told: Option<(Stage, Direction, Option<String>)>,
}

impl Shown {
    /// Says what moves, and begins.
    pub(super) fn of(report: &Report) -> Self {
        for step in &report.moves {
            let (count, source, target) = (step.buckets.len(), step.source, step.target);
            terminal::progress(&format!("{count} buckets move from shard {source} to shard {target}"));
        }
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:28} {prefix} {wide_msg}")
                .expect("the template names known keys");
            let bar = ProgressBar::new(STAGES).with_style(style);
            bar.enable_steady_tick(STEADY_TICK);
            bar
        });
        Self { bar, told: None }
    }

    pub(super) fn report(&mut self, report: &Report) {
        if let Some(bar) = &self.bar {
            bar.set_position(position(report.stage));
            bar.set_prefix(report.stage.name());
            bar.set_message(detail(report));
        }
        let about = (report.stage, report.direction, report.fault.as_ref().map(ToString::to_string));
        if self.told.as_ref() == Some(&about) {
            return;
        }
        let line = match &about {
            (stage, Direction::Onward, None) => stage.to_string(),
            (stage, Direction::Onward, Some(fault)) => format!("{stage}: {fault}"),
            (stage, Direction::Back, None) => format!("{stage}, on the way back"),
            (stage, Direction::Back, Some(fault)) => format!("{stage}, on the way back: {fault}"),
        };
        self.told = Some(about);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => terminal::progress(&line),
        }
    }
}

/// How many stages lie behind.
fn position(stage: Stage) -> u64 {
    let onward = Stage::ALL.into_iter().take_while(|stage| *stage != Stage::PauseBack);
    let index = onward.into_iter().position(|known| known == stage);
    index.and_then(|index| u64::try_from(index + 1).ok()).unwrap_or(STAGES)
}

/// What there is to say of a stage beyond its name.
fn detail(report: &Report) -> String {
    if let Some(trouble) = &report.trouble {
        return trouble.clone();
    }
    let verified = report.verified;
    match report.stage {
        Stage::Copy => {
            let sum = |rows: fn(&TableProgress) -> u64| report.tables.iter().map(rows).sum::<u64>();
            format!("{} of about {} rows", sum(|table| table.rows_copied), sum(|table| table.rows_all))
        }
        Stage::CatchUp | Stage::Drain | Stage::DrainBack => format!("{} bytes behind", report.lag_bytes),
        Stage::Verify => {
            format!(
                "{} of {} buckets, {} rows compared",
                verified.buckets, verified.buckets_all, verified.rows
            )
        }
        Stage::Soak => {
            format!("{} s left; `phalanx data reshard --back` returns", report.soak_left.as_secs())
        }
        Stage::CleanUp | Stage::TearDown => format!("{} rows deleted", report.rows_deleted),
        _ if report.paused > Duration::ZERO => {
            format!("writes wait for {:.1} s", report.paused.as_secs_f64())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_and_on_the_way_back() {
        let positions = [Stage::Provision, Stage::Verify, Stage::Done, Stage::PauseBack, Stage::Aborted];
        assert_eq!(positions.map(position), [1, 5, STAGES, STAGES, STAGES]);
    }
}
