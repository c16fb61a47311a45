use std::{
    sync::{Arc, Barrier},
    thread,
};

use proptest::prelude::*;

use super::*;
use crate::revocation::entry::Revocation;

fn session(session: &str, until: u64) -> Entry {
    Entry::new(&Revocation::Session { session: session.to_owned() }, until)
}

fn subject(subject: &str, epoch: u64, until: u64) -> Entry {
    Entry::new(&Revocation::Subject { subject: subject.to_owned(), epoch }, until)
}

fn marks<'a>(session: &'a str, subject: &'a str, epoch: u64) -> Marks<'a> {
    Marks { session: Some(session), subject, epoch }
}

#[test]
fn a_token_is_revoked_by_its_session_or_by_a_greater_epoch_of_its_subject() {
    let set = RevokedSet::new(9);
    assert!(set.is_empty());
    for entry in [session("s1", 100), subject("u1", 3, 100)] {
        assert_eq!(set.learn(&entry, 10), Learnt::More);
        assert_eq!(set.learn(&entry, 10), Learnt::Nothing);
    }
    for (token, now, standing) in [
        (marks("s1", "u9", 9), 99, Standing::Revoked),
        (marks("s1", "u9", 9), 100, Standing::Live),
        (marks("s9", "u1", 2), 99, Standing::Revoked),
        (marks("s9", "u1", 2), 100, Standing::Live),
        (marks("s9", "u1", 3), 99, Standing::Live),
        (marks("u1", "s1", 0), 99, Standing::Live),
        (Marks { session: None, subject: "u1", epoch: 0 }, 99, Standing::Revoked),
        (Marks { session: None, subject: "s1", epoch: 0 }, 99, Standing::Live),
        (marks("", "", 0), 99, Standing::Live),
    ] {
        assert_eq!(set.check(&token, now), standing, "{token:?} at {now}");
    }
}

#[test]
fn of_two_entries_the_greater_epoch_and_the_later_end_count() {
    let (older, newer) = (subject("u", 2, 200), subject("u", 5, 100));
    for entries in [[&older, &newer], [&newer, &older]] {
        let set = RevokedSet::new(9);
        for entry in entries {
            assert_eq!(set.learn(entry, 10), Learnt::More);
        }
        assert_eq!(set.live(10), [subject("u", 5, 200)]);
    }
}

#[test]
fn an_overfull_set_is_unsure_until_what_it_lacks_is_over() {
    let set = RevokedSet::new(1);
    assert_eq!(set.learn(&session("s1", 100), 10), Learnt::More);
    assert_eq!(set.learn(&subject("u1", 1, 120), 10), Learnt::NoRoom);
    assert_eq!(set.learn(&session("s1", 110), 10), Learnt::More, "a known target needs no room");
    assert_eq!(set.check(&marks("s1", "u", 0), 50), Standing::Revoked);
    assert_eq!(set.check(&marks("s2", "u", 0), 119), Standing::Unsure);
    assert_eq!(set.check(&marks("s2", "u", 0), 120), Standing::Live);
    set.sweep(110);
    assert_eq!((set.len(), set.is_empty()), (0, false));
    assert_eq!(set.learn(&subject("u1", 1, 120), 111), Learnt::More, "there is room again");
}

#[test]
fn threads_that_learn_and_sweep_lose_nothing() {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let set = Arc::new(RevokedSet::new(THREADS * EACH));
    let begin = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (set, begin) = (Arc::clone(&set), Arc::clone(&begin));
            thread::spawn(move || {
                begin.wait();
                for number in 0..EACH {
                    let id = format!("{thread}-{number}");
                    // Half of them are over by the time of the sweep.
                    let until = if number % 2 == 0 { 100 } else { 200 };
                    set.learn(&session(&id, until), 10);
                    // The first of them, another thread that is through may have swept already.
                    if until > 100 {
                        assert_eq!(set.check(&marks(&id, "u", 0), 10), Standing::Revoked);
                    }
                }
                set.sweep(100);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    set.sweep(100);
    assert_eq!(set.len(), THREADS * EACH / 2);
    assert_eq!(set.live(100).len(), set.len());
}

/// Few ids, epochs and times, so that entries meet.
fn entry() -> impl Strategy<Value = Entry> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c")];
    (id, any::<bool>(), 0_u64..4, 0_u64..40).prop_map(|(id, of_session, epoch, until)| {
        if of_session { session(id, until) } else { subject(id, epoch, until) }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Learn(Entry),
    Sweep,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => entry().prop_map(Step::Learn),
        1 => Just(Step::Sweep),
        2 => (0_u64..5).prop_map(Step::Pass),
    ]
}

/// Every entry ever told, and nothing clever.
#[derive(Default)]
struct Model(Vec<Entry>);

impl Model {
    /// Whether an entry that is not over says by itself that the token is revoked.
    fn must(&self, token: &Marks<'_>, now: u64) -> bool {
        self.0.iter().any(|entry| entry.extent.until > now && revokes(entry, token))
    }

    /// Whether joined entries may say so: one that is not over keeps the epoch of another that is.
    fn may(&self, token: &Marks<'_>, now: u64) -> bool {
        self.0.iter().filter(|entry| revokes(entry, token)).any(|revoking| {
            let same = |entry: &&Entry| entry.target == revoking.target;
            self.0.iter().filter(same).any(|entry| entry.extent.until > now)
        })
    }
}

fn revokes(entry: &Entry, token: &Marks<'_>) -> bool {
    match entry.target.kind {
        Kind::Session => token.session == Some(&*entry.target.id),
        Kind::Subject => token.subject == entry.target.id && entry.extent.epoch > token.epoch,
    }
}

proptest! {
    #[test]
    fn it_says_what_a_list_of_all_entries_says(
        steps in proptest::collection::vec(step(), 0..60), entries_max in 0_usize..8,
    ) {
        let (set, mut model, mut now) = (RevokedSet::new(entries_max), Model::default(), 1);
        for step in steps {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Sweep => set.sweep(now),
                Step::Learn(entry) => {
                    set.learn(&entry, now);
                    model.0.push(entry);
                }
            }
            prop_assert!(set.len() <= entries_max);
            for (session, subject, epoch) in [("a", "b", 0), ("b", "c", 1), ("c", "a", 2), ("x", "a", 3)] {
                let token = marks(session, subject, epoch);
                match set.check(&token, now) {
                    Standing::Revoked => prop_assert!(model.may(&token, now), "{token:?} at {now}"),
                    Standing::Live => prop_assert!(!model.must(&token, now), "{token:?} at {now}"),
                    Standing::Unsure => prop_assert!(model.0.len() > entries_max),
                }
            }
        }
    }

    #[test]
    fn the_order_of_entries_and_their_repetition_do_not_matter(
        entries in proptest::collection::vec(entry(), 0..20).prop_shuffle(), repeated in 0_usize..20,
    ) {
        let sorted = |entries: &mut dyn Iterator<Item = &Entry>| {
            let set = RevokedSet::new(99);
            for entry in entries {
                set.learn(entry, 5);
            }
            let mut live = set.live(5);
            live.sort_by_key(|entry| (entry.target.kind.name(), entry.target.id.clone()));
            live
        };
        let forwards = sorted(&mut entries.iter().chain(entries.iter().take(repeated)));
        prop_assert_eq!(forwards, sorted(&mut entries.iter().rev()));
    }
}
