//! Words of others made harmless: names come from tags, and anybody may write those.

use std::borrow::Cow;

/// What stands where a text was cut off.
const CUT: char = '…';
/// Begins and ends a piece of text whose direction does not reach beyond it.
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

/// One line of what can be seen: no controls, no marks that turn the direction of text about, no
/// letters without width. Emoji and letters of every script stay.
pub fn plain(text: &str) -> String {
    let seen = text.chars().filter_map(|c| match c {
        '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() || is_unseen(c) => None,
        c => Some(c),
    });
    let seen: String = seen.collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Joiners, U+200C and U+200D, are not among them: emoji and several scripts need these.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text written from right to left, kept from turning about what stands around it.
pub fn isolated(text: &str) -> Cow<'_, str> {
    let is_turned = |c: char| {
        matches!(c,
            '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    };
    if text.contains(is_turned) {
        Cow::Owned(format!("{}{text}{}", ISOLATE.0, ISOLATE.1))
    } else {
        Cow::Borrowed(text)
    }
}

/// Text without a character that any Markdown gives a meaning to: each becomes one that looks much
/// the same. For receivers whose rules know no escape, or that show it.
pub fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        inert.push(match c {
            '*' => '∗',
            // Inside a word it means nothing, and names are copied.
            '_' if !(is_inside(before) && is_inside(rest.peek().copied())) => '＿',
            '`' => 'ˋ',
            '~' => '～',
            '#' => '＃',
            '[' => '［',
            ']' => '］',
            '<' => '＜',
            '>' => '＞',
            '|' => '｜',
            '\\' => '＼',
            '@' => '＠',
            c => c,
        });
        before = Some(c);
    }
    inert
}

/// At most `max` of what `measure` counts a character as; where it was cut, one sees it.
pub fn cut(text: &str, max: usize, measure: fn(char) -> usize) -> Cow<'_, str> {
    let mut length = 0;
    // The last place after which there is still room for the mark.
    let mut last = 0;
    for (at, c) in text.char_indices() {
        if length + measure(CUT) <= max {
            last = at;
        }
        length += measure(c);
        if length > max {
            return Cow::Owned(format!("{}{CUT}", text[..last].trim_end()));
        }
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_taken_out() {
        let told = plain("a\u{202e}b\u{200b}c\n\r\td\u{2066}e\u{2069}\u{0}\u{1b}[31m  f\u{2028}g");
        assert_eq!(told, "abc de[31m f g");
        for kept in ["👩‍💻 build", "日本語 名前", "مثال", "<b>&amp;</b>", "e\u{301}"]
        {
            assert_eq!(plain(kept), kept);
        }
        assert_eq!(isolated("مثال.exe"), "\u{2068}مثال.exe\u{2069}");
        assert_eq!(isolated("plain"), "plain");
    }

    #[test]
    fn markdown_loses_its_meaning() {
        assert_eq!(
            inert("# **a** _b_ `c` [d](https://e) ![f](g) <@all> > | ~~h~~ \\* web_1_a"),
            "＃ ∗∗a∗∗ ＿b＿ ˋcˋ ［d］(https://e) !［f］(g) ＜＠all＞ ＞ ｜ ～～h～～ ＼∗ web_1_a"
        );
    }

    #[test]
    fn a_cut_is_seen_and_never_too_long() {
        assert_eq!(cut("abc", 3, char::len_utf8), "abc");
        assert_eq!(cut("abcd efgh", 7, char::len_utf8), "abcd…");
        assert_eq!(cut("ééé", 5, char::len_utf8), "é…");
        assert_eq!(cut("👩👩👩", 4, char::len_utf16), "👩…");
        for max in 3..40 {
            let text = "aé日👩".repeat(5);
            assert!(cut(&text, max, char::len_utf8).len() <= max, "{max}");
            assert!(cut(&text, max, char::len_utf16).encode_utf16().count() <= max, "{max}");
        }
    }
}
