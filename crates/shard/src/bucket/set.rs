//! A set of buckets and its text: runs of one step, with commas between them. `0-2047` is what it looks like, `7` a single
//! bucket, and `1-4095/2` every second one, as databases that were divided by a remainder need it.
//!
//! Invariant: what is written reads back as the same set, and is short where the set is regular.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{BUCKETS, Bucket};

/// Buckets in ascending order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSet(Vec<Bucket>);

impl BucketSet {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `bucket` is one of them.
    #[must_use]
    pub fn contains(&self, bucket: Bucket) -> bool {
        self.0.binary_search(&bucket).is_ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Bucket> + '_ {
        self.0.iter().copied()
    }

    /// The runs that make up its text, in order.
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let first = *rest.first()?;
            let (length, step) = first_run(rest);
            let last = rest[length - 1];
            rest = &rest[length..];
            Some(Run { first, last, step })
        })
    }
}

/// Buckets at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The least of them.
    pub first: Bucket,
    /// The greatest; the same as the first in a run of one.
    pub last: Bucket,
    /// The distance between two, at least 1.
    pub step: u16,
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, step } = self;
        match step {
            _ if first == last => write!(formatter, "{first}"),
            1 => write!(formatter, "{first}-{last}"),
            step => write!(formatter, "{first}-{last}/{step}"),
        }
    }
}

impl FromIterator<Bucket> for BucketSet {
    fn from_iter<I: IntoIterator<Item = Bucket>>(buckets: I) -> Self {
        let sorted: BTreeSet<_> = buckets.into_iter().collect();
        Self(sorted.into_iter().collect())
    }
}

impl fmt::Display for BucketSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, run) in self.runs().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            write!(formatter, "{separator}{run}")?;
        }
        Ok(())
    }
}

/// The length and the step of the run that `buckets` begins with. Two that are no neighbours are two runs.
fn first_run(buckets: &[Bucket]) -> (usize, u16) {
    let [first, second, ..] = buckets else { return (1, 1) };
    let step = second.get() - first.get();
    let length = 1 + buckets.windows(2).take_while(|pair| pair[1].get() - pair[0].get() == step).count();
    if length == 2 && step > 1 { (1, 1) } else { (length, step) }
}

/// Why a text is no set of buckets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBucketsError {
    /// What stands between two commas is none of `7`, `0-2047`, `1-4095/2`.
    #[error("`{0}` is no bucket and no range like 0-2047")]
    Run(String),
    /// A number is 4096 or more.
    #[error("`{0}` goes beyond bucket 4095")]
    Beyond(String),
    /// A range ends before it begins, or its last bucket is not a whole number of steps away.
    #[error("the range `{0}` does not end where it should")]
    End(String),
    /// Two runs have a bucket in common.
    #[error("bucket {0} is named twice")]
    Twice(Bucket),
}

impl FromStr for BucketSet {
    type Err = ParseBucketsError;

    fn from_str(text: &str) -> Result<Self, ParseBucketsError> {
        let mut buckets = BTreeSet::new();
        for run in text.split(',') {
            for bucket in parsed_run(run)? {
                if !buckets.insert(bucket) {
                    return Err(ParseBucketsError::Twice(bucket));
                }
            }
        }
        Ok(Self(buckets.into_iter().collect()))
    }
}

fn parsed_run(run: &str) -> Result<impl Iterator<Item = Bucket>, ParseBucketsError> {
    let number = |text: &str| number(text).ok_or_else(|| ParseBucketsError::Run(run.to_owned()));
    let (range, step) = match run.split_once('/') {
        Some((range, step)) if range.contains('-') => (range, number(step)?),
        Some(_) => return Err(ParseBucketsError::Run(run.to_owned())),
        None => (run, 1),
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    if first.max(last) >= u32::from(BUCKETS) {
        return Err(ParseBucketsError::Beyond(run.to_owned()));
    }
    if step == 0 || last < first || (last - first) % step != 0 {
        return Err(ParseBucketsError::End(run.to_owned()));
    }
    let step = usize::try_from(step).map_err(|_| ParseBucketsError::End(run.to_owned()))?;
    Ok((first..=last).step_by(step).map(|bucket| Bucket::of_low_bits(bucket.into())))
}

/// Digits only: `+7` and the empty text are no numbers.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(buckets: impl IntoIterator<Item = u16>) -> BucketSet {
        buckets.into_iter().map(|bucket| Bucket::try_from(bucket).unwrap()).collect()
    }

    #[test]
    fn regular_sets_have_short_texts() {
        for (buckets, expected) in [
            (set([]), ""),
            (set([7]), "7"),
            (set([7, 9]), "7,9"),
            (set([7, 8]), "7-8"),
            (set(0..2048), "0-2047"),
            (set((1..4096).step_by(2)), "1-4095/2"),
            (set([0, 1, 2, 10, 20, 30, 31]), "0-2,10-30/10,31"),
            (set([5, 4, 5]), "4-5"),
        ] {
            assert_eq!(buckets.to_string(), expected);
        }
    }

    #[test]
    fn faults_are_named() {
        use ParseBucketsError::{Beyond, End, Run, Twice};
        let at = |bucket| Bucket::try_from(bucket).unwrap();
        for (text, expected) in [
            ("", Run(String::new())),
            ("1,", Run(String::new())),
            ("+1", Run("+1".to_owned())),
            ("1-2-3", Run("1-2-3".to_owned())),
            ("7/2", Run("7/2".to_owned())),
            ("1-", Run("1-".to_owned())),
            ("99999999999", Run("99999999999".to_owned())),
            ("0-4096", Beyond("0-4096".to_owned())),
            ("5-4", End("5-4".to_owned())),
            ("0-5/2", End("0-5/2".to_owned())),
            ("0-4/0", End("0-4/0".to_owned())),
            ("0-4,4", Twice(at(4))),
        ] {
            assert_eq!(text.parse::<BucketSet>(), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            buckets in prop::collection::btree_set(0..BUCKETS, 1..200),
            step in 1_u16..40,
        ) {
            let irregular = set(buckets.iter().copied());
            let regular = set(buckets.iter().map(|bucket| bucket / step * step));
            for set in [irregular, regular] {
                prop_assert_eq!(set.to_string().parse::<BucketSet>(), Ok(set.clone()));
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9,/-]{0,12}|.*") {
            if let Ok(set) = text.parse::<BucketSet>() {
                prop_assert!(!set.is_empty());
                prop_assert_eq!(set.to_string().parse(), Ok(set));
            }
        }
    }
}
