//! When regions are looked for that nobody named: at the start, each day, and soon again after a cloud
//! did not answer. No clock and no cloud.

use std::collections::BTreeMap;

use fleet::{ProviderName, Seconds, Timestamp};

/// How often a cloud is asked which regions an account has.
const SOUGHT_EVERY: Seconds = Seconds::days(1);
/// How soon again after it did not answer.
const AGAIN_AFTER: Seconds = Seconds::minutes(1);

/// What became of looking, by provider.
#[derive(Clone, Debug, Default)]
pub struct Seeking {
    by_provider: BTreeMap<ProviderName, Sought>,
    has_news: bool,
}

#[derive(Clone, Debug, Default)]
struct Sought {
    /// An answer is under way.
    is_asked: bool,
    /// When it was asked last, and whether it answered.
    last: Option<(Timestamp, bool)>,
    /// Whether it ever answered.
    was_found: bool,
}

impl Seeking {
    /// These providers look for their regions, and none has found any.
    pub fn of(names: impl Iterator<Item = ProviderName>) -> Seeking {
        let by_provider = names.map(|name| (name, Sought::default())).collect();
        Seeking { by_provider, has_news: false }
    }

    /// The providers to ask now: they count as asked.
    pub fn due(&mut self, now: Timestamp) -> Vec<ProviderName> {
        let mut due = Vec::new();
        for (name, sought) in &mut self.by_provider {
            // Both ways: a clock that was set back leaves nobody waiting.
            let is_due = sought.last.is_none_or(|(at, answered)| {
                at.apart(now) >= if answered { SOUGHT_EVERY } else { AGAIN_AFTER }
            });
            if is_due && !sought.is_asked {
                sought.is_asked = true;
                due.push(name.clone());
            }
        }
        due
    }

    /// Takes in whether a provider answered.
    pub fn answered(&mut self, name: &ProviderName, now: Timestamp, answered: bool) {
        let Some(sought) = self.by_provider.get_mut(name) else { return };
        sought.is_asked = false;
        sought.last = Some((now, answered));
        sought.was_found |= answered;
        // Of several accounts some may have answered where one did not.
        self.has_news = true;
    }

    /// Whether a provider looks for its regions and never found them.
    pub fn is_unfound(&self, name: &ProviderName) -> bool {
        self.by_provider.get(name).is_some_and(|sought| !sought.was_found)
    }

    /// Whether anything was answered since this was asked last.
    pub fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_asked_at_the_start_each_day_and_soon_again_where_it_was_silent() {
        let aws = ProviderName::new("aws").unwrap();
        let mut nobody = Seeking::default();
        assert!(nobody.due(Timestamp(0)).is_empty() && !nobody.is_unfound(&aws));
        let mut seeking = Seeking::of([aws.clone()].into_iter());
        assert!(seeking.is_unfound(&aws));
        assert_eq!(seeking.due(Timestamp(0)), std::slice::from_ref(&aws));
        assert!(seeking.due(Timestamp(90)).is_empty(), "its answer is under way");
        seeking.answered(&aws, Timestamp(100), false);
        assert!(seeking.has_news() && !seeking.has_news() && seeking.is_unfound(&aws));
        assert!(seeking.due(Timestamp(159)).is_empty());
        assert_eq!(seeking.due(Timestamp(160)), std::slice::from_ref(&aws));
        seeking.answered(&aws, Timestamp(170), true);
        assert!(!seeking.is_unfound(&aws));
        assert!(seeking.due(Timestamp(170 + 86_399)).is_empty());
        assert_eq!(seeking.due(Timestamp(170 + 86_400)), std::slice::from_ref(&aws));
        seeking.answered(&aws, Timestamp(90_000), false);
        assert!(!seeking.is_unfound(&aws), "what was found stands");
        // A clock that was set back by days.
        assert_eq!(seeking.due(Timestamp(-90_000)), std::slice::from_ref(&aws));
    }
}
