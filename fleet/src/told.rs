//! A reason as a value, or the text that an old record has in its place.
//!
//! Records of before reasons were values hold a text where there is a value now, and postcard does
//! not say what it holds. So a text stays on the wire as it was, byte for byte, and a value is
//! written behind a mark that no text of ours was ever equal to. Old records are read without
//! knowing their format, and no English sentence is matched. Whoever reads JSON reads the sentence.
//!
//! To mend the English of a value that old records tell as text, raise the planner's `REVISION`:
//! replay compares their texts with what the value says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands before a value, as a text of one character.
const MARK: &str = "\u{1}";

/// A value, or what was told in its place by an old record or somebody else's words.
///
/// A told text equals a value that says the same: plans of old records are decided again as values
/// and compared.
///
/// ```
/// use fleet::OrTold;
/// use fleet::signs::Clue;
///
/// let value = OrTold::from(Clue::Targets { serving: 0, of: 3 });
/// let told = OrTold::Told(value.to_string());
/// assert_eq!(value, told);
/// // Nobody makes a value out of a text.
/// assert!(value.value().is_some() && told.value().is_none());
/// assert_ne!(told, OrTold::from(Clue::Targets { serving: 1, of: 3 }));
/// ```
#[derive(Clone, Debug)]
pub enum OrTold<T> {
    /// The value.
    Value(T),
    /// The text.
    Told(String),
}

impl<T> OrTold<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            OrTold::Value(value) => Some(value),
            OrTold::Told(_) => None,
        }
    }
}

impl<T> From<T> for OrTold<T> {
    fn from(value: T) -> OrTold<T> {
        OrTold::Value(value)
    }
}

impl<T: fmt::Display> fmt::Display for OrTold<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrTold::Value(value) => value.fmt(f),
            OrTold::Told(text) => f.write_str(text),
        }
    }
}

impl<T: PartialEq + fmt::Display> PartialEq for OrTold<T> {
    fn eq(&self, other: &OrTold<T>) -> bool {
        match (self, other) {
            (OrTold::Value(one), OrTold::Value(other)) => one == other,
            (OrTold::Told(one), OrTold::Told(other)) => one == other,
            (OrTold::Value(value), OrTold::Told(text))
            | (OrTold::Told(text), OrTold::Value(value)) => value.to_string() == *text,
        }
    }
}

impl<T: Eq + fmt::Display> Eq for OrTold<T> {}

impl<T: Serialize + fmt::Display> Serialize for OrTold<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OrTold::Told(text) => serializer.serialize_str(text),
            OrTold::Value(value) if serializer.is_human_readable() => serializer.collect_str(value),
            OrTold::Value(value) => (MARK, value).serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OrTold<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OrTold<T>, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer).map(OrTold::Told);
        }
        deserializer.deserialize_tuple(2, Parts(PhantomData))
    }
}

/// A text, and a value behind it where the text is the mark.
struct Parts<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Parts<T> {
    type Value = OrTold<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a mark and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<OrTold<T>, A::Error> {
        let text: String =
            parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        if text != MARK {
            return Ok(OrTold::Told(text));
        }
        let value = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        Ok(OrTold::Value(value))
    }
}
