//! Each thing that must not be, done to a history in which all is well.

use std::time::Duration;

use super::*;

const fn at(began: u64, ended: u64) -> Span {
    Span { began: Duration::from_secs(began), ended: Duration::from_secs(ended) }
}

fn attempt(name: &str, email: &str, span: Span, outcome: Outcome) -> Registration {
    let (name, email, instance) = (name.to_owned(), email.to_owned(), "api-1".to_owned());
    Registration { name, email, instance, span, outcome }
}

fn read(id: i64, span: Span, sight: Sight) -> OwnRead {
    OwnRead { id, how: How::Id, instance: "api-1".to_owned(), span, sight }
}

fn account(shard: usize, id: i64, email: &str, name: &str) -> StoredAccount {
    StoredAccount { shard, id, email: email.to_owned(), name: name.to_owned() }
}

fn claim(email: &str, id: i64) -> StoredClaim {
    StoredClaim { email: email.to_owned(), id, confirmed: true }
}

/// Ada is acknowledged and sees it, Bob loses a race for her address, and of Cid nobody knows.
fn well() -> (History, Stored) {
    let history = History {
        registrations: vec![
            attempt("ada", "a@x.org", at(1, 3), Outcome::Acknowledged { id: 7 }),
            attempt("bob", "a@x.org", at(1, 2), Outcome::Refused),
            attempt("cid", "c@x.org", at(4, 9), Outcome::Unknown),
        ],
        reads: vec![read(7, at(3, 4), Sight::Account), read(7, at(4, 9), Sight::NoAnswer)],
        unexpected: Vec::new(),
    };
    let stored = Stored {
        accounts: vec![account(1, 7, "a@x.org", "ada"), account(2, 8, "c@x.org", "cid")],
        claims: vec![claim("a@x.org", 7), StoredClaim { confirmed: false, ..claim("c@x.org", 8) }],
        logins: vec![Login { id: 7, found: Some(7) }],
    };
    (history, stored)
}

fn violations(spoil: impl FnOnce(&mut History, &mut Stored)) -> Vec<Violation> {
    let (mut history, mut stored) = well();
    spoil(&mut history, &mut stored);
    let judgement = judge(&history, &stored, Promise::Everything);
    assert_eq!(judgement.losses, Losses::default(), "nothing may be lost that was promised");
    judgement.violations
}

#[test]
fn all_is_well_also_where_what_nobody_knows_was_not_done() {
    assert_eq!(violations(|_, _| {}), []);
    let not_done = |_: &mut History, stored: &mut Stored| {
        stored.accounts.truncate(1);
        stored.claims.truncate(1);
    };
    assert_eq!(violations(not_done), []);
}

#[test]
fn a_lost_write_is_found() {
    let lost = violations(|_, stored| drop(stored.accounts.remove(0)));
    assert!(matches!(lost[0], Violation::LostWrite { id: 7, .. }), "{lost:?}");
    let claim = Violation::ConfirmedForNobody { email: "a@x.org".to_owned(), id: 7 };
    assert!(lost.contains(&claim), "{lost:?}");
}

#[test]
fn a_write_that_changed_on_its_way_is_found() {
    let altered = violations(|_, stored| stored.accounts[0].name = "adam".to_owned());
    assert!(matches!(altered[0], Violation::Altered { id: 7, .. }), "{altered:?}");
    assert!(altered.contains(&Violation::Invented { name: "adam".to_owned() }), "{altered:?}");
}

#[test]
fn a_stale_read_is_found_and_a_wrong_one() {
    let stale = violations(|history, _| history.reads[0].sight = Sight::Nothing);
    assert!(matches!(stale[..], [Violation::StaleRead { id: 7, how: How::Id, .. }]), "{stale:?}");
    let wrong = violations(|history, _| history.reads[0].sight = Sight::Another("bob".to_owned()));
    assert!(matches!(wrong[..], [Violation::WrongRead { id: 7, .. }]), "{wrong:?}");
}

#[test]
fn a_duplicate_id_is_found_among_the_answers_and_among_the_rows() {
    let answered = violations(|history, _| {
        history.registrations[2].outcome = Outcome::Acknowledged { id: 7 };
    });
    let is_duplicate = |violation: &Violation| matches!(violation, Violation::DuplicateId { id: 7, .. });
    assert!(answered.iter().any(is_duplicate), "{answered:?}");
    let stored = violations(|_, stored| stored.accounts.push(account(2, 7, "a@x.org", "ada")));
    assert!(stored.iter().any(is_duplicate), "{stored:?}");
}

#[test]
fn an_address_with_two_accounts_is_found() {
    let twice = violations(|history, stored| {
        history.registrations[1].outcome = Outcome::Unknown;
        stored.accounts.push(account(2, 9, "a@x.org", "bob"));
    });
    assert_eq!(twice, [Violation::EmailTwice { email: "a@x.org".to_owned(), ids: vec![7, 9] }]);
    let claimed = violations(|_, stored| stored.claims.push(claim("c@x.org", 7)));
    assert_eq!(claimed, [Violation::EmailTwice { email: "c@x.org".to_owned(), ids: vec![8, 7] }]);
}

#[test]
fn an_address_that_leads_elsewhere_is_found() {
    let astray = violations(|_, stored| {
        stored.claims[0].id = 8;
        stored.logins[0].found = None;
    });
    let address = Violation::AddressAstray { id: 7, email: "a@x.org".to_owned(), leads_to: vec![8] };
    assert_eq!(astray, [address, Violation::LoginAstray { id: 7, found: None }]);
    let unconfirmed = violations(|_, stored| stored.claims[0].confirmed = false);
    assert!(matches!(unconfirmed[..], [Violation::AddressAstray { id: 7, .. }]), "{unconfirmed:?}");
}

#[test]
fn an_unknown_write_that_shows_up_twice_is_found() {
    let twice = violations(|_, stored| stored.accounts.push(account(1, 9, "d@x.org", "cid")));
    let expected = Violation::StoredTwice { name: "cid".to_owned(), times: 2, ids: vec![8, 9] };
    assert_eq!(twice, [expected]);
}

#[test]
fn a_refusal_needs_somebody_who_may_have_the_address() {
    let alone = violations(|history, _| history.registrations[1].email = "b@x.org".to_owned());
    let expected = Violation::RefusedForNobody { name: "bob".to_owned(), email: "b@x.org".to_owned() };
    assert_eq!(alone, [expected]);
    // Whoever comes later cannot have been in the way.
    let early = violations(|history, _| history.registrations[1].span = at(0, 1));
    assert!(matches!(early[..], [Violation::RefusedForNobody { .. }]), "{early:?}");
    let stored = violations(|_, stored| stored.accounts.push(account(1, 9, "b@x.org", "bob")));
    assert_eq!(stored, [Violation::RefusedAndStored { name: "bob".to_owned() }]);
}

#[test]
fn an_answer_that_no_fault_excuses_is_passed_on() {
    let unexpected = violations(|history, _| history.unexpected.push("500".to_owned()));
    assert_eq!(unexpected, [Violation::Unexpected("500".to_owned())]);
}

/// The shard of the addresses fails over from second 5 to second 6.
fn after_failover(spoil: impl FnOnce(&mut History, &mut Stored)) -> Judgement {
    let (mut history, mut stored) = well();
    spoil(&mut history, &mut stored);
    let failover = Failover { began: Duration::from_secs(5), ended: Duration::from_secs(6) };
    judge(&history, &stored, Promise::AllBut(failover))
}

#[test]
fn what_an_asynchronous_failover_may_cost_is_counted() {
    let judgement = after_failover(|history, stored| {
        stored.accounts.remove(0);
        stored.logins[0].found = None;
        history.reads.push(read(7, at(6, 7), Sight::Nothing));
    });
    assert_eq!(judgement.violations, []);
    assert_eq!(judgement.losses, Losses { accounts: 1, unseen: 2, ..Losses::default() });

    let judgement = after_failover(|history, stored| {
        // Eve comes after the failover, and finds Ada's address free.
        let eve = Outcome::Acknowledged { id: 9 };
        history.registrations.push(attempt("eve", "a@x.org", at(7, 8), eve));
        stored.accounts.push(account(2, 9, "a@x.org", "eve"));
        stored.claims[0].id = 9;
        stored.logins[0].found = None;
    });
    assert_eq!(judgement.violations, []);
    assert_eq!(judgement.losses, Losses { addresses: 1, emails_twice: 1, unseen: 1, ..Losses::default() });

    let judgement = after_failover(|_, stored| {
        // Nobody was told of Cid, whose account is lost; the new primary confirmed his address.
        stored.accounts.remove(1);
        stored.claims[1].confirmed = true;
    });
    assert_eq!(judgement.violations, []);
}

#[test]
fn an_asynchronous_failover_excuses_nothing_else() {
    let stale_before = after_failover(|history, stored| {
        stored.accounts.remove(0);
        stored.logins.clear();
        history.reads[0].sight = Sight::Nothing;
    });
    assert!(matches!(stale_before.violations[..], [Violation::StaleRead { .. }]), "{stale_before:?}");

    let stale_after = after_failover(|history, _| history.reads.push(read(7, at(7, 8), Sight::Nothing)));
    assert!(matches!(stale_after.violations[..], [Violation::StaleRead { .. }]), "{stale_after:?}");

    let lost_after = after_failover(|history, _| {
        let dan = Outcome::Acknowledged { id: 11 };
        history.registrations.push(attempt("dan", "d@x.org", at(7, 8), dan));
    });
    assert!(matches!(lost_after.violations[..], [Violation::LostWrite { id: 11, .. }]), "{lost_after:?}");

    let confirmed_after = after_failover(|history, stored| {
        history.registrations.push(attempt("hal", "h@x.org", at(7, 8), Outcome::Unknown));
        stored.claims.push(claim("h@x.org", 14));
    });
    let claim_of_nobody = Violation::ConfirmedForNobody { email: "h@x.org".to_owned(), id: 14 };
    assert_eq!(confirmed_after.violations, [claim_of_nobody]);

    let twice_after = after_failover(|history, stored| {
        for (id, name) in [(12, "fay"), (13, "gus")] {
            history.registrations.push(attempt(name, "f@x.org", at(7, 8), Outcome::Acknowledged { id }));
            stored.accounts.push(account(1, id, "f@x.org", name));
        }
        stored.claims.push(claim("f@x.org", 12));
    });
    let is_twice = |violation: &Violation| matches!(violation, Violation::EmailTwice { .. });
    assert!(twice_after.violations.iter().any(is_twice), "{twice_after:?}");
}
