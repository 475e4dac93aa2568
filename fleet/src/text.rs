//! Texts as people's editors leave them, and those that are too long.

use std::borrow::Cow;

/// A text without the byte order mark that some editors begin it with.
///
/// ```
/// use fleet::text::without_mark;
///
/// for text in ["[log]", "\u{feff}[log]", "\u{feff}\u{feff}[log]"] {
///     assert_eq!(without_mark(text), "[log]");
/// }
/// // Elsewhere it is a character like any other.
/// assert_eq!(without_mark(" \u{feff}x\u{feff}"), " \u{feff}x\u{feff}");
/// assert_eq!(without_mark("\u{feff}"), "");
/// ```
pub fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// A text of at most so many characters. One that was cut ends with `…`, and between words: half a
/// number would be another number.
///
/// ```
/// use fleet::text::shortened;
///
/// let cause = "changing the desired capacity from 120 to 128.";
/// assert_eq!(shortened(cause, 80), cause);
/// assert_eq!(shortened(cause, 45), "changing the desired capacity from 120 to…");
/// assert_eq!(shortened(cause, 37), "changing the desired capacity from…");
/// // Where it has no space, letters are parted, and digits are not.
/// assert_eq!(shortened("abcdefgh", 5), "abcd…");
/// assert_eq!(shortened("min:12345678", 8), "min:…");
/// assert_eq!(shortened("12345678", 5), "…");
/// ```
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let room = most.saturating_sub(1);
    let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    let (kept, rest) = text.split_at(end);
    let whole = |kept: &str, rest: &str| {
        rest.starts_with(char::is_whitespace)
            || kept.is_empty()
            || kept.ends_with(char::is_whitespace)
    };
    let kept = match kept.rfind(char::is_whitespace) {
        _ if whole(kept, rest) => kept,
        // A space long before the end tells nothing: the text has none.
        Some(space) if 2 * space >= end => &kept[..space],
        _ => {
            let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-');
            let parts_number = rest.starts_with(of_number) || kept.ends_with(of_number);
            if parts_number { kept.trim_end_matches(of_number) } else { kept }
        }
    };
    Cow::Owned(format!("{}…", kept.trim_end()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is cut: it is no longer than asked for, begins as the text does, and no number ends
        /// in the middle.
        #[test]
        fn nothing_is_cut_inside_a_number(
            text in "[a-z0-9 .,é]{0,60}",
            most in 1usize..40,
        ) {
            let short = shortened(&text, most);
            prop_assert!(short.chars().count() <= most);
            if let Some(kept) = short.strip_suffix('…') {
                prop_assert!(text.starts_with(kept));
                let next = text[kept.len()..].chars().next();
                let parted = kept.ends_with(|c: char| c.is_ascii_digit())
                    && next.is_some_and(|c| c.is_ascii_digit());
                prop_assert!(!parted, "{kept} {next:?}");
            } else {
                prop_assert_eq!(&*short, &*text);
            }
        }
    }
}
