#![no_main]

// Not in the library, which is about HTTP/1.1 and is included by tests that know nothing of tokens.
#[path = "../src/token.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::token(bytes));
