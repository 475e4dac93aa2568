//! What kinds of machines there are, and when each is in use.

use fleet::resource::ResourceKind;
use fleet::usage::HOUR;

use super::super::random::Stream;

/// What a resource is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Forgotten: idle at every hour, and nothing speaks against a stop.
    AlwaysIdle,
    /// Works for an hour every night.
    NightlyCron,
    /// Works for three hours on the first of each month.
    MonthlyBatch,
    /// A managed database that waits for another to fail.
    StandbyDatabase,
    /// A way in: idle by its nature, as its name says.
    Bastion,
    /// Burstable and out of CPU credits: it looks idle and would do more if it could.
    Starved,
    /// A cache: idle processors, full memory, connections.
    Cache,
    /// An accelerator that works off jobs while the processors idle.
    GpuBox,
    /// Idle, and a member of a scaling group.
    InScalingGroup,
    /// Idle, and protected by its tag.
    Protected,
    /// Idle, and paid for a term: a stop saves nothing.
    Subscription,
    /// Works for an hour every night, and only disk operations would show it, which nobody
    /// publishes.
    Unmeasured,
    /// Used from nine to six on working days, UTC, with `Schedule = office` as its tag.
    OfficeHours,
    /// Used at one hour in five, at random.
    RandomBusy,
    /// A managed database with connections at office hours and on Saturdays.
    BusyDatabase,
    /// A managed database that nobody connects to.
    IdleDatabase,
    /// A volume that one in two times is attached to nothing.
    Volume,
    /// A reserved address that one in two times belongs to nothing.
    Address,
    /// A load balancer that one in two times has no targets in service.
    LoadBalancer,
    /// A snapshot that one in two times no image uses.
    Snapshot,
}

impl Profile {
    /// Every profile; the first twelve are those that finders of idle machines go wrong with.
    pub const ALL: [Profile; 20] = [
        Profile::AlwaysIdle,
        Profile::NightlyCron,
        Profile::MonthlyBatch,
        Profile::StandbyDatabase,
        Profile::Bastion,
        Profile::Starved,
        Profile::Cache,
        Profile::GpuBox,
        Profile::InScalingGroup,
        Profile::Protected,
        Profile::Subscription,
        Profile::Unmeasured,
        Profile::OfficeHours,
        Profile::RandomBusy,
        Profile::BusyDatabase,
        Profile::IdleDatabase,
        Profile::Volume,
        Profile::Address,
        Profile::LoadBalancer,
        Profile::Snapshot,
    ];

    /// The first twelve of [`Profile::ALL`].
    pub fn twelve() -> &'static [Profile] {
        &Profile::ALL[..12]
    }

    /// What kind of resource it is.
    pub fn kind(self) -> ResourceKind {
        match self {
            Profile::StandbyDatabase | Profile::BusyDatabase | Profile::IdleDatabase => {
                ResourceKind::Database
            }
            Profile::Volume => ResourceKind::Volume,
            Profile::Address => ResourceKind::Address,
            Profile::LoadBalancer => ResourceKind::LoadBalancer,
            Profile::Snapshot => ResourceKind::Snapshot,
            _ => ResourceKind::Instance,
        }
    }

    /// A word for names.
    pub fn word(self) -> &'static str {
        match self {
            Profile::AlwaysIdle => "idle",
            Profile::NightlyCron => "nightly",
            Profile::MonthlyBatch => "monthly",
            Profile::StandbyDatabase => "standby",
            Profile::Bastion => "bastion",
            Profile::Starved => "starved",
            Profile::Cache => "cache",
            Profile::GpuBox => "gpu",
            Profile::InScalingGroup => "member",
            Profile::Protected => "protected",
            Profile::Subscription => "term",
            Profile::Unmeasured => "unmeasured",
            Profile::OfficeHours => "office",
            Profile::RandomBusy => "busy",
            Profile::BusyDatabase => "orders",
            Profile::IdleDatabase => "archive",
            Profile::Volume => "volume",
            Profile::Address => "address",
            Profile::LoadBalancer => "balancer",
            Profile::Snapshot => "snapshot",
        }
    }

    /// The profile of the machine `index` of a generated fleet: half of it is in use.
    pub(super) fn drawn(chance: Stream) -> Profile {
        match chance.bits(0) % 100 {
            0..14 => Profile::AlwaysIdle,
            14..19 => Profile::NightlyCron,
            19..22 => Profile::MonthlyBatch,
            22..25 => Profile::StandbyDatabase,
            25..27 => Profile::Bastion,
            27..30 => Profile::Starved,
            30..34 => Profile::Cache,
            34..36 => Profile::GpuBox,
            36..40 => Profile::InScalingGroup,
            40..43 => Profile::Protected,
            43..46 => Profile::Subscription,
            46..49 => Profile::Unmeasured,
            49..65 => Profile::OfficeHours,
            65..92 => Profile::RandomBusy,
            92..97 => Profile::BusyDatabase,
            _ => Profile::IdleDatabase,
        }
    }

    /// Whether it has work at the hour that so many hours after 1970 begins.
    pub(super) fn works(self, chance: Stream, hour: i64) -> bool {
        let (day, of_day) = (hour.div_euclid(24), hour.rem_euclid(24));
        // 1970 began on a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        match self {
            Profile::NightlyCron | Profile::Unmeasured => of_day == 1 + chance.bits(1) as i64 % 4,
            Profile::MonthlyBatch => (2..5).contains(&of_day) && is_first_of_month(day),
            Profile::Starved | Profile::Cache => true,
            Profile::GpuBox => chance.one_in((hour.div_euclid(8)) as u64, 3),
            Profile::OfficeHours => weekday < 5 && (9..18).contains(&of_day),
            Profile::RandomBusy => chance.one_in(hour as u64, 5),
            Profile::BusyDatabase => weekday < 6 && (9..18).contains(&of_day),
            _ => false,
        }
    }
}

/// Seconds of an hour, as a span.
pub(super) const HOUR_SECONDS: u64 = HOUR as u64;

/// Whether the day that so many days after 1970 begins is the first of its month: the civil
/// calendar from a count of days (Hinnant, `civil_from_days`).
fn is_first_of_month(day: i64) -> bool {
    let shifted = day + 719_468;
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 == 0
}

#[cfg(test)]
mod tests {
    use fleet::Timestamp;

    use super::*;

    #[test]
    fn months_begin_when_they_do() {
        for (text, first) in [
            ("2026-03-01T00:00:00Z", true),
            ("2026-02-28T00:00:00Z", false),
            ("2028-02-29T00:00:00Z", false),
            ("2028-03-01T00:00:00Z", true),
            ("2027-01-01T00:00:00Z", true),
            ("2026-12-31T00:00:00Z", false),
        ] {
            let day = Timestamp::parse(text).unwrap().0 / 86_400;
            assert_eq!(is_first_of_month(day), first, "{text}");
        }
    }
}
