//! Typed readers over a spanned document: a wrong value is noted with its place, and reading goes on.

mod entry;
mod words;

use std::cell::RefCell;
use std::ops::Range;

use toml::de::DeTable;

use super::Checks;
use super::fault::{ConfigFault, place};
use super::keys::Key;

pub(super) use entry::Entry;
use words::listed;
pub(super) use words::{did_you_mean, either};

/// Longest piece of the file that a message repeats.
const FOUND_CHARS_MAX: usize = 60;

/// A file being read, and the faults found so far.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    faults: RefCell<Vec<Noted>>,
    checks: &'a Checks,
}

/// A fault with what sorting and filtering need.
struct Noted {
    offset: usize,
    missing: bool,
    fault: ConfigFault,
}

impl<'a> Source<'a> {
    /// A file as read, before any fault is found in it.
    pub fn new(file: &'a str, text: &'a str, checks: &'a Checks) -> Source<'a> {
        Source { file, text, faults: RefCell::new(Vec::new()), checks }
    }

    /// Notes a fault at a byte offset.
    pub fn fault(&self, offset: usize, key: &str, message: String, hint: Option<String>) {
        self.note(offset, false, key, message, hint);
    }

    fn note(&self, offset: usize, missing: bool, key: &str, message: String, hint: Option<String>) {
        let (line, column) = place(self.text, offset);
        let (file, key) = (self.file.to_owned(), key.to_owned());
        let fault = ConfigFault { file, line, column, key, message, hint };
        self.faults.borrow_mut().push(Noted { offset, missing, fault });
    }

    /// Notes a fault of another file that is named at a byte offset of this one.
    fn fault_elsewhere(&self, offset: usize, fault: ConfigFault) {
        self.faults.borrow_mut().push(Noted { offset, missing: false, fault });
    }

    /// All faults in file order.
    ///
    /// With syntax faults the rest of the document cannot be trusted, so only what stands before
    /// the first of them is judged, and nothing is called missing.
    pub fn into_faults(self, syntax: &[toml::de::Error]) -> Vec<ConfigFault> {
        let mut noted = self.faults.take();
        let first_break = syntax.iter().filter_map(|e| e.span()).map(|s| s.start).min();
        if !syntax.is_empty() {
            noted.retain(|n| !n.missing && first_break.is_some_and(|at| n.offset < at));
        }
        for error in syntax {
            let offset = error.span().map_or(0, |span| span.start);
            let (line, column) = place(self.text, offset);
            let what = one_line(error.message());
            let message = match (what.as_str(), error.span()) {
                ("duplicate key", Some(span)) => {
                    format!("key `{}` is there twice, expected once", self.excerpt(span))
                }
                _ => format!("not TOML: {what}"),
            };
            let (file, key) = (self.file.to_owned(), String::new());
            let fault = ConfigFault { file, line, column, key, message, hint: None };
            noted.push(Noted { offset, missing: false, fault });
        }
        noted.sort_by_key(|n| n.offset);
        let mut faults: Vec<ConfigFault> = noted.into_iter().map(|n| n.fault).collect();
        faults.dedup();
        faults
    }

    fn excerpt(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let mut short: String = one_line(text).chars().take(FOUND_CHARS_MAX).collect();
        if short.len() < one_line(text).len() {
            short.push('…');
        }
        short
    }
}

/// Line breaks would tear a message apart.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A table being read: what is never asked for is an unknown key.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    path: String,
    start: usize,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Table<'a> {
    /// The table that a whole file is; its keys have no path before them.
    pub fn root(source: &'a Source<'a>, entries: &'a DeTable<'a>) -> Table<'a> {
        let (path, asked) = (String::new(), RefCell::default());
        Table { source, path, start: 0, entries, asked }
    }

    /// What others check of what is read.
    pub fn checks(&self) -> &'a Checks {
        self.source.checks
    }

    /// The dotted key of the table itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &Key) -> Option<Entry<'a>> {
        self.ask(key.name)
    }

    fn ask(&self, key: &str) -> Option<Entry<'a>> {
        self.asked.borrow_mut().push(key.to_owned());
        self.entry(key)
    }

    /// The value of a key; a fault if it is not there.
    pub fn required(&self, key: &Key, expected: &str) -> Option<Entry<'a>> {
        let entry = self.get(key);
        if entry.is_none() {
            self.missing(key, expected, None);
        }
        entry
    }

    /// Notes that a key is missing.
    pub fn missing(&self, key: &Key, expected: &str, hint: Option<String>) {
        let of = match self.path.as_str() {
            "" => String::new(),
            path => format!("`{path}` has "),
        };
        let key = key.name;
        let message = format!("{of}no `{key}`, expected {expected}");
        self.source.note(self.start, true, &join(&self.path, key), message, hint);
    }

    /// Notes a fault of the table as a whole.
    pub fn fault(&self, message: String, hint: Option<String>) {
        self.source.fault(self.start, &self.path, message, hint);
    }

    /// The line in which it begins.
    pub fn line(&self) -> usize {
        place(self.source.text, self.start).0
    }

    /// Every entry, in file order, for tables whose keys the operator chooses.
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let mut all: Vec<Entry<'a>> =
            self.entries.keys().filter_map(|key| self.ask(key.get_ref())).collect();
        all.sort_by_key(|entry| entry.key_start);
        all
    }

    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&self, key: &str) -> Option<Entry<'a>> {
        let (name, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Entry {
            source: self.source,
            path: join(&self.path, key),
            key: key.to_owned(),
            key_start: name.span().start,
            value,
        })
    }

    /// Notes every key that nobody asked for. Call it last.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (name, _) in self.entries {
            let key = name.get_ref().as_ref();
            if asked.iter().any(|known| known == key) {
                continue;
            }
            let whose = match self.path.as_str() {
                "" => "at the top of the file".to_owned(),
                path => format!("in `{path}`"),
            };
            let message = format!("unknown key `{key}` {whose}");
            let hint = did_you_mean(key, asked.iter().map(String::as_str))
                .or_else(|| Some(format!("known here: {}", listed(&asked))));
            self.source.fault(name.span().start, &join(&self.path, key), message, hint);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
