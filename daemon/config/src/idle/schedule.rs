//! `[[schedule]]`: when machines are to be up.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{RuleName, Seconds};
use jiff::civil::{Date, Time};
use planner::idle::rule::{Cap, Radius, ScheduleKind, ScheduleRule};
use planner::policy::Share;

use super::super::calendar;
use super::super::defaults::Defaults;
use super::super::freeze::{Weekly, local_time};
use super::super::keys::Key;
use super::super::keys::idle::select as of_select;
use super::super::keys::schedule::{
    custodian as of_custodian, exception, own as of_own, schedule as known,
};
use super::super::provider::Providers;
use super::super::reader::{Entry, Table};
use super::super::zone::zone;
use super::Calendars;
use super::keys::{self, SharedKeys};
use super::limits::limits;
use super::select::{Criterion, select};
use crate::schedule::custodian::zone_of;
use crate::schedule::{Hours, NamedCalendar, OffHours, Reading, UpHours, UpWindow};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Grammar {
    /// Hours in the configuration.
    #[default]
    Own,
    /// Hours in tags.
    CloudCustodian,
}

const GRAMMARS: [(&str, Grammar); 2] =
    [("neap", Grammar::Own), ("cloud-custodian", Grammar::CloudCustodian)];

const KINDS: [(&str, ScheduleKind); 3] = [
    ("both", ScheduleKind::Both),
    ("stop-only", ScheduleKind::StopOnly),
    ("start-only", ScheduleKind::StartOnly),
];

/// What a window should look like, for messages.
pub(crate) const UP: &str = "hours such as `\"Mon-Fri 08:30-20:00\"`, `\"daily 22:00-06:00\"`, `\"Sat,Sun\"` or \
                  `\"first Thu 08:00-12:00\"`, \
                  or a list of them";
/// What the hours of a single day should look like, for messages.
const DAY: &str = "hours such as `\"08:00-23:00\"`, a list of them, or `\"none\"`";

/// All at once: what the clock orders is foreseen.
const NO_LIMIT: Radius = Radius {
    hour: Cap { share: Share::ALL, at_least: 0 },
    day: Cap { share: Share::ALL, at_least: 0 },
};

/// Reads one `[[schedule]]` with its shared keys; the caller finishes the table.
pub(super) fn schedule(
    table: &Table<'_>,
    keys: SharedKeys,
    providers: &Providers,
    calendars: Calendars<'_>,
    name: Option<RuleName>,
) -> Option<(ScheduleRule, Hours)> {
    let grammar =
        table.get(&of_own::GRAMMAR).map_or(Some(Grammar::Own), |entry| entry.choice(&GRAMMARS));
    let hours = match grammar {
        Some(Grammar::Own) => own(table, calendars).map(Hours::Own),
        Some(Grammar::CloudCustodian) => custodian(table).map(Hours::CloudCustodian),
        None => None,
    };
    let tagged = matches!(&hours, Some(Hours::CloudCustodian(policy)) if policy.is_by_tag())
        || (hours.is_none() && grammar == Some(Grammar::CloudCustodian));
    let criterion = if tagged { Criterion::InTags } else { Criterion::Needed };
    let select = select(table, providers, criterion);
    if let Some(select) = &select
        && let Some(entry) = table.get(&of_select::KINDS)
        && select.kinds.iter().any(|kind| !kind.has_power())
    {
        entry.unexpected("kinds that can be stopped: `instance`, `database`", None);
    }
    let kind =
        table.get(&known::KIND).map_or(Some(ScheduleKind::Both), |entry| entry.choice(&KINDS));
    let only_if_idle = table.get(&known::ONLY_IF_IDLE).and_then(|entry| {
        let table = entry.table()?;
        let limits = limits(&table);
        table.finish();
        Some(limits)
    });
    let span = |key: &Key, least: Seconds, most: Seconds, base: Seconds| {
        table.get(key).and_then(|entry| entry.duration(least..=most)).unwrap_or(base)
    };
    let (hour, day) = (Seconds::hours(2), Seconds::days(1));
    let lead = span(&known::START_LEAD, Seconds::ZERO, hour, Defaults::LEAD_TIME);
    let escalation =
        span(&known::START_ESCALATION, Seconds::minutes(1), day, Defaults::START_ESCALATION);
    let order_tag = table.get(&known::ORDER_TAG).and_then(|entry| entry.text("a tag's key"));
    let radius = keys::radius(table, &known::BLAST_RADIUS).unwrap_or(NO_LIMIT);
    let rule = ScheduleRule {
        name: name?,
        mode: keys.mode,
        select: select?,
        kind: kind?,
        only_if_idle: only_if_idle.unwrap_or_default(),
        opt_in: keys.opt_in,
        stop: keys.stop,
        order_tag: order_tag.map(str::to_owned),
        start_lead: lead,
        start_escalation: escalation,
        accept_restart_risk: keys.accept_restart_risk,
        radius,
    };
    Some((rule, hours?))
}

/// Hours in the configuration.
fn own(table: &Table<'_>, calendars: Calendars<'_>) -> Option<UpHours> {
    let calendar_entry = table.get(&of_own::CALENDAR);
    let calendar = calendar_entry.as_ref().map(|entry| {
        let name = calendar::named(entry, calendars.named)?;
        let rule = calendars.read.get(&name)?.clone();
        Some(NamedCalendar { name, rule })
    });
    let expected = "an IANA time zone such as `\"Asia/Shanghai\"` or `\"UTC\"`";
    let timezone = match (table.get(&of_own::TIMEZONE), &calendar) {
        (Some(entry), _) => zone(&entry, expected),
        (None, Some(calendar)) => calendar.as_ref().map(|calendar| calendar.rule.timezone.clone()),
        (None, None) => {
            table.missing(&of_own::TIMEZONE, expected, None);
            None
        }
    };
    let up = table.required(&of_own::UP, UP).and_then(|entry| up(&entry, calendar_entry.is_some()));
    let exceptions =
        table.get(&of_own::EXCEPTIONS).map_or(Some(BTreeMap::new()), |e| exceptions(&e));
    let calendar = match calendar {
        Some(calendar) => Some(calendar?),
        None => None,
    };
    Some(UpHours { timezone: timezone?, up: up?, calendar, exceptions: exceptions? })
}

/// One text, or a list of at least one.
fn texts<'e, T>(
    entry: &Entry<'e>,
    expected: &str,
    read: impl Fn(&Entry<'e>) -> Option<T>,
) -> Option<Vec<T>> {
    if entry.as_text().is_some() {
        return read(entry).map(|one| vec![one]);
    }
    let members = entry.list(expected);
    if members.is_empty() {
        if entry.list_is_empty() {
            entry.unexpected(expected, None);
        }
        return None;
    }
    let read: Vec<Option<T>> = members.iter().map(read).collect();
    read.into_iter().collect()
}

/// Reads windows: one text, or a list of at least one.
pub(crate) fn up(entry: &Entry<'_>, has_calendar: bool) -> Option<Vec<UpWindow>> {
    texts(entry, UP, |entry| {
        let window = entry.parsed(UpWindow::parse, UP)?;
        if window.is_by_calendar() && !has_calendar {
            let hint = "name one with `calendar`, or write `Mon-Fri`".to_owned();
            let message = format!("{} needs a calendar that knows which days are", entry.found());
            entry.fault(message, Some(hint));
            return None;
        }
        Some(window)
    })
}

/// `[{ date = 2026-12-24, up = "none" }]`.
fn exceptions(entry: &Entry<'_>) -> Option<BTreeMap<Date, Vec<Weekly>>> {
    let mut exceptions = BTreeMap::new();
    let mut sound = true;
    for table in entry.tables() {
        let expected = "a date such as `2026-12-24`";
        let day = table.required(&exception::DATE, expected);
        let date = day.as_ref().and_then(|entry| date(entry, expected));
        let up = table.required(&exception::UP, DAY).and_then(|entry| of_a_day(&entry));
        table.finish();
        match (date, up) {
            (Some(date), Some(up)) => {
                if exceptions.insert(date, up).is_some() {
                    table.fault(format!("`{date}` is there twice, expected each date once"), None);
                    sound = false;
                }
            }
            _ => sound = false,
        }
    }
    sound.then_some(exceptions)
}

fn date(entry: &Entry<'_>, expected: &str) -> Option<Date> {
    let local = local_time(entry)?;
    if local.time() != Time::midnight() {
        entry.unexpected(expected, None);
        return None;
    }
    Some(local.date())
}

fn of_a_day(entry: &Entry<'_>) -> Option<Vec<Weekly>> {
    if entry.as_text() == Some("none") {
        return Some(Vec::new());
    }
    let times = |text: &str| Weekly::parse(&format!("daily {text}"));
    texts(entry, DAY, |entry| entry.parsed(times, DAY))
}

/// Hours in tags: the keys are those of Cloud Custodian's filters.
fn custodian(table: &Table<'_>) -> Option<OffHours> {
    let tag = |key: &Key, base: &str| {
        let found = table.get(key).and_then(|entry| entry.text("a tag's key"));
        found.unwrap_or(base).to_lowercase()
    };
    let hour = |key: &Key, base: i8| {
        let found = table.get(key).and_then(|entry| entry.whole(0..=23));
        found.and_then(|hour| i8::try_from(hour).ok()).unwrap_or(base)
    };
    let flag =
        |key: &Key, base: bool| table.get(key).and_then(|entry| entry.flag()).unwrap_or(base);
    let both = tag(&of_custodian::TAG, OffHours::TAG);
    let expected = "a zone as the policy has it, such as `\"pt\"` or `\"America/New_York\"`";
    let default_tz = table
        .required(&of_custodian::DEFAULT_TZ, expected)
        .and_then(|entry| entry.parsed(|text| zone_of(text).map(|_| text.to_owned()), expected));
    let mut policy = OffHours {
        stop_tag: tag(&of_custodian::STOP_TAG, &both),
        start_tag: tag(&of_custodian::START_TAG, &both),
        default_tz: default_tz.clone().unwrap_or_else(|| "utc".to_owned()),
        onhour: hour(&of_custodian::ONHOUR, OffHours::ONHOUR),
        offhour: hour(&of_custodian::OFFHOUR, OffHours::OFFHOUR),
        weekends: flag(&of_custodian::WEEKENDS, true),
        weekends_only: flag(&of_custodian::WEEKENDS_ONLY, false),
        opt_out: flag(&of_custodian::OPT_OUT, false),
        fallback_schedule: None,
        skip_days: BTreeSet::new(),
    };
    let skip_days = table.get(&of_custodian::SKIP_DAYS).map_or(Some(Vec::new()), |entry| {
        let expected = "a list of dates such as `[2026-12-25]`";
        texts(&entry, expected, |entry| date(entry, expected))
    });
    if let Some(entry) = table.get(&of_custodian::FALLBACK_SCHEDULE) {
        let expected = "a value of the tag such as `\"off=(M-F,19);on=(M-F,7)\"`";
        policy.fallback_schedule = entry.text(expected).map(str::to_owned);
        if let Reading::Fault(fault) = policy.read(&BTreeMap::new()) {
            entry.unexpected(expected, Some(fault.to_string()));
            return None;
        }
    }
    policy.skip_days = skip_days?.into_iter().collect();
    default_tz.map(|_| policy)
}
