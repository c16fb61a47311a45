//! Any sequence of changes by two replicas, against a map in memory.

use std::{cell::Cell, collections::BTreeMap};

use phalanx_auth::{Change, FieldBounds, FieldsError, FieldsSettings, SessionSettings};
use phalanx_test_servers::Redis;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::stores::{Replica, Store};

const FIELDS_MAX: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Merge(Change),
    Replace(BTreeMap<String, String>),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let fields = || proptest::collection::btree_map("[a-f]", "[x-z]{0,2}", 0..=FIELDS_MAX + 1);
    let names = proptest::collection::btree_set("[a-f]", 0..3);
    let step = prop_oneof![
        6 => (fields(), names).prop_map(|(set, remove)| Step::Merge(Change { set, remove })),
        2 => fields().prop_map(Step::Replace),
        1 => Just(Step::Clear),
    ];
    proptest::collection::vec((0..2_usize, step), 1..12)
}

/// What a step makes of a map, unless that is too much.
fn applied(step: &Step, model: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let next = match step {
        Step::Merge(Change { set, remove }) => {
            let mut next = model.clone();
            next.retain(|name, _| !remove.contains(name));
            next.extend(set.clone());
            next
        }
        Step::Replace(fields) => fields.clone(),
        Step::Clear => BTreeMap::new(),
    };
    (next.len() <= FIELDS_MAX).then_some(next)
}

async fn run(replicas: &[Replica; 2], owner: &str, steps: &[(usize, Step)]) {
    let mut model = BTreeMap::new();
    let mut version = 0;
    for (replica, step) in steps {
        let fields = &replicas[*replica].fields;
        let outcome = match step {
            Step::Merge(change) => fields.merge(owner, change).await,
            Step::Replace(map) => fields.replace(owner, map).await,
            Step::Clear => fields.clear(owner).await.map_err(FieldsError::from),
        };
        match applied(step, &model) {
            Some(next) => {
                let contents = outcome.unwrap();
                assert!(contents.version > version);
                (version, model) = (contents.version, next);
                assert_eq!(contents.fields, model);
            }
            None => assert!(matches!(outcome, Err(FieldsError::TooMany { .. })), "{outcome:?}"),
        }
        let seen = replicas[1 - *replica].fields.get(owner).await.unwrap();
        assert_eq!(seen.fields, model);
        assert!(seen.version >= version);
    }
}

fn check(store: &Store, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounds = FieldBounds { fields_max: FIELDS_MAX, field_bytes_max: 8 };
    let settings = FieldsSettings { bounds, ..FieldsSettings::default() };
    let replica = || runtime.block_on(store.replica_with(SessionSettings::default(), settings));
    let replicas = [replica(), replica()];
    // Each case begins with nothing.
    let owner = Cell::new(0_u32);
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let outcome = runner.run(&steps(), |steps| {
        owner.set(owner.get() + 1);
        runtime.block_on(run(&replicas, &owner.get().to_string(), &steps));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn redis_does_what_a_map_does() {
    check(&Store::Redis(Redis::start()), 100);
}

#[test]
fn a_file_does_what_a_map_does() {
    check(&Store::embedded(), 24);
}
