//! Whose load a series file is: the calendar that its users live by.

use std::path::PathBuf;

use fleet::Seconds;
use forecaster::Series;

use config::calendars::calendar;
use config::{CalendarRule, EventRule};
use planner::policy::Budgets;

/// How far around a series its calendar goes: beyond the longest lookup and any horizon.
const AROUND: Seconds = Seconds::days(60);

/// The calendar that the users behind a series live by.
#[derive(Clone, Debug, clap::Args)]
pub struct Users {
    /// Forecast with this calendar of the configuration, and its events for all services.
    #[arg(long, value_name = "NAME", requires = "config")]
    calendar: Option<String>,
    /// The configuration with the calendar. `neap simulate` keeps its `[budgets]`; nothing else in
    /// it is used.
    #[arg(long, value_name = "FILE", requires = "calendar")]
    config: Option<PathBuf>,
}

/// What they live by: nothing where no calendar was asked for.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    rule: Option<CalendarRule>,
    events: Vec<EventRule>,
    budgets: Budgets,
}

impl Users {
    /// Reads the calendar; `None` after the faults were printed.
    pub fn rhythm(&self) -> Option<Rhythm> {
        let Some((name, path)) = self.calendar.as_ref().zip(self.config.as_ref()) else {
            return Some(Rhythm::default());
        };
        let config = match crate::settings::load(path) {
            Ok(config) => config,
            Err(faults) => {
                crate::terminal::faults(&faults);
                return None;
            }
        };
        let Some(rule) = config.calendars.get(name).cloned() else {
            let known: Vec<String> = config.calendars.keys().map(|n| format!("`{n}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            eprintln!("error: `{}` has no calendar `{name}`, it has {known}", path.display());
            return None;
        };
        let events = config.events.into_iter().filter(|event| event.services.is_empty());
        let (events, budgets) = (events.collect(), config.policy.budgets);
        Some(Rhythm { rule: Some(rule), events, budgets })
    }
}

impl Rhythm {
    /// The removal budgets of the configuration that has the calendar, the defaults without one.
    pub fn removal_budgets(&self) -> Budgets {
        self.budgets
    }

    /// Gives it to a series.
    pub fn lead(&self, series: &mut Series) {
        let Some(end) = series.end().filter(|_| self.rule.is_some()) else { return };
        let from = series.start() - AROUND;
        series.set_calendar(calendar(self.rule.as_ref(), self.events.iter(), from, end + AROUND));
    }
}
