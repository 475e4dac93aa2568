//! Public holidays and the working days that make up for them: built-in data, or an operator's file.

use std::collections::BTreeMap;

use forecaster::DayKind;
use jiff::civil::Date;
use serde::Serialize;

use super::fault::ConfigFault;
use super::keys::times::calendar as known;
use super::reader::{Table, did_you_mean};

/// What comes with the program, by country: files in the form that an operator writes too.
const BUILT_IN: [(&str, &str); 1] = [("CN", include_str!("../data/holidays-cn.csv"))];

/// What a row should look like, for messages.
const ROW: &str = "a row `date,kind,name` such as `2026-10-10,working,National Day`";

/// Days that are not what their weekday says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holidays {
    /// Where they come from, for people; empty where none are configured.
    pub source: String,
    /// Whether that is a file of the operator's.
    pub is_file: bool,
    /// The days named; a year without any is not covered.
    pub days: BTreeMap<Date, Holiday>,
}

/// One such day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holiday {
    /// What people do on it.
    pub kind: DayKind,
    /// Its name, for people.
    pub name: String,
}

impl Holidays {
    /// The days in the form of a file, each line a comment of a configuration.
    pub fn as_comments(&self) -> String {
        let word = |kind| if kind == DayKind::Rest { "rest" } else { "working" };
        let line = |(date, holiday): (&Date, &Holiday)| {
            format!("# {date},{},{}\n", word(holiday.kind), holiday.name)
        };
        format!("\n# {}\n", self.source) + &self.days.iter().map(line).collect::<String>()
    }

    /// Whether days of `year` are known; without any source there is nothing to know.
    pub fn covers(&self, year: i16) -> bool {
        self.source.is_empty() || self.days.keys().any(|day| day.year() == year)
    }
}

/// Reads `holidays` and `holidays_file` of a calendar.
pub(super) fn holidays(table: &Table<'_>) -> Option<Holidays> {
    let (country, file) = (table.get(&known::HOLIDAYS), table.get(&known::HOLIDAYS_FILE));
    match (country, file) {
        (None, None) => Some(Holidays::default()),
        (Some(_), Some(file)) => {
            let message = "a calendar has `holidays` and `holidays_file`, expected one of both";
            file.key_fault(message.to_owned(), None);
            None
        }
        (Some(country), None) => {
            let code = country.text("a country's code such as `\"CN\"`")?;
            let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == code) else {
                let known: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
                let slip = did_you_mean(&code.to_ascii_uppercase(), known.iter().copied());
                let file = "name the days of another country with `holidays_file`".to_owned();
                let expected = format!("`{}`, whose days are built in", known.join("`, `"));
                country.unexpected(&expected, Some(slip.unwrap_or(file)));
                return None;
            };
            parse(&format!("built-in `{code}`"), text).ok()
        }
        (None, Some(file)) => {
            let holidays = file.file_beside("holidays", parse)?;
            Some(Holidays { is_file: true, ..holidays })
        }
    }
}

/// Reads the text of a file of holidays, or names every fault in it.
fn parse(source: &str, text: &str) -> Result<Holidays, Vec<ConfigFault>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut holidays = Holidays { source: source.to_owned(), ..Holidays::default() };
    let mut faults = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(ConfigFault::in_file(source, (0, 0), "", error.to_string(), None));
                break;
            }
        };
        let line = record.position().map_or(0, |place| place.line() as usize);
        let fields: Vec<&str> = record.iter().collect();
        if index == 0 && fields == ["date", "kind", "name"] {
            continue;
        }
        match day(&fields) {
            Ok((date, holiday)) if !holidays.days.contains_key(&date) => {
                holidays.days.insert(date, holiday);
            }
            Ok((date, _)) => {
                let message = format!("`{date}` is there twice, expected each date once");
                faults.push(ConfigFault::in_file(source, (line, 1), "date", message, None));
            }
            Err((column, key, message)) => {
                faults.push(ConfigFault::in_file(source, (line, column), key, message, None));
            }
        }
    }
    if holidays.days.is_empty() && faults.is_empty() {
        faults.push(ConfigFault::in_file(
            source,
            (1, 1),
            "",
            format!("no day is named, expected {ROW}"),
            None,
        ));
    }
    if faults.is_empty() { Ok(holidays) } else { Err(faults) }
}

/// One row, or the column, key and message of its first fault.
fn day(fields: &[&str]) -> Result<(Date, Holiday), (usize, &'static str, String)> {
    let [date, kind, name] = fields else {
        let found = fields.join(",");
        return Err((1, "", format!("`{found}`, expected {ROW}")));
    };
    // The parser would take a time and a zone too.
    let plain = date.len() == 10;
    let Some(day) = date.parse::<Date>().ok().filter(|_| plain) else {
        return Err((1, "date", format!("date `{date}`, expected one such as `2026-10-01`")));
    };
    let kind = match *kind {
        "rest" => DayKind::Rest,
        "working" => DayKind::Working,
        other => {
            let message = format!("kind `{other}`, expected `rest` or `working`");
            return Err((date.len() + 2, "kind", message));
        }
    };
    Ok((day, Holiday { kind, name: (*name).to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Weekday;

    fn told(text: &str) -> String {
        match parse("days.csv", text) {
            Ok(holidays) => format!("{} days", holidays.days.len()),
            Err(faults) => faults.iter().map(|f| format!("{f}\n")).collect(),
        }
    }

    /// Against the notices: how many days off and make-up days each year has, and that each make-up
    /// day is a weekend.
    #[test]
    fn the_built_in_days_are_those_of_the_notices() {
        for (country, text) in BUILT_IN {
            let holidays = parse(country, text).unwrap();
            let weekend = |day: &Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            let mut found = String::new();
            for year in 2024..=2026 {
                let of = |kind| {
                    holidays.days.iter().filter(move |(d, h)| d.year() == year && h.kind == kind)
                };
                let (rest, work) = (of(DayKind::Rest).count(), of(DayKind::Working).count());
                found += &format!("{year}: {rest} at rest, {work} at work\n");
                assert!(of(DayKind::Working).all(|(day, _)| weekend(day)), "{year}");
            }
            insta::assert_snapshot!(found, @r"
        2024: 28 at rest, 8 at work
        2025: 28 at rest, 5 at work
        2026: 33 at rest, 6 at work
        ");
            assert!(holidays.covers(2026) && !holidays.covers(2027));
        }
        assert!(Holidays::default().covers(1999));
    }

    #[test]
    fn a_file_of_holidays_is_read_or_refused_with_all_its_faults() {
        let sound =
            "# ours\ndate,kind,name\n2026-10-01,rest,National Day\n2026-10-10, working, make-up\n";
        assert_eq!(told(sound), "2 days");
        insta::assert_snapshot!(parse("days.csv", sound).unwrap().as_comments(), @r"
        # days.csv
        # 2026-10-01,rest,National Day
        # 2026-10-10,working,make-up
        ");
        insta::assert_snapshot!(told("date,kind,name\n2026-13-01,rest,x\n2026-10-01,holiday,x\n\n2026-10-02,rest\n2026-10-03,rest,x\n2026-10-03,working,x\n2026-10-04T00:00,rest,x\n"), @r"
        days.csv:2:1: date `2026-13-01`, expected one such as `2026-10-01`
        days.csv:3:12: kind `holiday`, expected `rest` or `working`
        days.csv:4:1: `2026-10-02,rest`, expected a row `date,kind,name` such as `2026-10-10,working,National Day`
        days.csv:7:1: `2026-10-03` is there twice, expected each date once
        days.csv:8:1: date `2026-10-04T00:00`, expected one such as `2026-10-01`
        ");
        insta::assert_snapshot!(told("# nothing\n"), @r"days.csv:1:1: no day is named, expected a row `date,kind,name` such as `2026-10-10,working,National Day`");
    }
}
