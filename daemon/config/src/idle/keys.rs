//! The keys that `[idle_defaults]` may set for all rules.

use fleet::Seconds;
use fleet::stop::OptIn;
use planner::idle::rule::{Cap, Radius, RuleMode, StopPreference};
use planner::policy::Share;

use super::super::defaults::Defaults;
use super::super::keys::Key;
use super::super::keys::idle::{radius as of_radius, rule, shared};
use super::super::pool::above_nothing;
use super::super::promotion::PROMOTIONS;
use super::super::reader::{Entry, Table};
use super::super::zone::{Zone, zone};

const MODES: [(&str, RuleMode); 3] =
    [("observe", RuleMode::Observe), ("approve", RuleMode::Approve), ("act", RuleMode::Act)];

const STOPS: [(&str, StopPreference); 4] = [
    ("stop", StopPreference::Plain),
    ("economical", StopPreference::Plain),
    ("hibernate", StopPreference::Hibernate),
    ("hibernate-if-possible", StopPreference::HibernateIfPossible),
];

/// The keys that idle rules and schedules have both.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedKeys {
    pub mode: RuleMode,
    pub stop: StopPreference,
    pub opt_in: OptIn,
    pub accept_restart_risk: bool,
    /// Whether it acts only once promoted.
    pub gated: bool,
}

impl SharedKeys {
    /// These keys, with those of `table` laid over them.
    pub fn overlaid(&self, table: &Table<'_>) -> SharedKeys {
        let mode = table.get(&shared::MODE).and_then(|entry| entry.choice(&MODES));
        let stop = table.get(&shared::STOP_MODE).and_then(|entry| entry.choice(&STOPS));
        let opt_in = table.get(&shared::OPT_IN_TAG).and_then(|entry| opt_in(&entry));
        SharedKeys {
            mode: mode.unwrap_or(self.mode),
            stop: stop.unwrap_or(self.stop),
            opt_in: opt_in.unwrap_or_else(|| self.opt_in.clone()),
            accept_restart_risk: flag(
                table,
                &shared::ACCEPT_RESTART_RISK,
                self.accept_restart_risk,
            ),
            gated: table
                .get(&shared::PROMOTION)
                .and_then(|entry| entry.choice(&PROMOTIONS))
                .unwrap_or(self.gated),
        }
    }
}

/// The keys of an idle rule that stand in the table itself.
#[derive(Clone, Debug)]
pub(super) struct IdleKeys {
    pub shared: SharedKeys,
    pub accept_short_history: bool,
    pub grace: Option<Seconds>,
    pub observe_first: Seconds,
    pub mark_tag: bool,
    pub owner_tag: Option<String>,
    pub exempt_after_restart: Seconds,
    pub radius: Radius,
    pub group_tag: Option<String>,
    pub timezone: Zone,
}

impl Default for IdleKeys {
    fn default() -> IdleKeys {
        IdleKeys {
            shared: SharedKeys::default(),
            accept_short_history: false,
            grace: None,
            observe_first: Defaults::OBSERVE_FIRST,
            mark_tag: false,
            owner_tag: None,
            exempt_after_restart: Defaults::EXEMPT_AFTER_RESTART,
            radius: Radius::default(),
            group_tag: None,
            timezone: Zone::default(),
        }
    }
}

impl IdleKeys {
    /// These keys, with those of `table` laid over them.
    pub fn overlaid(&self, table: &Table<'_>) -> IdleKeys {
        let span = |key: &Key, most: Seconds| {
            table.get(key).and_then(|entry| entry.duration(Seconds::ZERO..=most))
        };
        let key = |name: &Key, base: &Option<String>| {
            let found = table.get(name).and_then(|entry| entry.text("a tag's key"));
            found.map(str::to_owned).or_else(|| base.clone())
        };
        let expected = "an IANA time zone such as `\"Asia/Shanghai\"` or `\"UTC\"`";
        let timezone = table.get(&rule::TIMEZONE).and_then(|entry| zone(&entry, expected));
        let restart = span(&rule::EXEMPT_AFTER_RESTART, Seconds::days(365));
        IdleKeys {
            shared: self.shared.overlaid(table),
            accept_short_history: flag(
                table,
                &rule::ACCEPT_SHORT_HISTORY,
                self.accept_short_history,
            ),
            grace: span(&rule::GRACE, Seconds::days(90)).or(self.grace),
            observe_first: span(&rule::OBSERVE_FIRST, Seconds::days(90))
                .unwrap_or(self.observe_first),
            mark_tag: flag(table, &rule::MARK_TAG, self.mark_tag),
            owner_tag: key(&rule::OWNER_TAG, &self.owner_tag),
            exempt_after_restart: restart.unwrap_or(self.exempt_after_restart),
            radius: radius(table, &rule::BLAST_RADIUS).unwrap_or(self.radius),
            group_tag: key(&rule::GROUP_TAG, &self.group_tag),
            timezone: timezone.unwrap_or_else(|| self.timezone.clone()),
        }
    }
}

fn flag(table: &Table<'_>, key: &Key, base: bool) -> bool {
    table.get(key).and_then(|entry| entry.flag()).unwrap_or(base)
}

/// `neap:managed=true`.
fn opt_in(entry: &Entry<'_>) -> Option<OptIn> {
    let expected = "a tag with its value such as `\"neap:managed=true\"`";
    let read = |text: &str| {
        let (key, value) = text.split_once('=')?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        (!key.is_empty() && !value.is_empty()).then_some(OptIn { key, value })
    };
    entry.parsed(read, expected)
}

/// `{ hour = "5%", day = "20%", at_least = 1 }`; `hour` and `day` may be numbers.
pub(super) fn radius(table: &Table<'_>, key: &Key) -> Option<Radius> {
    const NUMBER_MAX: u64 = 100_000;
    let base = Radius::default();
    let entry = table.get(key)?;
    let caps = entry.table()?;
    let at_least = caps.get(&of_radius::AT_LEAST).and_then(|entry| entry.whole(0..=NUMBER_MAX));
    let at_least = at_least.and_then(|number| u32::try_from(number).ok());
    let cap = |name: &Key, base: Cap| {
        let least = at_least.unwrap_or(base.at_least);
        match caps.get(name) {
            None => Some(Cap { at_least: least, ..base }),
            Some(entry) if entry.as_text().is_some() => {
                above_nothing(&entry).map(|share| Cap { share, at_least: least })
            }
            Some(entry) if entry.is_whole() => {
                let number = entry.whole(1..=NUMBER_MAX)?;
                Some(Cap { share: Share::NONE, at_least: u32::try_from(number).ok()? })
            }
            Some(entry) => {
                entry.unexpected("a share such as `\"5%\"` or a number of machines", None);
                None
            }
        }
    };
    let (hour, day) = (cap(&of_radius::HOUR, base.hour), cap(&of_radius::DAY, base.day));
    caps.finish();
    let radius = Radius { hour: hour?, day: day? };
    let told = [radius.hour, radius.day].map(|cap| (cap.share == Share::NONE, cap));
    let [(hour_counts, hour), (day_counts, day)] = told;
    let less = if day_counts { day.at_least < hour.at_least } else { day.share < hour.share };
    if hour_counts == day_counts && less {
        let hint = "a day has room for at least what its busiest hour has".to_owned();
        entry.unexpected("a `day` of at least its `hour`", Some(hint));
    }
    Some(radius)
}
