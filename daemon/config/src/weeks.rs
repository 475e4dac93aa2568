//! Which of a month's days of a name are meant: `first Thu`, `last Fri`.

use std::fmt;

use jiff::civil::Date;

/// A day of a month among those of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfMonth {
    /// Counted from 1; months have four or five of a name.
    Nth(i8),
    /// The fourth or the fifth.
    Last,
}

const WORDS: [(&str, OfMonth); 6] = [
    ("first", OfMonth::Nth(1)),
    ("second", OfMonth::Nth(2)),
    ("third", OfMonth::Nth(3)),
    ("fourth", OfMonth::Nth(4)),
    ("fifth", OfMonth::Nth(5)),
    ("last", OfMonth::Last),
];

impl OfMonth {
    /// Takes `first`, or `first,third`, off the beginning of a text; of one that begins otherwise,
    /// nothing.
    pub(super) fn split(text: &str) -> (Vec<OfMonth>, &str) {
        let text = text.trim_start();
        let Some((word, rest)) = text.split_once(char::is_whitespace) else {
            return (Vec::new(), text);
        };
        let one = |part| WORDS.iter().find(|(word, _)| *word == part).map(|(_, which)| *which);
        match word.split(',').map(one).collect::<Option<Vec<OfMonth>>>() {
            Some(which) => (which, rest.trim_start()),
            None => (Vec::new(), text),
        }
    }

    /// Whether the date is one.
    pub(super) fn is(self, date: Date) -> bool {
        match self {
            OfMonth::Nth(which) => (date.day() - 1) / 7 + 1 == which,
            OfMonth::Last => date.day() + 7 > date.days_in_month(),
        }
    }
}

/// As an operator writes it.
impl fmt::Display for OfMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, which)| which == self).map_or("", |(word, _)| *word);
        f.write_str(word)
    }
}
