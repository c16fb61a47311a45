//! A resharding of one bucket between databases that keep only what databases keep, run by a program that may crash anywhere:
//! between deciding and storing, between storing and acting, in the middle of an action.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One shard's part in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    has_schema: bool,
    owns: bool,
    takes_writes: bool,
    rows: BTreeSet<u32>,
    /// Changes since the stream to the other side began that have not arrived there; none without a stream.
    stream: Option<Vec<u32>>,
}

/// What survives a crash, and the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
struct World {
    stage: Stage,
    direction: Direction,
    source: Side,
    target: Side,
    is_copied: bool,
    reads_target: bool,
    is_cleaned: bool,
    paused: Duration,
    acknowledged: BTreeSet<u32>,
}

impl World {
    fn new() -> Self {
        let source =
            Side { has_schema: true, owns: true, takes_writes: true, rows: [1, 2].into(), stream: None };
        Self {
            stage: Provision,
            direction: Onward,
            source,
            target: Side::default(),
            is_copied: false,
            reads_target: false,
            is_cleaned: false,
            paused: Duration::ZERO,
            acknowledged: [1, 2].into(),
        }
    }

    fn is_achieved(&self) -> bool {
        let (source, target) = (&self.source, &self.target);
        let is_empty = |side: &Side| side.stream.as_ref().is_some_and(Vec::is_empty);
        match self.stage {
            Provision => target.has_schema,
            Stream => source.stream.is_some(),
            Copy => self.is_copied,
            CatchUp | Drain => is_empty(source),
            Verify => source.rows == target.rows,
            SwitchReads => self.reads_target,
            Pause => !source.takes_writes,
            BumpEpoch => !source.owns && target.owns,
            ReverseStream => target.stream.is_some() && source.stream.is_none(),
            Open => target.takes_writes,
            CleanUp => self.is_cleaned && target.stream.is_none(),
            PauseBack => !target.takes_writes,
            DrainBack => is_empty(target),
            ReturnEpoch => !target.owns && source.owns,
            Resume => source.takes_writes,
            ReturnReads => !self.reads_target,
            TearDown => !target.has_schema && source.stream.is_none() && target.stream.is_none(),
            Soak | Done | Aborted => true,
        }
    }

    /// The first part of the stage's work that is left: an action is cut off by not being asked for the rest.
    fn work(&mut self) {
        let Self { source, target, .. } = self;
        match self.stage {
            Provision => target.has_schema = true,
            Stream => source.stream = Some(source.stream.take().unwrap_or_default()),
            Copy => {
                target.rows.extend(&source.rows);
                self.is_copied = true;
            }
            CatchUp | Drain | Verify => deliver(source, target),
            SwitchReads => self.reads_target = true,
            Pause => source.takes_writes = false,
            // Given up on one side before it is taken on the other.
            BumpEpoch if source.owns => source.owns = false,
            BumpEpoch => target.owns = true,
            ReverseStream | TearDown if source.stream.is_some() => source.stream = None,
            ReverseStream => target.stream = Some(target.stream.take().unwrap_or_default()),
            Open => target.takes_writes = true,
            CleanUp if target.stream.is_some() => target.stream = None,
            CleanUp => {
                self.is_cleaned = true;
                source.rows.clear();
            }
            PauseBack => target.takes_writes = false,
            DrainBack => deliver(target, source),
            ReturnEpoch if target.owns => target.owns = false,
            ReturnEpoch => source.owns = true,
            Resume => source.takes_writes = true,
            ReturnReads => self.reads_target = false,
            TearDown => *target = Side::default(),
            Soak | Done | Aborted => {}
        }
    }

    fn write(&mut self, row: u32) {
        let sides = [&mut self.source, &mut self.target];
        let mut takers: Vec<_> = sides.into_iter().filter(|side| side.owns && side.takes_writes).collect();
        assert!(takers.len() <= 1, "two shards take writes of one bucket");
        if let Some(side) = takers.pop() {
            side.rows.insert(row);
            if let Some(stream) = &mut side.stream {
                stream.push(row);
            }
            self.acknowledged.insert(row);
        }
    }

    /// One turn of the program that moves buckets, until it is cut off.
    fn turn(&mut self, cut: Cut, progress: Option<Progress>) {
        let seen = if self.is_achieved() { Achieved } else { Underway };
        // A stream that is lost is seen at any time; only that a stage is achieved is not made up.
        let progress = progress.unwrap_or(seen);
        let is_paused =
            !(self.source.owns && self.source.takes_writes || self.target.owns && self.target.takes_writes);
        self.paused = if is_paused { self.paused + Duration::from_secs(1) } else { Duration::ZERO };
        let (step, _) =
            next(self.stage, &Observed { progress, direction: self.direction, paused: self.paused });
        if cut == Cut::BeforeStep {
            return;
        }
        match step {
            Enter(stage) => self.stage = stage,
            EnterOnward(stage) => (self.stage, self.direction) = (stage, Onward),
            Work => self.work(),
            Hold | Finish => {}
        }
    }

    /// Every write that was acknowledged is where writes go, or on its way there before they do.
    fn check(&self) {
        for side in [&self.source, &self.target] {
            if side.owns && side.takes_writes {
                assert_eq!(side.rows, self.acknowledged, "a write is lost in {}", self.stage);
            }
        }
        assert!(!(self.source.owns && self.target.owns), "two owners in {}", self.stage);
    }

    fn finish(&mut self) {
        for _ in 0..500 {
            self.turn(Cut::Never, None);
            self.check();
        }
        assert!(matches!(self.stage, Done | Aborted), "{self:?}");
        let (owner, other) = match self.stage {
            Done => (&self.target, &self.source),
            _ => (&self.source, &self.target),
        };
        assert!(owner.owns && owner.takes_writes && owner.stream.is_none(), "{self:?}");
        assert!(!other.owns && other.rows.is_empty() && other.stream.is_none(), "{self:?}");
        assert_eq!(self.reads_target, self.stage == Done, "{self:?}");
    }
}

fn deliver(from: &mut Side, to: &mut Side) {
    if let Some(stream) = from.stream.as_mut().filter(|stream| !stream.is_empty()) {
        to.rows.insert(stream.remove(0));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    BeforeStep,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Turn(Cut),
    Write,
    /// For so many turns the stage makes no headway that can be seen.
    Stall(u8),
    Break,
    Ask(Direction),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => Just(Event::Turn(Cut::Never)),
        4 => Just(Event::Turn(Cut::BeforeStep)),
        8 => Just(Event::Write),
        1 => (1_u8..40).prop_map(Event::Stall),
        1 => Just(Event::Break),
        1 => Just(Event::Ask(Back)),
        1 => Just(Event::Ask(Onward)),
    ]
}

proptest! {
    #[test]
    fn a_crash_anywhere_changes_nothing_about_the_end(cuts in prop::collection::vec(any::<bool>(), 0..80)) {
        let mut undisturbed = World::new();
        undisturbed.finish();
        let mut crashing = World::new();
        for is_cut in cuts {
            let paused = crashing.paused;
            crashing.turn(if is_cut { Cut::BeforeStep } else { Cut::Never }, None);
            // A crash takes no time here. Those that keep writes paused for too long do change the end: `Stall` is for them.
            if is_cut {
                crashing.paused = paused;
            }
        }
        crashing.finish();
        prop_assert_eq!(crashing.stage, Done);
        crashing.paused = undisturbed.paused;
        prop_assert_eq!(crashing, undisturbed);
    }

    #[test]
    fn no_write_is_lost_and_none_taken_twice(events in prop::collection::vec(event(), 0..250)) {
        let mut world = World::new();
        for (row, event) in (3..).zip(events) {
            match event {
                Event::Turn(cut) => world.turn(cut, None),
                Event::Write => world.write(row),
                Event::Stall(turns) => (0..turns).for_each(|_| world.turn(Cut::Never, Some(Underway))),
                Event::Break => world.turn(Cut::Never, Some(Broken)),
                Event::Ask(direction) => world.direction = direction,
            }
            world.check();
        }
        world.finish();
    }
}
