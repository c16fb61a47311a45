//! "Did you mean": the name that a misspelt one stands for.

/// Candidates that are compared; the ones after them would cost time and are no better guess.
const CANDIDATES_MAX: usize = 100;
/// No name of ours is longer, and comparing costs the product of both lengths.
const NAME_BYTES_MAX: usize = 64;

/// Fewer letters in common are chance.
const PREFIX_BYTES_MIN: usize = 3;

/// The candidate that was probably meant by `name`: the one that differs least, if at most a third of it differs or one of both
/// begins with the other.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let distances = candidates.into_iter().take(CANDIDATES_MAX).filter_map(|candidate| {
        let distance = strsim::osa_distance(&name, &candidate.to_lowercase());
        let (shorter, longer) =
            if name.len() < candidate.len() { (&*name, candidate) } else { (candidate, &*name) };
        let is_prefix = shorter.len() >= PREFIX_BYTES_MIN && longer.starts_with(shorter);
        (is_prefix || distance <= longer.len() / 3).then_some((distance, candidate))
    });
    distances.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Names in backticks, separated by commas; of many the first.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut listed: Vec<String> = names.by_ref().take(30).map(|name| format!("`{name}`")).collect();
    if names.next().is_some() {
        listed.push("…".to_owned());
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["endpoints", "command", "env", "replicas"];
        for (name, suggestion) in [
            ("endpoint", Some("endpoints")),
            ("enpdoints", Some("endpoints")),
            ("Command", Some("command")),
            ("evn", Some("env")),
            ("environment", Some("env")),
            ("repl", Some("replicas")),
            ("re", None),
            ("timeout", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), suggestion, "{name}");
        }
    }
}
