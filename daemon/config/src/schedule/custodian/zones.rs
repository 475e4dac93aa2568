//! The names of zones that Cloud Custodian knows: its own abbreviations, then IANA's in any case.

use std::fmt;

use crate::Zone;

/// Its abbreviations, the zones they are to it, and what a reader may take them for instead.
const ALIASES: [(&str, &str, &str); 26] = [
    ("pdt", "America/Los_Angeles", ""),
    ("pt", "America/Los_Angeles", ""),
    ("pst", "America/Los_Angeles", ""),
    ("ast", "America/Phoenix", "the Atlantic or Arabia"),
    ("at", "America/Phoenix", "the Atlantic"),
    ("est", "America/New_York", ""),
    ("edt", "America/New_York", ""),
    ("et", "America/New_York", ""),
    ("cst", "America/Chicago", "China"),
    ("cdt", "America/Chicago", ""),
    ("ct", "America/Chicago", ""),
    ("mst", "America/Denver", ""),
    ("mdt", "America/Denver", ""),
    ("mt", "America/Denver", ""),
    ("gmt", "Etc/GMT", ""),
    ("gt", "Etc/GMT", ""),
    ("bst", "Europe/London", ""),
    ("ist", "Europe/Dublin", "India or Israel"),
    ("cet", "Europe/Berlin", ""),
    ("it", "Asia/Kolkata", "Italy or Ireland"),
    ("jst", "Asia/Tokyo", ""),
    ("kst", "Asia/Seoul", ""),
    ("sgt", "Asia/Singapore", ""),
    ("aet", "Australia/Sydney", ""),
    ("brt", "America/Sao_Paulo", ""),
    ("nzst", "Pacific/Auckland", ""),
];

/// A zone, with what its name means where that may surprise.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedZone {
    pub zone: Zone,
    /// A few words to a reader who may have meant another.
    pub note: Option<String>,
}

impl fmt::Display for NamedZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zone)?;
        self.note.iter().try_for_each(|note| write!(f, " ({note})"))
    }
}

/// The zone that a name is to Cloud Custodian; `None` where it is none.
pub fn zone_of(name: &str) -> Option<NamedZone> {
    let name = name.to_lowercase();
    if let Some((_, iana, not)) = ALIASES.iter().find(|(alias, ..)| *alias == name) {
        let note = (!not.is_empty()).then(|| format!("`{name}` is that here, not {not}"));
        return Zone::in_database(iana).map(|zone| NamedZone { zone, note });
    }
    let iana = if name == "utc" { "Etc/UTC" } else { &name };
    let reversed = name.starts_with("etc/gmt+") || name.starts_with("etc/gmt-");
    let note = reversed.then(|| "its sign is the opposite of what it seems".to_owned());
    Zone::in_database(iana).map(|zone| NamedZone { zone, note })
}
