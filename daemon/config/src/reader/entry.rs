//! A key and its value: each reader takes one kind of value and notes any other.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use fleet::text::without_mark;
use fleet::{Seconds, Units};
use planner::policy::Share;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Source, Table, did_you_mean, either};
use crate::fault::{ConfigFault, place};
use crate::secret::SecretFile;
use crate::{Checks, value};

/// More units than any cloud puts in one group: a slip of the pen.
const UNITS_MAX: u32 = 1_000_000;

/// A key and its value.
pub(crate) struct Entry<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) key_start: usize,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    /// What others check of what is read.
    pub fn checks(&self) -> &'a Checks {
        self.source.checks
    }

    /// The last part of the dotted key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Notes a fault at the key.
    pub fn key_fault(&self, message: String, hint: Option<String>) {
        self.source.fault(self.key_start, &self.path, message, hint);
    }

    /// Notes a fault at the value.
    pub fn fault(&self, message: String, hint: Option<String>) {
        self.source.fault(self.value.span().start, &self.path, message, hint);
    }

    /// What stands in the file of `what` (`prices`, `holidays`) that it names, from where this file
    /// lies; every fault of that file is noted.
    pub fn file_beside<T>(
        &self,
        what: &str,
        parse: impl FnOnce(&str, &str) -> Result<T, Vec<ConfigFault>>,
    ) -> Option<T> {
        let path = self.path_beside(&format!("the path of a file of {what}"))?;
        let name = path.display().to_string();
        let read = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("the file of {what} cannot be read: {error}");
            vec![ConfigFault::in_file(&name, (0, 0), "", message, None)]
        });
        match read.and_then(|text| parse(&name, without_mark(&text))) {
            Ok(parsed) => Some(parsed),
            Err(faults) => {
                for fault in faults {
                    self.source.fault_elsewhere(self.value.span().start, fault);
                }
                None
            }
        }
    }

    /// The path that it names, from where this file lies.
    pub fn path_beside(&self, expected: &str) -> Option<PathBuf> {
        let folder = Path::new(self.source.file).parent().unwrap_or(Path::new(""));
        Some(folder.join(self.text(expected)?))
    }

    /// The file of a secret (an `address`, a `token`) that it names, from where this file lies. It
    /// is read by those alone who use it: many may read a configuration, and few a secret.
    pub fn secret_file(&self, what: &str) -> Option<SecretFile> {
        let expected = format!("the path of a file that holds the {what}");
        if self.as_text().is_some_and(|text| text.contains("://")) {
            // A secret that stands in the file by mistake is not repeated.
            self.fault(format!("`{}` is an address itself, expected {expected}", self.key), None);
            return None;
        }
        let path = self.path_beside(&expected)?;
        let file = self.source.file.to_owned();
        let (line, column) = place(self.source.text, self.value.span().start);
        let message = String::new();
        let place = ConfigFault { file, line, column, key: self.path.clone(), message, hint: None };
        Some(SecretFile::new(path, what, place))
    }

    /// Notes that something else was expected.
    pub fn unexpected(&self, expected: &str, hint: Option<String>) {
        self.fault(format!("{}, expected {expected}", self.found()), hint);
    }

    /// The key and its value as they stand in the file, for messages.
    pub fn found(&self) -> String {
        match self.value.get_ref() {
            DeValue::Table(table) if table.is_empty() => format!("`{}` is empty", self.key),
            DeValue::Table(_) => format!("`{}` is a table", self.key),
            _ => format!("`{} = {}`", self.key, self.source.excerpt(self.value.span())),
        }
    }

    /// Text of at least one character.
    pub fn text(&self, expected: &str) -> Option<&'a str> {
        match self.value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.unexpected(expected, None);
                None
            }
        }
    }

    /// A name, by its own constructor.
    pub fn name<T>(&self, new: impl Fn(String) -> Option<T>, expected: &str) -> Option<T> {
        let name = new(self.text(expected)?.to_owned());
        if name.is_none() {
            self.unexpected(&format!("{expected} without surrounding blanks"), None);
        }
        name
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.unexpected("`true` or `false`", None);
        }
        flag
    }

    /// A whole number in a range.
    pub fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let found = self.value.get_ref().as_integer().and_then(|number| {
            u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
        });
        let inside = found.filter(|number| range.contains(number));
        if inside.is_none() {
            let expected = match *range.end() {
                u64::MAX => format!("a whole number, {} or more", range.start()),
                end => format!("a whole number from {} to {end}", range.start()),
            };
            self.unexpected(&expected, None);
        }
        inside
    }

    /// A count of units.
    pub fn units(&self, least: u32) -> Option<Units> {
        let count = self.whole(u64::from(least)..=u64::from(UNITS_MAX))?;
        u32::try_from(count).ok().map(Units)
    }

    /// A number without checks of its range; `None` where it is none (not noted).
    fn number(&self) -> Option<f64> {
        let value = self.value.get_ref();
        let text = value
            .as_float()
            .map(|float| float.as_str())
            .or_else(|| value.as_integer().filter(|i| i.radix() == 10).map(|int| int.as_str()))?;
        text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A finite number above zero.
    pub fn positive(&self, expected: &str) -> Option<f64> {
        let found = self.number().filter(|number| *number > 0.0);
        if found.is_none() {
            self.unexpected(expected, None);
        }
        found
    }

    /// A finite number of at least zero.
    pub fn not_negative(&self, expected: &str) -> Option<f64> {
        let found = self.number().filter(|number| *number >= 0.0);
        if found.is_none() {
            self.unexpected(expected, None);
        }
        found
    }

    /// A duration with a unit, in a range.
    pub fn duration(&self, range: RangeInclusive<Seconds>) -> Option<Seconds> {
        let text = self.value.get_ref().as_str();
        let Some(found) = text.and_then(value::duration) else {
            self.not_a_duration();
            return None;
        };
        if range.contains(&found) {
            return Some(found);
        }
        let (low, high) = (range.start(), range.end());
        self.unexpected(&format!("a duration from `{low}` to `{high}`"), None);
        None
    }

    fn not_a_duration(&self) {
        let bare = match self.value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) => self.source.excerpt(self.value.span()),
            DeValue::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit()) {
            let message = format!("{} has no unit, expected {}", self.found(), value::DURATION);
            self.fault(message, Some(format!("write `{} = \"{bare}s\"` for seconds", self.key)));
        } else {
            self.unexpected(value::DURATION, None);
        }
    }

    /// A share in percent.
    pub fn share(&self) -> Option<Share> {
        let found = self.value.get_ref().as_str().and_then(value::share);
        if found.is_none() {
            self.unexpected(value::SHARE, self.share_hint());
        }
        found
    }

    /// A bare number up to 1 is most likely a fraction, one up to 100 a percentage.
    fn share_hint(&self) -> Option<String> {
        let number = self.number().filter(|number| (0.0..=100.0).contains(number))?;
        let percent = if number <= 1.0 { number * 100.0 } else { number };
        // Cuts what binary fractions leave over.
        let percent = (percent * 1e4).round() / 1e4;
        Some(format!("a share has its unit, such as `{} = \"{percent}%\"`", self.key))
    }

    /// Text read by `read`.
    pub fn parsed<T>(&self, read: impl Fn(&str) -> Option<T>, expected: &str) -> Option<T> {
        let found = self.value.get_ref().as_str().and_then(read);
        if found.is_none() {
            self.unexpected(expected, None);
        }
        found
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<String> = choices.iter().map(|(word, _)| (*word).to_owned()).collect();
        let found = self.value.get_ref().as_str();
        let chosen = choices.iter().find(|(word, _)| Some(*word) == found).map(|(_, t)| *t);
        if chosen.is_none() {
            let hint = found.and_then(|word| did_you_mean(word, choices.iter().map(|(w, _)| *w)));
            self.unexpected(&either(&words), hint);
        }
        chosen
    }

    /// Whether it is text: for keys that take text or something else.
    pub fn as_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// Whether it is a whole number: for keys that take a number or something else.
    pub fn is_whole(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// Whether it is a date or time of TOML's own: their text.
    pub fn as_datetime(&self) -> Option<String> {
        self.value.get_ref().as_datetime().map(ToString::to_string)
    }

    /// A table.
    pub fn table(&self) -> Option<Table<'a>> {
        match self.value.get_ref().as_table() {
            Some(entries) => Some(self.as_table_of(entries)),
            None => {
                self.unexpected(&format!("a table such as `{{ … }}` or `[{}]`", self.path), None);
                None
            }
        }
    }

    fn as_table_of(&self, entries: &'a DeTable<'a>) -> Table<'a> {
        Table {
            source: self.source,
            path: self.path.clone(),
            start: self.value.span().start,
            entries,
            asked: RefCell::default(),
        }
    }

    /// The members of an array of tables, named after their `name` (or their place).
    pub fn tables(&self) -> Vec<Table<'a>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.unexpected("a list of tables such as `[{ … }]`", None);
            return Vec::new();
        };
        let members = array.iter().enumerate().map(|(at, value)| self.member(at, value));
        members.filter_map(|member| member.table()).collect()
    }

    /// The members of an array.
    pub fn list(&self, expected: &str) -> Vec<Entry<'a>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.unexpected(expected, None);
            return Vec::new();
        };
        array.iter().enumerate().map(|(at, value)| self.member(at, value)).collect()
    }

    /// Whether it is a list without members.
    pub fn list_is_empty(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|array| array.is_empty())
    }

    fn member(&self, at: usize, value: &'a Spanned<DeValue<'a>>) -> Entry<'a> {
        let name = value.get_ref().as_table().and_then(|t| t.get("name")?.get_ref().as_str());
        let path = match name {
            Some(name) => format!("{}.{name}", self.path),
            None => format!("{}[{}]", self.path, at + 1),
        };
        Entry {
            source: self.source,
            path,
            key: self.key.clone(),
            key_start: value.span().start,
            value,
        }
    }
}
