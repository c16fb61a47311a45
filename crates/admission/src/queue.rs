//! Where requests wait for room: first come, first served, so many at most, and none for longer than the timeout.
//!
//! It holds tickets and no requests: the owner keeps what is to be woken beside the ticket, lets [`Queue::first`] look for room,
//! and has everybody [`leave`](Queue::leave) who has found some or has waited in vain.
//!
//! Invariant: nobody's turn comes before that of whoever came earlier and still waits, nor after the timeout. An answer that
//! nobody waits for any more is work at the expense of those who still wait.

use std::{collections::VecDeque, num::NonZeroU32, time::Duration};

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// There are as many waiting as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full;

/// The queue of one service. Time is the time since the owner began, and does not run backwards.
#[derive(Clone, Debug)]
pub struct Queue {
    /// By ticket, and therefore by deadline.
    entries: VecDeque<Entry>,
    waiting_max: usize,
    timeout: Duration,
    next_ticket: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ticket: Ticket,
    deadline: Duration,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(waiting_max: NonZeroU32, timeout: Duration) -> Self {
        let waiting_max = usize::try_from(waiting_max.get()).expect("a usize has 32 bits at least");
        Self { entries: VecDeque::new(), waiting_max, timeout, next_ticket: 0 }
    }

    /// How many wait, those included who are late and have not left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits, so that one who comes need not either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Begins to wait.
    pub fn enter(&mut self, now: Duration) -> Result<Ticket, Full> {
        if self.entries.len() >= self.waiting_max {
            return Err(Full);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.entries.push_back(Entry { ticket, deadline: now + self.timeout });
        Ok(ticket)
    }

    /// Waits no longer. To leave twice is to leave.
    pub fn leave(&mut self, ticket: Ticket) {
        if let Ok(index) = self.entries.binary_search_by_key(&ticket, |entry| entry.ticket) {
            // This moves what is on the shorter side. Who leaves mostly came first.
            self.entries.remove(index);
        }
    }

    /// Whose turn it is, of those who are not late; it stays until it leaves.
    #[must_use]
    pub fn first(&self, now: Duration) -> Option<Ticket> {
        // Late ones are at the front until they leave.
        let index = self.entries.partition_point(|entry| entry.deadline <= now);
        self.entries.get(index).map(|entry| entry.ticket)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn queue(waiting_max: u32) -> Queue {
        Queue::new(NonZeroU32::new(waiting_max).unwrap(), TIMEOUT)
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_come_is_the_first_served() {
        let mut queue = queue(3);
        let tickets: Vec<_> = (0..3).map(|millis| queue.enter(at(millis)).unwrap()).collect();
        assert_eq!(queue.enter(at(3)), Err(Full));
        assert_eq!(queue.first(at(4)), Some(tickets[0]));
        assert_eq!(queue.first(at(4)), Some(tickets[0]));
        queue.leave(tickets[1]);
        queue.leave(tickets[0]);
        queue.leave(tickets[0]);
        assert_eq!(queue.first(at(5)), Some(tickets[2]));
        queue.leave(tickets[2]);
        assert!(queue.is_empty());
        assert_eq!(queue.first(at(6)), None);
    }

    #[test]
    fn who_is_late_has_no_turn_and_keeps_the_place() {
        let mut queue = queue(2);
        let late = queue.enter(at(0)).unwrap();
        let early = queue.enter(at(1)).unwrap();
        assert_eq!(queue.first(at(99)), Some(late));
        assert_eq!(queue.first(at(100)), Some(early));
        assert_eq!(queue.first(at(101)), None);
        assert_eq!(queue.enter(at(101)), Err(Full));
        queue.leave(late);
        assert!(queue.enter(at(101)).is_ok());
    }

    #[test]
    fn those_who_leave_take_no_room() {
        let mut queue = queue(2);
        queue.enter(at(0)).unwrap();
        for _ in 0..10_000 {
            let ticket = queue.enter(at(1)).unwrap();
            queue.leave(ticket);
        }
        assert!(queue.entries.capacity() < 100);
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Enter,
        Leave(prop::sample::Index),
        Pause { millis: u64 },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => Just(Event::Enter),
            4 => any::<prop::sample::Index>().prop_map(Event::Leave),
            3 => (1_u64..60).prop_map(|millis| Event::Pause { millis }),
        ]
    }

    proptest! {
        /// The model: everyone who ever came, with the time, and whether still there.
        #[test]
        fn order_and_bound_are_kept_and_nobody_is_late_or_lost(
            events in prop::collection::vec(event(), 1..200),
            waiting_max in 1_u32..12,
        ) {
            let mut queue = queue(waiting_max);
            let mut came: Vec<(Ticket, Duration, bool)> = Vec::new();
            let mut now = Duration::ZERO;
            for event in events {
                let waiting = came.iter().filter(|(.., waits)| *waits).count();
                match event {
                    Event::Pause { millis } => now += at(millis),
                    Event::Enter => {
                        let entered = queue.enter(now);
                        prop_assert_eq!(entered.is_ok(), waiting < usize::try_from(waiting_max).unwrap());
                        if let Ok(ticket) = entered {
                            prop_assert!(came.iter().all(|(other, ..)| *other != ticket));
                            came.push((ticket, now, true));
                        }
                    }
                    Event::Leave(index) => {
                        if !came.is_empty() {
                            let index = index.index(came.len());
                            came[index].2 = false;
                            queue.leave(came[index].0);
                        }
                    }
                }
                prop_assert_eq!(queue.len(), came.iter().filter(|(.., waits)| *waits).count());
                let first = came.iter().find(|(_, at, waits)| *waits && now - *at < TIMEOUT);
                prop_assert_eq!(queue.first(now), first.map(|(ticket, ..)| *ticket));
            }
        }
    }
}
