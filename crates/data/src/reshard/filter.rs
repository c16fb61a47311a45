//! SQL that says which rows are of some buckets: for the streams, which allow only simple expressions, and for everything else.

use phalanx_shard::BucketSet;

/// So many runs are compared one after the other; more of them are looked up in a list, which is hashed.
const RUNS_MAX: usize = 8;

/// The bucket of a row, as an expression. `column` is a name as SQL writes it.
pub(super) fn bucket_of(column: &str, modulus: i32) -> String {
    format!("({column} % {modulus})")
}

/// Whether the row is of one of `buckets`, as an expression.
pub(super) fn is_of(column: &str, modulus: i32, buckets: &BucketSet) -> String {
    let bucket = bucket_of(column, modulus);
    if buckets.runs().count() > RUNS_MAX {
        let numbers: Vec<String> = buckets.iter().map(|bucket| bucket.to_string()).collect();
        return format!("({bucket}::int4 = ANY ('{{{}}}'::int4[]))", numbers.join(","));
    }
    let runs = buckets.runs().map(|run| match (run.first, run.last, run.step) {
        (first, last, _) if first == last => format!("{bucket} = {first}"),
        (first, last, 1) => format!("{bucket} BETWEEN {first} AND {last}"),
        (first, last, step) => {
            format!("{bucket} BETWEEN {first} AND {last} AND ({bucket} - {first}) % {step} = 0")
        }
    });
    format!("({})", runs.collect::<Vec<_>>().join(" OR "))
}

/// The buckets as an array.
pub(super) fn array(buckets: &BucketSet) -> String {
    let numbers: Vec<String> = buckets.iter().map(|bucket| bucket.to_string()).collect();
    format!("'{{{}}}'::int2[]", numbers.join(","))
}

/// A text as SQL writes it. Escapes are off in every server that this program takes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(buckets: &str) -> String {
        is_of("id", 4096, &buckets.parse().unwrap())
    }

    #[test]
    fn runs_are_compared() {
        for (buckets, expected) in [
            ("7", "((id % 4096) = 7)"),
            ("2048-4095", "((id % 4096) BETWEEN 2048 AND 4095)"),
            ("0-9,20-29", "((id % 4096) BETWEEN 0 AND 9 OR (id % 4096) BETWEEN 20 AND 29)"),
            ("1-4095/2", "((id % 4096) BETWEEN 1 AND 4095 AND ((id % 4096) - 1) % 2 = 0)"),
        ] {
            assert_eq!(filter(buckets), expected);
        }
    }

    #[test]
    fn many_runs_are_a_list() {
        let filter = filter("0,2,5,9,14,20,27,35,44,54");
        assert_eq!(filter, "((id % 4096)::int4 = ANY ('{0,2,5,9,14,20,27,35,44,54}'::int4[]))");
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(array(&"1-3".parse().unwrap()), "'{1,2,3}'::int2[]");
    }
}
