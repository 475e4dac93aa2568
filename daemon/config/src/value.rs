//! Values with units: durations, shares, sizes, budgets.

use fleet::{Seconds, Units};
use planner::policy::{Budget, Share};

/// Longest duration a file may name: ten years. Anything longer is a slip of the pen.
const DURATION_MAX: Seconds = Seconds::days(3653);

/// What a duration should look like, for messages.
pub(super) const DURATION: &str = "a duration with a unit such as `45s`, `4m`, `1h30m` or `2d`";
/// What a share should look like, for messages.
pub(super) const SHARE: &str = "a share such as `\"0.5%\"`, from `0%` to `100%`";
/// What a size should look like, for messages.
pub(super) const SIZE: &str = "a size with a unit such as `500 MiB` or `40 GiB`";
/// What a budget should look like, for messages.
pub(super) const BUDGET: &str =
    "a budget such as `\"10% per 10m\"` or `\"10% per 10m, at least 2\"`";

/// Reads `45s`, `4m`, `1h30m`, `2d`: whole numbers, each with its unit, from large to small.
pub(super) fn duration(text: &str) -> Option<Seconds> {
    text.parse().ok().filter(|span: &Seconds| *span <= DURATION_MAX)
}

/// Reads `0.5%`: from 0 to 100, no finer than a millionth of the whole.
pub(super) fn share(text: &str) -> Option<Share> {
    let number = plain_number(text.strip_suffix('%')?.trim_end())?;
    Share::from_fraction(number / 100.0)
}

/// Reads `500 MiB`, `40GiB`, `1 TB` as bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let (unit, bytes) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let count: u64 = text[..text.len() - unit.len()].trim_end().parse().ok()?;
    count.checked_mul(*bytes)
}

/// Reads `10% per 10m` and `10% per 10m, at least 2`; without `at least` it is 1 unit.
pub fn budget(text: &str) -> Option<Budget> {
    let (of, at_least) = match text.split_once(',') {
        Some((of, floor)) => {
            let count: u32 = floor.trim().strip_prefix("at least ")?.trim().parse().ok()?;
            (of, Units(count))
        }
        None => (text, Units(1)),
    };
    let (part, per) = of.split_once(" per ")?;
    let per = duration(per.trim()).filter(|per| *per > Seconds::ZERO)?;
    Some(Budget { share: share(part.trim())?, at_least, per })
}

/// A decimal number of digits and one point: no sign, exponent, `inf` or `nan`.
fn plain_number(text: &str) -> Option<f64> {
    let sound = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if sound { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        let read = |text| duration(text).map(|s| s.0);
        assert_eq!(
            ["45s", "4m", "1h30m", "2d", "35d", "1w", "0s"].map(read),
            [45, 240, 5400, 172_800, 3_024_000, 604_800, 0].map(Some)
        );
        for bad in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "30m1h",
            "1h1h",
            "5min",
            "5M",
            "5ms",
            "99999d",
            "5m3",
            "99999999999999999999d",
            "٣m",
            "1h30",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn shares_need_a_percent_sign() {
        let read = |text| share(text).map(|s| s.to_string());
        assert_eq!(read("0.5%").as_deref(), Some("0.5%"));
        assert_eq!(read("100 %").as_deref(), Some("100%"));
        for bad in ["0.5", "101%", "-1%", "NaN%", "inf%", "1e1%", "%", "", ".5%", "1.2.3%"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(size("500 MiB"), Some(500 << 20));
        assert_eq!(size("40GiB"), Some(40 << 30));
        assert_eq!(size("1 TB"), Some(1_000_000_000_000));
        for bad in ["40", "40G", "40 gib", "GiB", "-1 GiB", "1.5 GiB", "99999999999 TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn budgets_name_a_share_and_a_time() {
        let read = budget("10% per 10m").unwrap();
        assert_eq!(
            (read.share, read.at_least, read.per),
            (Share::percent(10), Units(1), Seconds(600))
        );
        assert_eq!(budget("5% per 1h, at least 3").unwrap().at_least, Units(3));
        for bad in ["10%", "10 per 10m", "10% per 10", "10% per 0s", "10% per 1h, 3", "per 1h"] {
            assert_eq!(budget(bad), None, "{bad}");
        }
    }
}
