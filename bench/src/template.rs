//! Fills `@NAME@` in a configuration file.

/// The template with every placeholder replaced.
///
/// # Panics
/// When a placeholder is left: the templates are part of this program, so that is a fault of ours.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let filled = values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value));
    assert!(!filled.contains('@'), "a placeholder was left in:\n{filled}");
    filled
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn every_occurrence_is_replaced() {
        assert_eq!(fill("listen @A@; also @A@ and @B@", &[("A", "1"), ("B", "2")]), "listen 1; also 1 and 2");
    }

    #[test]
    #[should_panic(expected = "a placeholder was left")]
    fn a_forgotten_placeholder_is_a_fault() {
        fill("listen @A@", &[]);
    }
}
