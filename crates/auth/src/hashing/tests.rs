use argon2::password_hash::phc;
use futures_util::future::join_all;
use proptest::prelude::*;

use super::*;
use crate::ImportError;

const MISMATCH: Verified = Verified { verdict: Verdict::Mismatch, rehash_due: false };
const MATCH_TO_REHASH: Verified = Verified { verdict: Verdict::Match, rehash_due: true };

fn hasher(threads: usize, hash_queue_max: usize) -> Hasher {
    let settings = HashingSettings {
        threads: NonZeroUsize::new(threads).unwrap(),
        hash_queue_max: NonZeroUsize::new(hash_queue_max).unwrap(),
    };
    Hasher::start(settings).unwrap()
}

fn password(text: &str) -> Password {
    Password::offered(text.to_owned()).unwrap()
}

#[tokio::test]
async fn a_hash_matches_its_password_alone() {
    let hasher = hasher(1, 4);
    let hash = hasher.hash(password("correct horse")).await.unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
    assert_ne!(hash, hasher.hash(password("correct horse")).await.unwrap(), "salts differ");
    for (text, verdict) in [("correct horse", Verdict::Match), ("Correct horse", Verdict::Mismatch)] {
        let verified = hasher.verify(password(text), Some(hash.clone())).await;
        assert_eq!(verified, Ok(Verified { verdict, rehash_due: false }));
    }
}

#[tokio::test]
async fn nobodys_hash_costs_what_a_real_one_costs_and_matches_nothing() {
    let stand_in = phc::PasswordHash::new(NOBODYS_HASH).unwrap();
    let real = hasher(1, 4).hash(password("correct horse")).await.unwrap();
    let real = phc::PasswordHash::new(real.as_str()).unwrap();
    assert_eq!(
        (stand_in.algorithm, stand_in.version, &stand_in.params),
        (real.algorithm, real.version, &real.params)
    );
    assert_eq!(stand_in.hash.unwrap().len(), real.hash.unwrap().len());
    assert_eq!(hasher(1, 4).verify(password(""), None).await, Ok(MISMATCH));
}

#[tokio::test]
async fn a_damaged_hash_is_an_error_and_not_a_mismatch() {
    let hasher = hasher(1, 4);
    for damaged in ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$", "$md5$v=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
        let verdict = hasher.verify(password("x"), Some(PasswordHash::from_stored(damaged.to_owned()))).await;
        assert_eq!(verdict, Err(HashingError::Unreadable), "{damaged}");
    }
}

/// Keeps a thread busy from when it tells `running` until the other end of `held` is dropped.
async fn occupy(
    hasher: &Hasher,
    running: oneshot::Sender<()>,
    held: std::sync::mpsc::Receiver<()>,
) -> Result<(), HashingError> {
    let job = move |_: &Argon2<'_>| {
        let _ = running.send(());
        let _ = held.recv();
        Ok(())
    };
    hasher.run(job).await
}

#[tokio::test]
async fn past_the_queue_hashing_is_refused_at_once() {
    let hasher = hasher(1, 1);
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (running, started) = oneshot::channel();
    let occupy = occupy(&hasher, running, held);
    let flood = async {
        started.await.unwrap();
        let queued = hasher.verify(password("queued"), None);
        let refused = async {
            let refused = hasher.verify(password("refused"), None).await;
            drop(release);
            refused
        };
        tokio::join!(queued, refused)
    };
    let (occupied, (queued, refused)) = tokio::join!(occupy, flood);
    assert_eq!((occupied, queued, refused), (Ok(()), Ok(MISMATCH), Err(HashingError::Busy)));
}

#[tokio::test]
async fn those_who_register_leave_half_of_the_queue_to_those_who_log_in() {
    let hasher = hasher(1, 4);
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (running, started) = oneshot::channel();
    let occupy = occupy(&hasher, running, held);
    let flood = async {
        started.await.unwrap();
        let registrations = join_all((0..9).map(|_| hasher.hash(password("made up"))));
        let logins = async {
            assert!(hasher.has_room());
            let logins = join_all((0..2).map(|_| hasher.verify(password("forgotten"), None)));
            let refused = async {
                let (has_room, refused) = (hasher.has_room(), hasher.verify(password("refused"), None).await);
                drop(release);
                (has_room, refused)
            };
            tokio::join!(logins, refused)
        };
        tokio::join!(registrations, logins)
    };
    let (_, (registrations, (logins, refused))) = tokio::join!(occupy, flood);
    assert_eq!(registrations.iter().filter(|made| made.is_ok()).count(), 2);
    assert_eq!((logins, refused), (vec![Ok(MISMATCH); 2], (false, Err(HashingError::Busy))));
    // Who has been served leaves his place.
    assert!(hasher.hash(password("made up")).await.is_ok());
}

// Made by libxcrypt, of `correct horse` where nothing else is said.
const BCRYPT_2A: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMye7hLCKuEIm4BcKHuoCJsBy/5Q0NErxWS";
const BCRYPT_2B: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMye7hLCKuEIm4BcKHuoCJsBy/5Q0NErxWS";
const BCRYPT_2Y: &str = "$2y$10$N9qo8uLOickgx2ZMRZoMye7hLCKuEIm4BcKHuoCJsBy/5Q0NErxWS";
/// Of `pässwörd`, in UTF-8.
const BCRYPT_OF_UMLAUTS: &str = "$2y$10$N9qo8uLOickgx2ZMRZoMyea4.0P0pYhi6qvH1JvBIAGN8XbACJU.i";
/// Of 80 times `x`.
const BCRYPT_OF_80_BYTES: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyei43NRw/bh8w29dpv431GhmdA9d6xppu";
/// Of `a`.
const BCRYPT_OF_A: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyea7wdtWgtb7pfXoReLE2qQR2N4VuAbtO";

async fn verified(text: &str, stored: &str) -> Result<Verified, HashingError> {
    let stored = PasswordHash::from_stored(stored.to_owned());
    hasher(1, 4).verify(password(text), Some(stored)).await
}

#[tokio::test]
async fn imported_bcrypt_hashes_are_verified_and_due() {
    for (text, hash, expected) in [
        ("correct horse", BCRYPT_2A, MATCH_TO_REHASH),
        ("correct horse", BCRYPT_2B, MATCH_TO_REHASH),
        ("correct horse", BCRYPT_2Y, MATCH_TO_REHASH),
        ("Correct horse", BCRYPT_2B, MISMATCH),
        ("", BCRYPT_2B, MISMATCH),
        ("pässwörd", BCRYPT_OF_UMLAUTS, MATCH_TO_REHASH),
        // What is past 72 bytes was never looked at.
        (&"x".repeat(80), BCRYPT_OF_80_BYTES, MATCH_TO_REHASH),
        (&"x".repeat(72), BCRYPT_OF_80_BYTES, MATCH_TO_REHASH),
        (&"x".repeat(1024), BCRYPT_OF_80_BYTES, MATCH_TO_REHASH),
        (&"x".repeat(71), BCRYPT_OF_80_BYTES, MISMATCH),
        ("a", BCRYPT_OF_A, MATCH_TO_REHASH),
        ("a\0", BCRYPT_OF_A, MISMATCH),
        ("a\0a", BCRYPT_OF_A, MISMATCH),
    ] {
        assert!(PasswordHash::imported(hash.to_owned()).is_ok());
        assert_eq!(verified(text, hash).await, Ok(expected), "{text:?} {hash}");
    }
}

/// A hash of `correct horse`.
fn argon2_hash(
    algorithm: Algorithm,
    version: Version,
    params: (u32, u32, u32),
    output_bytes: usize,
) -> String {
    let (memory_kib, passes, lanes) = params;
    let params = Params::new(memory_kib, passes, lanes, Some(output_bytes)).unwrap();
    let hash: phc::PasswordHash =
        Argon2::new(algorithm, version, params).hash_password(b"correct horse").unwrap();
    hash.to_string()
}

#[tokio::test]
async fn argon2_hashes_of_other_making_are_verified_and_due() {
    let today = (MEMORY_KIB, PASSES, LANES);
    let (id, v13) = (Algorithm::Argon2id, Version::V0x13);
    let made_today = argon2_hash(id, v13, today, 32);
    assert_eq!(verified("correct horse", &made_today).await.map(|verified| verified.rehash_due), Ok(false));
    for hash in [
        argon2_hash(id, v13, (7168, 5, 1), 32),
        argon2_hash(id, v13, (16_384, 2, 1), 32),
        argon2_hash(id, v13, (MEMORY_KIB, PASSES + 1, LANES), 32),
        argon2_hash(id, v13, (MEMORY_KIB, PASSES, LANES + 1), 32),
        argon2_hash(id, v13, (65536, 4, 1), 32),
        argon2_hash(id, v13, today, 16),
        argon2_hash(id, Version::V0x10, today, 32),
        argon2_hash(Algorithm::Argon2i, v13, today, 32),
    ] {
        assert!(PasswordHash::imported(hash.clone()).is_ok(), "{hash}");
        assert_eq!(verified("correct horse", &hash).await, Ok(MATCH_TO_REHASH), "{hash}");
        assert_eq!(verified("Correct horse", &hash).await, Ok(MISMATCH), "{hash}");
    }
}

#[tokio::test]
async fn what_cannot_be_verified_is_not_imported_either() {
    let cost = |cost: &str| BCRYPT_2B.replacen("$10$", &format!("${cost}$"), 1);
    let argon2 =
        |parameters: &str| format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA");
    // RUSTSEC-2026-0199: sixty bytes, and a character across the place where a parser may cut.
    let umlaut_at = |at: usize| format!("{}ü{}", &BCRYPT_2B[..at], &BCRYPT_2B[at + 2..]);
    let mut cases = vec![
        (String::new(), ImportError::UnknownAlgorithm),
        ("correct horse".to_owned(), ImportError::UnknownAlgorithm),
        ("5f4dcc3b5aa765d61d8327deb882cf99".to_owned(), ImportError::UnknownAlgorithm),
        ("$1$salt$hash".to_owned(), ImportError::UnknownAlgorithm),
        ("$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned(), ImportError::UnknownAlgorithm),
        (BCRYPT_2B.replacen("$2b$", "$2x$", 1), ImportError::UnknownAlgorithm),
        (BCRYPT_2B.replacen("$2b$", "$2$", 1), ImportError::UnknownAlgorithm),
        (cost("09"), ImportError::TooWeak),
        (cost("04"), ImportError::TooWeak),
        (cost("15"), ImportError::TooCostly),
        (cost("31"), ImportError::TooCostly),
        (cost("99"), ImportError::TooCostly),
        (cost("-1"), ImportError::Damaged),
        (BCRYPT_2B[..59].to_owned(), ImportError::Damaged),
        (format!("{BCRYPT_2B}."), ImportError::Damaged),
        (BCRYPT_2B.replace('N', "*"), ImportError::Damaged),
        (argon2("m=4194304,t=1,p=1"), ImportError::TooCostly),
        (argon2("m=65537,t=1,p=1"), ImportError::TooCostly),
        (argon2("m=7168,t=4294967295,p=1"), ImportError::TooCostly),
        (argon2("m=65536,t=5,p=1"), ImportError::TooCostly),
        // Thousands of guesses in a second.
        (argon2("m=8,t=1,p=1"), ImportError::TooWeak),
        (argon2("m=8,t=10000,p=1"), ImportError::TooWeak),
        (argon2("m=7167,t=5,p=1"), ImportError::TooWeak),
        (argon2("m=7168,t=4,p=1"), ImportError::TooWeak),
        (argon2("m=19456,t=1,p=1"), ImportError::TooWeak),
        (argon2("m=19456,t=2,p=1").replace("argon2id", "argon2d"), ImportError::UnknownAlgorithm),
        (argon2("m=8,t=1,p=16777215"), ImportError::Damaged),
        (argon2("m=0,t=0,p=0"), ImportError::Damaged),
        (argon2("m=x,t=1,p=1"), ImportError::Damaged),
        (argon2("m=8,t=1,p=1,x=1"), ImportError::Damaged),
        (
            "$argon2x$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
            ImportError::UnknownAlgorithm,
        ),
        ("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0".to_owned(), ImportError::Damaged),
        ("$argon2id$v=19$m=8,t=1,p=1".to_owned(), ImportError::Damaged),
    ];
    cases.extend([4, 5, 6, 7, 20, 28, 29, 40, 58].map(|at| (umlaut_at(at), ImportError::Damaged)));
    for (text, expected) in cases {
        assert_eq!(PasswordHash::imported(text.clone()), Err(expected), "{text}");
        assert_eq!(verified("correct horse", &text).await, Err(HashingError::Unreadable), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_taken_apart_with_a_panic(text: String, tail in "\\PC{0,60}", at in 0_usize..60) {
        let _ = Scheme::of(&text);
        for start in ["$2a$", "$2b$10$", "$argon2id$v=19$", "$argon2id$v=19$m=8,t=1,p=1$"] {
            let _ = Scheme::of(&format!("{start}{tail}"));
        }
        let cut = format!("{}{tail}", &BCRYPT_2B[..at]);
        let _ = Scheme::of(&cut);
    }
}
