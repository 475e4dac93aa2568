//! What values say on the page, in the visitor's language.
//!
//! English is how a value displays itself, for the log, the command line and alerts, too. Chinese is
//! here, from the same values: a variant without its Chinese does not compile. Numbers, moments and
//! spans are written by the same functions in both; names, units, commands and what clouds answer
//! stay as they are.

mod answer;
pub(crate) mod conditions;
mod explain;
mod idle;
mod money;
mod plan;
mod reasons;
mod records;
mod stage;
mod story;
#[cfg(test)]
mod tests;

use std::fmt;

use fleet::Units;

use crate::Language;

pub use explain::Ending;
pub use idle::{evidence, saved, sum, verdict};
pub use records::brief;

/// What says the same in both languages.
pub trait Said: fmt::Display {
    /// In Chinese.
    fn chinese(&self) -> String;

    /// In the language of a visitor.
    fn said(&self, language: Language) -> String {
        match language {
            Language::English => self.to_string(),
            Language::Chinese => self.chinese(),
        }
    }
}

/// Something inside a text in Chinese.
fn zh(of: &impl Said) -> String {
    of.chinese()
}

impl Said for Units {
    fn chinese(&self) -> String {
        format!("{} 台", self.0)
    }
}
