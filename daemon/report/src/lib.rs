//! What people and machines are told of decisions: values first, and one place for the words of each
//! language.

pub mod asking;
mod clock;
pub mod conditions;
pub mod digest;
pub mod explanation;
pub mod idle;
mod language;
pub mod money;
mod plan;
pub mod plot;
pub mod records;
pub mod said;
mod turn;
mod waiting;

pub use asking::{Answer, Asked, Asking, StageWish};
pub use clock::clock_set;
pub use language::Language;
pub use plan::{Reason, ending, is_routine, loaded, plan_json, rate, reason, stage_line};
pub use turn::{Turn, turn_json, unread, unread_of};
pub use waiting::Waiting;
