//! What is wrong with a configuration, where, and what would be right.

use std::fmt;

use serde::Serialize;

/// One fault of a configuration.
///
/// Its `Display` is `file:line:col: message`, with the hint on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ConfigFault {
    /// The file, as the operator named it.
    pub file: String,
    /// The line, from 1; 0 where the file could not be read at all.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The dotted key, such as `service.checkout.pool.min`; empty at the top.
    pub key: String,
    /// What is wrong: what was found and what was expected.
    pub message: String,
    /// The way out, where one is known.
    pub hint: Option<String>,
}

impl ConfigFault {
    /// A fault at a line and column of a file that is not TOML.
    pub(super) fn in_file(
        file: &str,
        (line, column): (usize, usize),
        key: &str,
        message: String,
        hint: Option<String>,
    ) -> ConfigFault {
        ConfigFault { file: file.to_owned(), line, column, key: key.to_owned(), message, hint }
    }

    /// A file that could not be read.
    pub(super) fn unreadable(file: &str, error: &std::io::Error) -> ConfigFault {
        let hint = (error.kind() == std::io::ErrorKind::NotFound).then(|| {
            "name it with `--config FILE`; `neap init` prints one to start from".to_owned()
        });
        ConfigFault {
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message: format!("the configuration cannot be read: {error}"),
            hint,
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message)?,
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Line and column, both from 1, of a byte offset; columns count characters.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nb = \"ö\" x\n";
        let found = [0, 4, 6, 10, text.find('x').unwrap(), text.len(), 999].map(|o| place(text, o));
        assert_eq!(found, [(1, 1), (1, 5), (2, 1), (2, 5), (2, 9), (3, 1), (3, 1)]);
    }
}
