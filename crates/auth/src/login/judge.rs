//! What a presented refresh token is to its family: decided without a clock and without a store.
//!
//! Invariants: one token of a family rotates, and of each there is one successor, whoever computes it. Only a token that was made
//! here can end a family. Nobody is answered once it is over. Of every rotation within the longest window the time is kept, so an old
//! token is always told from one that crossed its successor. One judgement takes [`SUCCESSORS_MAX`] hashes at most.
//! Elsewhere: making the rotation happen once ([`super::store`]); tokens themselves ([`super::token`]).

use phalanx_shard::Id;

use super::{
    LoginId, LoginSettings, ReplayWindow, UnixMs,
    token::{FamilyKeys, Presented, RefreshToken, Secret, SecretHash},
};

#[cfg(test)]
mod tests;

/// Rotations within the longest window, and so the times that are kept. Only a client that uses each successor at once comes to so
/// many; the newest token does not rotate then until the oldest of them is out of the window.
pub(super) const ROTATIONS_MAX: usize = 64;

/// How old a token can be, in rotations, whose successors are computed: some milliseconds of hashing. A login that is refreshed every
/// ten minutes has about as many in a month.
const SUCCESSORS_MAX: u32 = 4096;

/// A login's refresh tokens, as its row says.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) login: LoginId,
    pub(super) account: Id,
    /// Of the one token that rotates.
    pub(super) generation: u32,
    pub(super) secret_hash: SecretHash,
    pub(super) keys: FamilyKeys,
    pub(super) rotations: Rotations,
    /// When it last rotated, or began.
    pub(super) used_at: UnixMs,
    /// The first moment at which no token is worth anything.
    pub(super) valid_until: UnixMs,
    pub(super) valid_until_max: UnixMs,
    pub(super) ended_at: Option<UnixMs>,
}

/// When the latest generations were rotated away, the last one first; at most [`ROTATIONS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rotations(Vec<UnixMs>);

/// What to do about a presented token.
#[derive(Clone)]
pub(super) enum Judgement {
    /// It is the newest: the secret of its successor, to be stored.
    Rotate(Secret),
    /// It was the newest a moment ago: the secret of the token that is. Or it still is, and has rotated too often for a moment.
    Replay(Secret),
    /// It was the newest once, and somebody has both it and what followed.
    Reuse,
    /// The login has ended by itself.
    Expired,
    /// The login was ended.
    Ended,
    /// It is newer than what is known of the family, which was read before a move or has lost a server's last writes.
    Ahead,
    /// It was not made here.
    Unknown,
}

/// Judges a token of the family's login.
pub(super) fn judge(family: &Family, presented: &Presented, now: UnixMs, window: ReplayWindow) -> Judgement {
    let Presented { generation, secret, .. } = presented;
    if presented.login != family.login || !family.keys.made(presented) {
        return Judgement::Unknown;
    }
    if family.ended_at.is_some() {
        return Judgement::Ended;
    }
    if family.valid_until <= now {
        return Judgement::Expired;
    }
    let Some(age) = family.generation.checked_sub(*generation) else { return Judgement::Ahead };
    // No window reaches back so far. That its tag is ours has to do: who can read the row could make one, and end this login by it.
    if age > SUCCESSORS_MAX {
        return Judgement::Reuse;
    }
    let newest = family.newest(secret, *generation);
    if !family.secret_hash.is_of(&newest) {
        return Judgement::Unknown;
    }
    match family.rotations.replaced(age) {
        None if age > 0 => Judgement::Reuse,
        None if family.rotations.are_full(family.stamp(now)) => Judgement::Replay(newest),
        None => Judgement::Rotate(family.keys.successor(secret, *generation)),
        Some(replaced) if now.since(replaced) < window.get() => Judgement::Replay(newest),
        Some(_) => Judgement::Reuse,
    }
}

impl Family {
    /// That of a login which begins, with its first token.
    pub(super) fn begin(
        login: LoginId,
        account: Id,
        now: UnixMs,
        settings: &LoginSettings,
    ) -> (Self, RefreshToken) {
        let (keys, secret, generation) = (FamilyKeys::random(), Secret::random(), 1);
        let token = keys.token(login, generation, &secret);
        let valid_until_max = now.after(settings.absolute_timeout);
        let family = Self {
            login,
            account,
            generation,
            secret_hash: secret.hash(),
            keys,
            rotations: Rotations::default(),
            used_at: now,
            valid_until: now.after(settings.idle_timeout).min(valid_until_max),
            valid_until_max,
            ended_at: None,
        };
        (family, token)
    }

    /// The family after the rotation to `successor`. `None` where generations end, which takes longer than any login.
    pub(super) fn rotated(&self, successor: &Secret, now: UnixMs, settings: &LoginSettings) -> Option<Self> {
        let used_at = self.stamp(now);
        Some(Self {
            generation: self.generation.checked_add(1)?,
            secret_hash: successor.hash(),
            rotations: self.rotations.with(used_at),
            used_at,
            valid_until: used_at.after(settings.idle_timeout).min(self.valid_until_max),
            ..self.clone()
        })
    }

    /// The time of what happens now. Rotations are in order, so one by a clock that is behind the one before has the time of that: it
    /// would look older than it is, and who crossed it would be taken for a thief.
    fn stamp(&self, now: UnixMs) -> UnixMs {
        now.max(self.used_at)
    }

    /// The token of the newest generation, whose secret this is.
    pub(super) fn token(&self, secret: &Secret) -> RefreshToken {
        self.keys.token(self.login, self.generation, secret)
    }

    /// What the secret of an earlier generation has become by now. It takes a hash for each rotation since.
    fn newest(&self, secret: &Secret, generation: u32) -> Secret {
        let newer = generation..self.generation;
        newer.fold(secret.clone(), |secret, generation| self.keys.successor(&secret, generation))
    }
}

impl Rotations {
    const TIME_BYTES: usize = size_of::<u64>();

    /// As a column holds them.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|time| time.get().to_be_bytes()).collect()
    }

    /// What lies in a column, if it is of the right length.
    pub(super) fn of_stored(bytes: &[u8]) -> Option<Self> {
        let (times, rest) = bytes.as_chunks::<{ Self::TIME_BYTES }>();
        let fits = rest.is_empty() && times.len() <= ROTATIONS_MAX;
        fits.then(|| Self(times.iter().map(|time| UnixMs::new(u64::from_be_bytes(*time))).collect()))
    }

    /// These and one more. Those that no replica's window reaches, whatever its settings, are forgotten.
    fn with(&self, now: UnixMs) -> Self {
        let kept = self.0.iter().copied().take_while(|time| is_in_longest_window(*time, now));
        Self(std::iter::once(now).chain(kept).take(ROTATIONS_MAX).collect())
    }

    /// Whether one more would push out a time that is needed.
    fn are_full(&self, now: UnixMs) -> bool {
        self.0.get(ROTATIONS_MAX - 1).is_some_and(|oldest| is_in_longest_window(*oldest, now))
    }

    /// When the token was replaced that is `age` generations old. `None` if it was not, or before every window.
    fn replaced(&self, age: u32) -> Option<UnixMs> {
        let place = usize::try_from(age).ok()?.checked_sub(1)?;
        self.0.get(place).copied()
    }
}

/// Replicas with other settings than these have to tell an old token from one in its window, too.
fn is_in_longest_window(time: UnixMs, now: UnixMs) -> bool {
    now.since(time) < ReplayWindow::LONGEST
}
