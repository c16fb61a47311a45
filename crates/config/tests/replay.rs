//! The fuzz corpus, replayed.

use std::{fs, path::Path};

#[path = "../../../fuzz/src/config.rs"]
pub mod invariants;

#[test]
fn files_of_the_corpus_become_a_configuration_or_a_report() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/config");
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).expect("the target has a corpus") {
        let seed = entry.expect("the corpus is readable").path();
        // Shown only when the seed fails.
        println!("{}", seed.display());
        invariants::config(&fs::read(&seed).expect("a seed is a file"));
        seeds += 1;
    }
    assert!(seeds >= 24, "{} has {seeds} seeds", corpus.display());
}
