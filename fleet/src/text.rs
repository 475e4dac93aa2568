//! Texts as people's editors leave them.

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
