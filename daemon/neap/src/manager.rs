//! What the service manager, such as systemd, is told: neap has begun, a cycle is done, the
//! configuration is read again, the end has come.

use std::time::Duration;

use fleet::Seconds;
use sd_notify::NotifyState;

/// What may come between two cycles besides waiting: a reload waits for a look at idle resources,
/// and old records are removed.
const BETWEEN_CYCLES: Duration = Duration::from_secs(600);

/// The line to the service manager. Where there is none, nothing is said.
#[derive(Clone, Copy, Debug)]
pub struct Manager {
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that started this process, if one did.
    pub fn of_this_process() -> Manager {
        Manager { watchdog: sd_notify::watchdog_enabled() }
    }

    /// Says that neap is at work. A watchdog that is on is given time for cycles at this interval;
    /// one that is off stays off.
    pub fn ready(self, poll_interval: Seconds) {
        let watchdog = self
            .watchdog
            .map(|asked| format!("WATCHDOG_USEC={}", patience(asked, poll_interval).as_micros()));
        let watchdog = watchdog.as_deref().map(NotifyState::Custom);
        tell(Some(NotifyState::Ready).into_iter().chain(watchdog));
    }

    /// Says that a cycle was recorded and carried out: nothing else feeds the watchdog.
    pub fn cycle_done(self) {
        tell(self.watchdog.map(|_| NotifyState::Watchdog));
    }

    /// Says that the configuration is read again; [`Manager::ready`] says that this is over.
    pub fn reloading(self) {
        let since = NotifyState::monotonic_usec_now().ok();
        tell(Some(NotifyState::Reloading).into_iter().chain(since));
    }

    /// Says that the end has come.
    pub fn stopping(self) {
        tell([NotifyState::Stopping]);
    }
}

/// How long no cycle may be done before the watchdog strikes: one interval to wait, one for a cycle
/// as long as they come, and what is done in between; never less than the unit asks for.
fn patience(asked: Duration, poll_interval: Seconds) -> Duration {
    asked.max(2 * Duration::from_secs(poll_interval.0) + BETWEEN_CYCLES)
}

fn tell<'a>(states: impl IntoIterator<Item = NotifyState<'a>>) {
    let states: Vec<NotifyState<'_>> = states.into_iter().collect();
    if states.is_empty() {
        return;
    }
    if let Err(error) = sd_notify::notify(&states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_outlasts_the_longest_pause_between_two_cycles() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(patience(minutes(12), Seconds(60)), minutes(12));
        assert_eq!(patience(minutes(12), Seconds::hours(1)), minutes(130));
        assert_eq!(patience(minutes(30), Seconds(60)), minutes(30));
    }
}
