//! Reads a series from a CSV file.
//!
//! The header is `timestamp,value`, stamps are the starts of intervals and lie on a regular grid
//! of any step, give or take a second or two; rows come in any order, and those that are not there
//! or hold no number are missing samples. Samples finer than a minute are averaged to one.

mod stamps;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use fleet::{Step, Timestamp};
use forecaster::{Marks, Series, SeriesFault};

/// A series and where it came from.
#[derive(Clone, Debug)]
pub struct SeriesFile {
    /// The file's name without `.csv`.
    pub name: String,
    /// Its samples.
    pub series: Series,
}

/// Everything wrong with one file.
#[derive(Clone, Debug)]
pub struct FileFaults {
    pub path: PathBuf,
    /// The first [`FAULTS_MAX`] faults, in the order of lines.
    pub faults: Vec<FileFault>,
    pub more: usize,
}

/// Faults listed of one file: enough to see a pattern.
pub const FAULTS_MAX: usize = 20;

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The line, counted from 1; `None` where the fault is the whole file's.
    pub line: Option<u64>,
    /// The field, where it is one field's.
    pub field: Option<&'static str>,
    pub found: String,
    pub expected: String,
}

impl fmt::Display for FileFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.path.display())?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            match fault.field {
                Some(field) => write!(f, ": `{field}` is {}", fault.found)?,
                None => write!(f, ": {}", fault.found)?,
            }
            write!(f, ", expected {}", fault.expected)?;
        }
        if self.more > 0 {
            write!(f, "\n{}: and {} more faults", self.path.display(), self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileFaults {}

/// Collects faults up to [`FAULTS_MAX`].
struct Faults {
    listed: Vec<FileFault>,
    more: usize,
}

impl Faults {
    fn push(
        &mut self,
        line: Option<u64>,
        field: Option<&'static str>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if self.listed.len() < FAULTS_MAX {
            let (found, expected) = (found.into(), expected.into());
            self.listed.push(FileFault { line, field, found, expected });
        } else {
            self.more += 1;
        }
    }
}

/// Reads the file at `path`.
///
/// # Errors
/// Every fault of the file at once.
pub fn read(path: &Path) -> Result<SeriesFile, FileFaults> {
    let mut faults = Faults { listed: Vec::new(), more: 0 };
    let series = match File::open(path) {
        Ok(file) => parse(file, &mut faults),
        Err(error) => {
            faults.push(None, None, format!("cannot be opened: {error}"), "a readable file");
            None
        }
    };
    match series {
        Some(series) if faults.listed.is_empty() => Ok(SeriesFile { name: name_of(path), series }),
        _ => {
            let (faults, more) = (faults.listed, faults.more);
            Err(FileFaults { path: path.to_owned(), faults, more })
        }
    }
}

/// The name of a series: the file's without `.csv`.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.strip_suffix(".csv").unwrap_or(&name).to_owned()
}

/// The series files among `paths`: files as given, and the `.csv` files of folders by name.
///
/// # Errors
/// A folder that cannot be read or holds no `.csv` file.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FileFaults> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let fault = |found: String, expected: &str| FileFaults {
            path: path.clone(),
            faults: vec![FileFault { line: None, field: None, found, expected: expected.into() }],
            more: 0,
        };
        let entries = std::fs::read_dir(path)
            .map_err(|error| fault(format!("cannot be read: {error}"), "a readable folder"))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|file| file.extension().is_some_and(|extension| extension == "csv"))
            .collect();
        if files.is_empty() {
            return Err(fault("holds no series".into(), "at least one `.csv` file"));
        }
        files.sort();
        found.extend(files);
    }
    Ok(found)
}

/// What a stamp should look like, for messages.
const STAMP: &str = "`YYYY-MM-DDTHH:MM:SSZ`, or seconds or milliseconds since 1970";

/// A row that is well-formed by itself.
struct Row {
    line: u64,
    stamp: Timestamp,
    value: f64,
}

fn parse(file: File, faults: &mut Faults) -> Option<Series> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut rows: Vec<Row> = Vec::new();
    let mut record = csv::ByteRecord::new();
    let mut header_seen = false;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                faults.push(None, None, format!("cannot be read on: {error}"), "CSV");
                return None;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if !header_seen {
            header_seen = true;
            if !is_header(&record, line, faults) {
                return None;
            }
            continue;
        }
        rows.extend(parse_row(&record, line, faults));
    }
    if !header_seen {
        faults.push(None, None, "is empty", "the header `timestamp,value` and samples");
        return None;
    }
    // Some sources give samples in no order. Rows of the same stamp stay as they stand.
    rows.sort_by_key(|row| row.stamp);
    assemble(rows, faults)
}

fn is_header(record: &csv::ByteRecord, line: u64, faults: &mut Faults) -> bool {
    let fields: Vec<&[u8]> = record.iter().collect();
    // A byte order mark is what spreadsheets put before the first field.
    let first = fields.first().map(|f| f.strip_prefix(b"\xef\xbb\xbf").unwrap_or(f));
    if first == Some(b"timestamp".as_slice()) && fields[1..] == [b"value".as_slice()] {
        return true;
    }
    let found = format!("the header is `{}`", shown(&fields.join(&b','), 80));
    faults.push(Some(line), None, found, "`timestamp,value`");
    false
}

fn shown(bytes: &[u8], most: usize) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(most).collect();
    text.escape_debug().collect()
}

fn parse_row(record: &csv::ByteRecord, line: u64, faults: &mut Faults) -> Option<Row> {
    if record.len() != 2 {
        let found = format!("the row has {} fields", record.len());
        faults.push(Some(line), None, found, "2: `timestamp` and `value`");
        return None;
    }
    let stamp_text = std::str::from_utf8(&record[0]).ok();
    let stamp = stamp_text.and_then(stamps::parse);
    if stamp.is_none() {
        let found = format!("`{}`", shown(&record[0], 40));
        faults.push(Some(line), Some("timestamp"), found, STAMP);
    }
    let text = std::str::from_utf8(&record[1]).ok().map(str::trim);
    if text.is_some_and(is_gap) {
        return None;
    }
    let number: Option<f64> = text.and_then(|text| text.parse().ok());
    let value = number.filter(|value| (0.0..=forecaster::error::VALUE_MAX).contains(value));
    if value.is_none() {
        let found = format!("`{}`", shown(&record[1], 40));
        let expected = "a number from 0 to 1e15; an empty field where a sample is missing";
        faults.push(Some(line), Some("value"), found, expected);
    }
    Some(Row { line, stamp: stamp?, value: value? })
}

/// What stands where nothing was measured, in exports of many kinds.
fn is_gap(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    text.is_empty()
        || ["nan", "null", "none", "na", "n/a"].iter().any(|gap| unsigned.eq_ignore_ascii_case(gap))
}

fn assemble(mut rows: Vec<Row>, faults: &mut Faults) -> Option<Series> {
    rows.dedup_by(|row, before| (row.stamp, row.value) == (before.stamp, before.value));
    if !are_apart(&rows, faults) || !faults.listed.is_empty() {
        return None;
    }
    if rows.len() < 2 {
        let found = format!("holds {} samples", rows.len());
        faults.push(None, None, found, "at least 2, to know their step");
        return None;
    }
    let mut at: Vec<Timestamp> = rows.iter().map(|row| row.stamp).collect();
    let step = stamps::step(&at)?;
    if step.seconds() < 60 {
        return put_all(&by_minute(&rows), Step::MINUTE, faults);
    }
    let moved = stamps::snap(&mut at, step);
    rows.iter_mut().zip(at).for_each(|(row, at)| row.stamp = at);
    if moved > 0 {
        let (rows, step) = (rows.len(), step.span());
        tracing::warn!(moved, rows, %step, "stamps a little off their step count as on it");
    }
    if !are_apart(&rows, faults) {
        return None;
    }
    put_all(&rows, step, faults)
}

/// Whether no two rows have the same stamp, of which one must be wrong.
fn are_apart(rows: &[Row], faults: &mut Faults) -> bool {
    let mut apart = true;
    for pair in rows.windows(2).filter(|pair| pair[0].stamp == pair[1].stamp) {
        let (line, found) = (pair[1].line, format!("`{}`", pair[1].stamp));
        let expected =
            format!("another stamp than line {}'s, which has another value", pair[0].line);
        faults.push(Some(line), Some("timestamp"), found, expected);
        apart = false;
    }
    apart
}

fn by_minute(rows: &[Row]) -> Vec<Row> {
    let mut minutes: Vec<(Row, f64)> = Vec::new();
    for row in rows {
        let stamp = row.stamp.floor_to(Step::MINUTE);
        match minutes.last_mut().filter(|(minute, _)| minute.stamp == stamp) {
            Some((minute, count)) => {
                minute.value += row.value;
                *count += 1.0;
            }
            None => minutes.push((Row { line: row.line, stamp, value: row.value }, 1.0)),
        }
    }
    let mean = |(row, count): (Row, f64)| Row { value: row.value / count, ..row };
    minutes.into_iter().map(mean).collect()
}

fn put_all(rows: &[Row], step: Step, faults: &mut Faults) -> Option<Series> {
    let mut series = Series::new(step);
    for row in rows {
        let Err(fault) = series.put(row.stamp, row.value, Marks::NONE) else { continue };
        let (field, found) = (Some("timestamp"), format!("`{}`", row.stamp));
        let expected = match &fault {
            SeriesFault::OffGrid { start, step, .. } => {
                format!("a whole number of steps of {step} after {start}")
            }
            SeriesFault::GapTooLong { end, max, .. } => {
                format!("a stamp at most {max} after {end}")
            }
            other => other.to_string(),
        };
        faults.push(Some(row.line), field, found, expected);
    }
    Some(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Series, FileFaults> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("load.csv");
        std::fs::write(&path, text).unwrap();
        match read(&path) {
            Ok(file) => {
                assert_eq!(file.name, "load");
                Ok(file.series)
            }
            // The folder has another name each time.
            Err(faults) => Err(FileFaults { path: "load.csv".into(), ..faults }),
        }
    }

    #[test]
    fn absent_rows_are_missing_samples() {
        let series = read_text(
            "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2.5\n2026-01-01T00:15:00Z,4\n2026-01-01T00:20:00Z,5\n",
        )
        .unwrap();
        assert_eq!(series.step(), Step::FIVE_MINUTES);
        let values: Vec<_> = series.iter().map(|(_, value)| value).collect();
        assert_eq!(values, [Some(1.0), Some(2.5), None, Some(4.0), Some(5.0)]);
    }

    #[test]
    fn exports_of_every_kind_are_read_alike() {
        const START: i64 = 1_767_225_600;
        let stamp = |n: i64| Timestamp(START + n * 300).to_string();
        let values = [Some(1.0), Some(2.0), None, Some(4.0), Some(5.0), None, Some(7.0)];
        let rows = |stamp: &dyn Fn(i64) -> String, gap: Option<&str>, order: &[usize]| {
            let row = |place: &usize| {
                let value = values[*place].map(|value| value.to_string());
                let value = value.or_else(|| gap.map(str::to_owned))?;
                Some(format!("{},{value}\n", stamp(*place as i64)))
            };
            let rows: String = order.iter().filter_map(row).collect();
            let series = read_text(&format!("timestamp,value\n{rows}"));
            let series = series.unwrap_or_else(|faults| panic!("{faults}\n{rows}"));
            assert_eq!(series.step(), Step::FIVE_MINUTES);
            assert_eq!(series.iter().next().unwrap().0, Timestamp(START));
            series.iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        let rising = [0, 1, 2, 3, 4, 5, 6];
        for gap in ["", " ", "NaN", "-nan", "nan", "null", "NULL", "None", "N/A"] {
            assert_eq!(rows(&stamp, Some(gap), &rising), values, "{gap:?}");
        }
        for order in [[6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 1, 5, 2, 4], [1, 0, 2, 3, 4, 6, 5]] {
            assert_eq!(rows(&stamp, None, &order), values, "{order:?}");
            assert_eq!(rows(&stamp, Some("NaN"), &order), values, "{order:?}");
        }
        let twice = [0, 0, 1, 2, 3, 4, 5, 6, 4];
        assert_eq!(rows(&stamp, None, &twice), values);
        let seconds = |n: i64| (START + n * 300).to_string();
        let milliseconds = |n: i64| format!("{}000", START + n * 300);
        let jitter =
            |n: i64| Timestamp(START + n * 300 + [0, 1, -2, 2][n as usize % 4]).to_string();
        for stamp in [&seconds as &dyn Fn(i64) -> String, &milliseconds, &jitter] {
            assert_eq!(rows(stamp, None, &rising), values);
        }
    }

    #[test]
    fn seconds_are_averaged_to_minutes() {
        let mut text = String::from("timestamp,value\n");
        for second in 0..180 {
            let (minute, rest) = (second / 60, second % 60);
            text += &format!("2026-01-31T00:0{minute}:{rest:02}Z,{minute}\n");
        }
        let series = read_text(&text).unwrap();
        let values: Vec<_> = series.iter().map(|(_, value)| value).collect();
        assert_eq!(
            (series.step(), values),
            (Step::MINUTE, [Some(0.0), Some(1.0), Some(2.0)].into())
        );
    }

    #[test]
    fn all_faults_of_a_file_are_told_at_once() {
        let said = read_text(
            "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01,2\n2026-01-01T00:10:00Z,many\n2026-01-01T00:15:00Z\n2026-01-01T00:20:00Z,-3\n2026-01-01T00:20:00Z,inf\n2026-01-01T00:00:00Z,4\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(said, @r"
        load.csv:3: `timestamp` is `2026-01-01`, expected `YYYY-MM-DDTHH:MM:SSZ`, or seconds or milliseconds since 1970
        load.csv:4: `value` is `many`, expected a number from 0 to 1e15; an empty field where a sample is missing
        load.csv:5: the row has 1 fields, expected 2: `timestamp` and `value`
        load.csv:6: `value` is `-3`, expected a number from 0 to 1e15; an empty field where a sample is missing
        load.csv:7: `value` is `inf`, expected a number from 0 to 1e15; an empty field where a sample is missing
        load.csv:8: `timestamp` is `2026-01-01T00:00:00Z`, expected another stamp than line 2's, which has another value
        ");
    }

    #[test]
    fn files_that_hold_no_series_are_refused() {
        let off_grid = "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,1\n2026-01-01T00:10:00Z,1\n2026-01-01T00:11:00Z,1\n";
        let said = ["", "time,load\n", "timestamp,value\n2026-01-01T00:00:00Z,1\n", off_grid]
            .map(|text| read_text(text).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        load.csv: is empty, expected the header `timestamp,value` and samples
        load.csv:1: the header is `time,load`, expected `timestamp,value`
        load.csv: holds 1 samples, expected at least 2, to know their step
        load.csv:5: `timestamp` is `2026-01-01T00:11:00Z`, expected a whole number of steps of 5m after 2026-01-01T00:00:00Z
        ");
    }

    #[test]
    fn stamps_read_by_hand_agree_with_the_general_parser() {
        for day in 0..40_000 {
            let stamp = Timestamp(day * 86_400 + day % 86_400);
            let text = stamp.to_string();
            assert_eq!(stamps::parse(&text), Some(stamp), "{text}");
        }
        assert_eq!(stamps::parse("2026-02-30T00:00:00Z"), None);
        assert_eq!(stamps::parse("2026-01-01T24:00:00Z"), None);
    }
}
