//! What a presented refresh token is to its family: decided without a clock and without a store.
//!
//! Invariants: one token of a family rotates, and of each there is one successor, whoever computes it. Only a token that was made
//! here can end a family. Nobody is answered once it is over.
//! Elsewhere: making the rotation happen once ([`super::store`]); tokens themselves ([`super::token`]).

use phalanx_shard::Id;

use super::{
    LoginId, LoginSettings, ReplayWindow, UnixMs,
    token::{FamilyKeys, Presented, RefreshToken, Secret, SecretHash},
};

#[cfg(test)]
mod tests;

/// Rotations whose times are kept. Only a client that uses each successor at once, for a whole window, comes to so many.
pub(super) const ROTATIONS_MAX: usize = 64;

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
    /// It was the newest a moment ago: the secret of the token that is.
    Replay(Secret),
    /// It was the newest once, and somebody has both it and what followed.
    Reuse,
    /// It was the newest within the window, or before: there were too many since to say.
    Outpaced,
    /// The login has ended by itself.
    Expired,
    /// The login was ended.
    Ended,
    /// It is newer than what is known of the family, which was read before a move or has lost a server's last writes.
    Ahead,
    /// It was not made here.
    Unknown,
}

/// When a token was replaced by its successor.
enum Replaced {
    InWindow,
    Before,
    /// There were more rotations within the window than are kept.
    NotKept,
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
    let newest = family.newest(secret, *generation);
    if !family.secret_hash.is_of(&newest) {
        return Judgement::Unknown;
    }
    if age == 0 {
        return Judgement::Rotate(family.keys.successor(secret, *generation));
    }
    match family.rotations.replaced(age, now, window) {
        Replaced::InWindow => Judgement::Replay(newest),
        Replaced::Before => Judgement::Reuse,
        Replaced::NotKept => Judgement::Outpaced,
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
            valid_until: now.after(settings.idle_timeout).min(valid_until_max),
            valid_until_max,
            ended_at: None,
        };
        (family, token)
    }

    /// The family after the rotation to `successor`. `None` where generations end, which takes longer than any login.
    pub(super) fn rotated(&self, successor: &Secret, now: UnixMs, settings: &LoginSettings) -> Option<Self> {
        Some(Self {
            generation: self.generation.checked_add(1)?,
            secret_hash: successor.hash(),
            rotations: self.rotations.with(now),
            valid_until: now.after(settings.idle_timeout).min(self.valid_until_max),
            ..self.clone()
        })
    }

    /// The token of the newest generation, whose secret this is.
    pub(super) fn token(&self, secret: &Secret) -> RefreshToken {
        self.keys.token(self.login, self.generation, secret)
    }

    /// What the secret of an earlier generation has become by now. It takes a hash for each rotation since, of which there were no
    /// more than a client had made when it could show a token with a tag of ours.
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
        let kept = self.0.iter().copied().filter(|time| now.since(*time) < ReplayWindow::LONGEST);
        Self(std::iter::once(now).chain(kept).take(ROTATIONS_MAX).collect())
    }

    /// When the token was replaced that is `age` generations old, at least 1.
    fn replaced(&self, age: u32, now: UnixMs, window: ReplayWindow) -> Replaced {
        let is_in_window = |time: &UnixMs| now.since(*time) < window.get();
        let place = usize::try_from(age).map_or(usize::MAX, |age| age - 1);
        match (self.0.get(place), self.0.last()) {
            (Some(time), _) if is_in_window(time) => Replaced::InWindow,
            (None, Some(oldest)) if self.0.len() == ROTATIONS_MAX && is_in_window(oldest) => {
                Replaced::NotKept
            }
            _ => Replaced::Before,
        }
    }
}
