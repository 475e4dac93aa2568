//! Alerts on their way to people: sent beside the cycle, at least once, until each channel has them.
//!
//! An alert is in the journal's outbox before anybody sends it. Each channel has a task of its own
//! that sends what the journal says it has not sent, and writes down what became of it. A chat is
//! told several alerts in one message, no more often than it allows, and not in its quiet hours. A
//! digest is for its channel alone, comes at its own hour and stands in a message by itself.

mod address;
mod body;
mod channel;
mod kinds;
mod pace;
mod sender;
mod tally;

use std::sync::Arc;
use std::time::Duration;

pub use body::check;
pub use channel::{Channel, Receipt, Sent};
pub use kinds::Letter;
pub use sender::Sender;
pub use tally::{ChannelTally, Tally};

use config::{AlertChannel, ConfigFault};
use fleet::Now;

/// How patient sending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a receiver has to answer.
    pub timeout: Duration,
    /// The rest after a failure, doubled with each more.
    pub rest: Duration,
    /// The longest of these rests.
    pub rest_max: Duration,
    /// The longest rest that a receiver may ask for.
    pub asked_rest_max: Duration,
    /// How long what waits is sent for when the daemon ends.
    pub flush: Duration,
    /// How long a second of a rate limit lasts.
    pub rate_second: Duration,
    /// How often the clock is looked at while quiet hours hold something.
    pub look: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            timeout: Duration::from_secs(10),
            rest: Duration::from_secs(2),
            rest_max: Duration::from_secs(5 * 60),
            asked_rest_max: Duration::from_secs(60 * 60),
            flush: Duration::from_secs(2),
            rate_second: Duration::from_secs(1),
            look: Duration::from_secs(30),
        }
    }
}

/// Opens the channels of a configuration: reads the secrets that it names. `world` is the receivers'
/// clock, never a simulation's.
///
/// # Errors
/// Every secret that cannot be read or is not what it should be.
pub fn open(
    channels: &[AlertChannel],
    options: Options,
    world: &Arc<dyn Now>,
) -> Result<Vec<Channel>, Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let mut opened = Vec::new();
    for channel in channels {
        match Channel::open(channel, options, Arc::clone(world)) {
            Ok(channel) => opened.push(channel),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(opened) } else { Err(faults) }
}
