//! The fuzz corpus, replayed.

use std::{fs, path::Path};

#[path = "../../../fuzz/src/lib.rs"]
pub mod invariants;

#[test]
fn requests_of_the_corpus_are_refused_or_read_as_one_message() {
    replay("request_head", invariants::request_head);
}

#[test]
fn responses_of_the_corpus_are_refused_or_read_as_one_message() {
    replay("response_head", invariants::response_head);
}

#[test]
fn bodies_of_the_corpus_decode_as_a_naive_reader_decodes_them() {
    replay("chunked", invariants::chunked);
}

#[test]
fn requests_of_the_corpus_are_the_same_message_when_rewritten() {
    replay("rewrite", invariants::rewrite);
}

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).expect("each target has a corpus") {
        let seed = entry.expect("the corpus is readable").path();
        // Shown only when the seed fails.
        println!("{}", seed.display());
        check(&fs::read(&seed).expect("a seed is a file"));
        seeds += 1;
    }
    assert!(seeds >= 24, "{} has {seeds} seeds", corpus.display());
}
