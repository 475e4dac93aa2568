//! Lists of names in messages, and the name that was probably meant.

/// Names closer than this (Jaro-Winkler) are taken for slips of the pen.
const SLIP_SIMILARITY: f64 = 0.75;
/// From this length on a part of a name is taken for the name.
const PART_CHARS_LEAST: usize = 4;

/// The known name that was probably meant.
pub(crate) fn did_you_mean<'n>(
    found: &str,
    known: impl Iterator<Item = &'n str>,
) -> Option<String> {
    known
        .map(|name| (similarity(found, name), name))
        .filter(|(similarity, _)| *similarity >= SLIP_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// 0 to 1; letters changed about and parts of a name count as slips too.
fn similarity(found: &str, name: &str) -> f64 {
    let (lower, long) = (found.to_lowercase(), found.chars().count() >= PART_CHARS_LEAST);
    let swapped = found.chars().count() > 1 && strsim::osa_distance(&lower, name) <= 1;
    let slip = swapped || (long && name.contains(&lower));
    let base = if slip { SLIP_SIMILARITY } else { 0.0 };
    strsim::jaro_winkler(found, name).max(base)
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn either(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// `` `a`, `b`, `c` ``, by name.
pub(super) fn listed(words: &[String]) -> String {
    let mut words = words.to_vec();
    words.sort();
    words.dedup();
    let names: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    names.join(", ")
}
