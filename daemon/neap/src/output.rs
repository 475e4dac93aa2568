//! The one way to stdout and stderr: what clouds, names, tags and journals say is shown, and steers
//! no terminal.
//!
//! Control characters and signs that turn text around become `\u001b`, `\u202e`. In JSON they stand
//! in texts alone, where that is how JSON writes them: it stays the same JSON.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

/// Prints a line to stdout. Whoever closed it has seen enough.
macro_rules! println {
    () => { $crate::output::line(&mut $crate::output::stdout(), format_args!("")) };
    ($($part:tt)*) => { $crate::output::line(&mut $crate::output::stdout(), format_args!($($part)*)) };
}

/// Prints a line to stderr. Whoever closed it has seen enough.
macro_rules! eprintln {
    ($($part:tt)*) => { $crate::output::line(&mut $crate::output::stderr(), format_args!($($part)*)) };
}

/// Writes a line, if anybody reads on.
pub fn line(out: &mut impl Write, text: fmt::Arguments<'_>) {
    // At once, so that lines of several threads do not mix.
    let _gone = out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush());
}

/// Stdout.
pub fn stdout() -> Clean<io::StdoutLock<'static>> {
    Clean::new(io::stdout().lock(), false)
}

/// Stdout for texts that are shown by [`shown`] and painted by us.
pub fn painted_stdout() -> Clean<io::StdoutLock<'static>> {
    Clean::new(io::stdout().lock(), true)
}

/// Stderr.
pub fn stderr() -> Clean<io::Stderr> {
    Clean::new(io::stderr(), false)
}

/// Stderr for the log, whose library paints lines and shows escapes of others itself.
pub fn log() -> Clean<io::Stderr> {
    Clean::new(io::stderr(), true)
}

/// A text without anything that steers a terminal.
pub fn shown(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    push(&mut clean, text, false);
    clean
}

/// Whether a character steers what shows it: controls of C0 and C1, marks, embeddings, overrides and
/// isolates of direction, and separators of lines. [UAX #9; ECMA-48]
fn steers(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        c => c.is_control(),
    }
}

fn push(clean: &mut String, text: &str, painted: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(steers) {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        if let Some(paint) = paint(from).filter(|_| painted) {
            clean.push_str(paint);
            rest = &from[paint.len()..];
            continue;
        }
        let mut chars = from.chars();
        if let Some(c) = chars.next() {
            // Writing to a text does not fail.
            let _ = write!(clean, "\\u{:04x}", u32::from(c));
        }
        rest = chars.as_str();
    }
    clean.push_str(rest);
}

/// The sequence that `text` begins with, where it is one that sets a colour.
fn paint(text: &str) -> Option<&str> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    codes[end..].starts_with('m').then(|| &text[..end + 3])
}

/// A writer that shows what would steer a terminal.
#[derive(Debug)]
pub struct Clean<W: Write> {
    inner: W,
    painted: bool,
    /// The beginning of a character whose end was not written yet.
    begun: Vec<u8>,
}

impl<W: Write> Clean<W> {
    fn new(inner: W, painted: bool) -> Clean<W> {
        Clean { inner, painted, begun: Vec::new() }
    }
}

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut clean = String::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            push(&mut clean, chunk.valid(), self.painted);
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_begun(invalid) {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                clean.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.inner.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether bytes at the end of a piece may be the beginning of a character.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]], painted: bool) -> String {
        let mut out = Clean::new(Vec::new(), painted);
        pieces.iter().for_each(|piece| out.write_all(piece).unwrap());
        String::from_utf8(out.inner).unwrap()
    }

    /// Every character that steers, and neighbours of each that do not.
    #[test]
    fn nothing_that_steers_comes_through() {
        let foreign = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{7f}'];
        let ranges = ['\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}', '\u{80}'..='\u{9f}'];
        let low = ('\0'..' ').filter(|c| !matches!(c, '\n' | '\t'));
        for c in foreign.into_iter().chain(ranges.into_iter().flatten()).chain(low) {
            let expected = format!("a\\u{:04x}b", u32::from(c));
            assert_eq!(shown(&format!("a{c}b")), expected);
            let bytes = format!("a{c}b").into_bytes();
            for cut in 0..=bytes.len() {
                let (one, other) = bytes.split_at(cut);
                assert_eq!(written(&[one, other], false), expected, "{cut}");
            }
        }
        let plain =
            "tab\tline\nпривет 日本語 مثال 👩\u{200d}💻 \u{a0}\u{ad}\u{2027}\u{2065}\u{202f}";
        assert_eq!(shown(plain), plain);
    }

    #[test]
    fn bytes_that_are_no_text_are_marked_as_such() {
        assert_eq!(written(&[b"a\x9bb", b"\xe2\x80"], false), "a\u{fffd}b");
        assert_eq!(written(&[b"\xe2", b"\x80", b"\xaex"], false), "\\u202ex");
        assert_eq!(written(&[b"\xe2", b"x"], false), "\u{fffd}x");
    }

    #[test]
    fn our_own_paint_is_left_and_no_other_sequence() {
        let text = "\u{1b}[32m+2\u{1b}[0m \u{1b}[2J\u{1b}]0;x\u{7}\u{1b}[1;31mr\u{1b}[m";
        assert_eq!(
            written(&[text.as_bytes()], true),
            "\u{1b}[32m+2\u{1b}[0m \\u001b[2J\\u001b]0;x\\u0007\u{1b}[1;31mr\u{1b}[m"
        );
        assert!(!written(&[text.as_bytes()], false).contains('\u{1b}'));
    }

    #[test]
    fn json_is_the_same_json() {
        let texts: Vec<String> = (0..0x2100).filter_map(char::from_u32).map(String::from).collect();
        let value = serde_json::json!({ "texts": texts, "k\u{202e}": "\\u202e \u{9b}2J" });
        for text in [value.to_string(), format!("{value:#}\n")] {
            let clean = shown(&text);
            assert!(!clean.contains(steers));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), value);
        }
    }
}
