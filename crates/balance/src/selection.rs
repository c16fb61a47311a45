//! Which endpoints of a service may get requests, given how each of them stands.
//!
//! Primaries that serve get the requests. Without any, backups that serve do. When neither is left, or when so many checks fail
//! at once that it is likelier that checking is broken, some evidence is disbelieved: checks first, since they ask for
//! something that no client asks for, then what real requests have shown, and never an order to leave.
//!
//! Invariant: a draining endpoint is never chosen, and somebody is if anyone else is there, unless checks are always believed
//! (a panic threshold of 1): then a service whose checks all fail has no endpoint.
//! Cannot fail: nobody left is an empty selection, and the gateway answers 503.

#[cfg(test)]
mod tests;

use crate::health::Standing;

/// When an endpoint is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Always.
    Primary,
    /// When no primary serves.
    Backup,
}

/// An endpoint that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// When it is needed.
    pub role: Role,
    /// How it stands.
    pub standing: Standing,
}

/// The endpoints that are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Their indices, in order.
    pub indices: Vec<usize>,
    /// Why it is these.
    pub mode: Mode,
}

/// Why certain endpoints are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are the primaries that serve; or there is nobody at all.
    Normal,
    /// They are the backups that serve: no primary does.
    Backup,
    /// There are some of which it is known that they do badly, or believed that they do not. One that is on trial gets as many
    /// requests as anyone, since there may be nobody else to get them.
    Panic,
}

/// Whether failing checks are taken for what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    Believed,
    Disbelieved,
}

/// Chooses among all endpoints of a service. Checks are disbelieved if more than the share `panic_threshold` of the primaries fail
/// them, those that drain not counted.
#[must_use]
pub fn select(members: &[Member], panic_threshold: f64) -> Selection {
    let checks = checks_of_primaries(members, panic_threshold);
    let serves =
        |role: Role| move |member: &Member| member.role == role && member.standing == Standing::Serving;
    let is_usable_primary = |member: &Member| {
        member.role == Role::Primary
            && match member.standing {
                Standing::Serving | Standing::Trial => true,
                Standing::Failing => checks == Checks::Disbelieved,
                // That is evidence from real requests, and an order.
                Standing::Ejected { .. } | Standing::Draining => false,
            }
    };

    if members.iter().any(serves(Role::Primary)) {
        let mode = match checks {
            Checks::Believed => Mode::Normal,
            Checks::Disbelieved => Mode::Panic,
        };
        return Selection { indices: indices(members, is_usable_primary), mode };
    }
    // Backups that pass their checks say that checking works: they come before disbelief. One on trial gets a single request at a
    // time, so it does not carry the service, but must get that request.
    if members.iter().any(serves(Role::Backup)) {
        let is_on_trial = |member: &Member| member.standing == Standing::Trial;
        let chosen = |member: &Member| serves(Role::Backup)(member) || is_on_trial(member);
        return Selection { indices: indices(members, chosen), mode: Mode::Backup };
    }
    match checks {
        Checks::Believed => last_resort(members, panic_threshold),
        Checks::Disbelieved => Selection { indices: indices(members, is_usable_primary), mode: Mode::Panic },
    }
}

fn checks_of_primaries(members: &[Member], panic_threshold: f64) -> Checks {
    let counted = members
        .iter()
        .filter(|member| member.role == Role::Primary && member.standing != Standing::Draining)
        .map(|member| u32::from(member.standing == Standing::Failing));
    let (primaries, failing) =
        counted.fold((0_u32, 0_u32), |(primaries, failing), fails| (primaries + 1, failing + fails));
    if f64::from(failing) > panic_threshold * f64::from(primaries) {
        Checks::Disbelieved
    } else {
        Checks::Believed
    }
}

/// All that have not been asked to leave, primaries before backups; with a threshold of 1 those only that pass their checks.
fn last_resort(members: &[Member], panic_threshold: f64) -> Selection {
    let is_left = |role: Role| {
        move |member: &Member| {
            member.role == role
                && match member.standing {
                    Standing::Serving | Standing::Trial | Standing::Ejected { .. } => true,
                    Standing::Failing => panic_threshold < 1.0,
                    Standing::Draining => false,
                }
        }
    };
    for role in [Role::Primary, Role::Backup] {
        let indices = indices(members, is_left(role));
        if !indices.is_empty() {
            return Selection { indices, mode: Mode::Panic };
        }
    }
    Selection { indices: Vec::new(), mode: Mode::Normal }
}

fn indices(members: &[Member], is_chosen: impl Fn(&Member) -> bool) -> Vec<usize> {
    (0..).zip(members).filter(|(_, member)| is_chosen(member)).map(|(index, _)| index).collect()
}
