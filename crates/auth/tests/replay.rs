//! The fuzz corpus, replayed, and bent at random places.

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index};

#[path = "../../../fuzz/src/jwks.rs"]
pub mod jwks;
#[path = "../../../fuzz/src/token.rs"]
pub mod token;

#[test]
fn tokens_of_the_corpus_are_refused_or_say_what_everybody_reads() {
    replay("token", token::token);
}

#[test]
fn key_sets_of_the_corpus_are_refused_or_read_again_as_they_were() {
    replay("jwks", jwks::jwks);
}

proptest! {
    #[test]
    fn bent_seeds_hold_too(seed in any::<Index>(), bends in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4)) {
        for (target, check) in [("token", token::token as fn(&[u8])), ("jwks", jwks::jwks)] {
            let seeds = seeds(target);
            let mut bytes = seed.get(&seeds).clone();
            for (place, byte) in &bends {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = *byte;
                }
            }
            check(&bytes);
        }
    }
}

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 24, "{target} has {} seeds", seeds.len());
    for seed in seeds {
        // Shown only when the seed fails.
        println!("{}", seed.escape_ascii());
        check(&seed);
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(corpus).expect("each target has a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the corpus is readable").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a seed is a file")).collect()
}
