//! What the clouds' listings have in common: where groups and resources live, what all parts have,
//! and one answer for each kind in each place.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{Part, Power, Resource, ResourceId, ResourceKind, Subject};
use fleet::{AccountId, Fault, GroupId, ProviderName, Region, Seconds, Timestamp};

use crate::Listing;
use crate::places::Place;

/// Where groups and resources live. The account is called as the caller called it, so that what was
/// asked for is found again.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) provider: ProviderName,
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

impl Home {
    /// That of a group.
    pub(crate) fn of(group: &GroupId) -> Home {
        let GroupId { provider, account, region, .. } = group.clone();
        Home { provider, account, region }
    }

    /// The identity of a group in it.
    pub(crate) fn group(&self, id: String) -> GroupId {
        GroupId {
            provider: self.provider.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            id,
        }
    }

    /// The identity of something in it.
    pub(crate) fn id(&self, kind: ResourceKind, id: impl Into<String>) -> ResourceId {
        ResourceId {
            provider: self.provider.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            kind,
            id: id.into(),
        }
    }
}

/// A part as it was listed, with what all parts have.
#[derive(Debug)]
pub(crate) struct ListedPart {
    pub(crate) kind: ResourceKind,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) zone: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) size_gib: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) part: Part,
}

impl ListedPart {
    pub(crate) fn resource(self, home: &Home, read_at: Timestamp) -> Resource {
        Resource {
            // People look for something by a name; what has none goes by its id.
            name: if self.name.is_empty() { self.id.clone() } else { self.name },
            id: home.id(self.kind, self.id),
            read_at,
            created_at: self.created_at,
            started_at: None,
            power: Power::Running,
            zone: self.zone,
            class: self.class,
            platform: self.platform,
            size_gib: self.size_gib,
            tags: self.tags,
            sampled_every: Seconds::ZERO,
            signals: BTreeSet::new(),
            subject: Subject::Part(self.part),
        }
    }
}

/// A kind in an account and region.
pub(crate) type KindInPlace = (Place, ResourceKind);

/// Each kind in each place, once.
pub(crate) fn kinds_in(places: &[Place], kinds: &[ResourceKind]) -> Vec<KindInPlace> {
    let kinds: BTreeSet<ResourceKind> = kinds.iter().copied().collect();
    let each = |place: &Place| {
        let place = place.clone();
        kinds.iter().map(move |kind| (place.clone(), *kind))
    };
    places.iter().flat_map(each).collect()
}

/// What was answered to what was asked, in the same order.
pub(crate) fn listings(
    asked: Vec<KindInPlace>,
    answers: Vec<Result<Vec<Resource>, Fault>>,
) -> Vec<Listing> {
    let listing =
        |(((account, region), kind), resources)| Listing { account, region, kind, resources };
    asked.into_iter().zip(answers).map(listing).collect()
}

#[cfg(test)]
mod tests {
    use fleet::OrTold;
    use fleet::resource::Fact;
    use fleet::signs::Clue;

    use super::*;

    #[test]
    fn a_part_without_a_name_goes_by_its_id_whatever_it_is() {
        let home = Home {
            provider: ProviderName::new("cloud").unwrap(),
            account: AccountId::new("prod").unwrap(),
            region: Region::new("eu-1").unwrap(),
        };
        for kind in ResourceKind::ALL.into_iter().filter(|kind| !kind.has_power()) {
            for (told, shown) in [("", "part-7"), ("db-backup", "db-backup"), (" ", " ")] {
                let part = ListedPart {
                    kind,
                    id: "part-7".to_owned(),
                    name: told.to_owned(),
                    created_at: None,
                    zone: None,
                    class: None,
                    platform: None,
                    size_gib: None,
                    tags: BTreeMap::new(),
                    part: Part {
                        used_by: Fact::Unasked,
                        unused_since: None,
                        looked_at: OrTold::Value(Clue::Attachments),
                    },
                };
                let resource = part.resource(&home, Timestamp(0));
                assert_eq!((resource.name.as_str(), resource.id.id.as_str()), (shown, "part-7"));
            }
        }
    }
}
