//! Prices: the operator's file first, then what the clouds' own price lists say, kept for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::money::{Price, PriceQuery, Saving};
use fleet::resource::{PublicAddress, Resource, ResourceKind, Saves, Subject};
use fleet::signs::StillPaid;
use fleet::{Seconds, Timestamp};
use providers::{Deadline, Estate};

/// How long a price of a cloud's list is taken for true.
const KEPT: Seconds = Seconds::days(1);
/// How long a price that could not be read is not asked for again.
const RETRY: Seconds = Seconds::hours(1);
/// How long asking may take in one look.
const ASK_WITHIN: Duration = Duration::from_secs(20);

/// The prices that are known.
#[derive(Debug, Default)]
pub struct Prices {
    asked: BTreeMap<PriceQuery, (Timestamp, Option<Price>)>,
}

impl Prices {
    /// Asks a cloud for the prices of these resources that are neither in the file nor known.
    pub async fn ask(
        &mut self,
        estate: &dyn Estate,
        resources: &[&Resource],
        in_file: &(dyn Fn(&PriceQuery) -> bool + Send + Sync),
        now: Timestamp,
    ) {
        let mut wanted: Vec<PriceQuery> = resources.iter().map(|r| query(r)).collect();
        wanted.sort();
        wanted.dedup();
        wanted.retain(|query| {
            let due = |(at, price): &(Timestamp, Option<Price>)| {
                *at > now || now.since(*at) >= if price.is_some() { KEPT } else { RETRY }
            };
            !in_file(query) && self.asked.get(query).is_none_or(due)
        });
        if wanted.is_empty() {
            return;
        }
        let answers = estate.prices(&wanted, Deadline::within(ASK_WITHIN)).await;
        for (query, answer) in wanted.into_iter().zip(answers) {
            match answer {
                Ok(price) => {
                    self.asked.insert(query, (now, price));
                }
                Err(fault) => {
                    tracing::warn!(class = query.class, %fault, "a price could not be read");
                    // An old price with its date is better than none.
                    let old = self.asked.get(&query).and_then(|(_, price)| price.clone());
                    self.asked.insert(query, (now, old));
                }
            }
        }
    }

    /// What a cloud's list says.
    pub fn listed(&self, query: &PriceQuery) -> Option<Price> {
        self.asked.get(query).and_then(|(_, price)| price.clone())
    }
}

/// What to ask the price of a resource by.
pub fn query(resource: &Resource) -> PriceQuery {
    PriceQuery {
        provider: resource.id.provider.clone(),
        account: resource.id.account.clone(),
        region: resource.id.region.clone(),
        kind: resource.id.kind,
        class: resource.class.clone().unwrap_or_default(),
        platform: resource.platform.clone(),
    }
}

/// What a stop (for parts: an end) would save: what goes on being paid is not in it.
pub fn saving(resource: &Resource, price: Option<Price>) -> Saving {
    let mut still_paid = Vec::new();
    let mut saves = true;
    let mut units = 1;
    match &resource.subject {
        Subject::Machine(facts) => {
            still_paid.push(StillPaid::Disks.into());
            if facts.public_address.known() == Some(&PublicAddress::Elastic) {
                still_paid.push(StillPaid::ElasticAddress.into());
            }
            match facts.saves.known() {
                Some(Saves::Yes) => {}
                Some(Saves::No(why)) => {
                    saves = false;
                    still_paid.push(StillPaid::All(why.clone()).into());
                }
                None => {
                    return Saving {
                        resource: resource.id.clone(),
                        price,
                        hourly_micro: None,
                        still_paid,
                    };
                }
            }
            if resource.id.kind == ResourceKind::Database {
                still_paid.push(StillPaid::Backups.into());
            }
        }
        Subject::Part(_) => {
            if matches!(resource.id.kind, ResourceKind::Volume | ResourceKind::Snapshot) {
                units = u64::from(resource.size_gib.unwrap_or(1));
            }
        }
    }
    let hourly_micro = match saves {
        true => price.as_ref().map(|price| price.hourly_micro.saturating_mul(units)),
        false => Some(0),
    };
    Saving { resource: resource.id.clone(), price, hourly_micro, still_paid }
}
