//! What the parser asks of those who know better: it is handed in, so that this crate knows no cloud and
//! no receiver.

use crate::Message;

/// Checks of what a configuration says, made by those who will have to do with it.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Kinds of providers that this program is built with.
    pub built: &'static [&'static str],
    /// Whether a template makes JSON of every alert.
    pub template: fn(&Message) -> Result<(), BodyFault>,
}

/// What is wrong with the template of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// The line of the template.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}
