//! What units of sized groups cost an hour, read beside the cycle: the operator's word first, then his
//! list, then what the clouds say. It sizes nothing: ceilings on spending count configured prices alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use config::IdleConfig;
use fleet::group::Instance;
use fleet::money::PriceQuery;
use fleet::rent::{
    Market, RentQuery, Rented, Share, Tenancy, Terms, UnitPrice, UnitPriceKnown, Unpriced,
    of_members,
};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use fleet::{
    AccountId, Fault, GroupRef, ProviderName, Region, Seconds, ServiceName, Timestamp, Units,
};
use planner::policy::Policy;
use providers::{Deadline, Estate, Provider};
use tokio::task::JoinHandle;

use crate::gather::Providers;

/// How long a price is taken for true.
const KEPT: Seconds = Seconds::days(1);
/// How long what could not be read is not asked for again.
const RETRY: Seconds = Seconds::hours(1);
/// How long a reading may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Members of a group that are looked at: of more, so many that stand evenly among them.
const MEMBERS_MAX: usize = 40;

/// What was read of one service.
#[derive(Clone, Debug)]
struct Read {
    at: Timestamp,
    group: GroupRef,
    known: UnitPriceKnown,
    /// An older price, which is better than none.
    older: Option<UnitPrice>,
}

/// The operator's list, and which kind of cloud each provider is.
#[derive(Clone)]
pub struct Listed {
    /// His prices are among what is configured for idle resources.
    pub config: Arc<IdleConfig>,
    pub kinds: BTreeMap<ProviderName, &'static str>,
}

/// What was read of some services.
type Answers = Vec<(ServiceName, GroupRef, UnitPriceKnown)>;

/// Prices of units, as they are known by now.
#[derive(Default)]
pub struct UnitPrices {
    read: BTreeMap<ServiceName, Read>,
    running: Option<JoinHandle<Answers>>,
}

impl UnitPrices {
    /// Prices that were known before a restart: each is read again when it is a day old.
    pub fn restored(policy: &Policy, kept: &BTreeMap<ServiceName, UnitPrice>) -> UnitPrices {
        let read = kept.iter().filter_map(|(name, price)| {
            let group = policy.services.get(name)?.pool.group.clone();
            let known = Ok(price.clone());
            Some((name.clone(), Read { at: price.as_of, group, known, older: None }))
        });
        UnitPrices { read: read.collect(), running: None }
    }

    /// The services whose price is to be read now.
    pub fn due(&self, policy: &Policy, now: Timestamp) -> BTreeSet<ServiceName> {
        if self.running.is_some() {
            return BTreeSet::new();
        }
        let due = policy.services.iter().filter(|(name, service)| {
            let pool = &service.pool;
            let stale = |read: &Read| {
                let kept = if read.known.is_ok() { KEPT } else { RETRY };
                read.group != pool.group || now.apart(read.at) >= kept
            };
            pool.price_usd_hourly.is_none() && self.read.get(*name).is_none_or(stale)
        });
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Begins to read what these members cost.
    pub fn begin(
        &mut self,
        members: BTreeMap<ServiceName, Vec<Instance>>,
        policy: &Policy,
        providers: &Providers,
        listed: &Listed,
        now: Timestamp,
    ) {
        let with_group = |(name, members): (ServiceName, Vec<Instance>)| {
            let group = policy.services.get(&name)?.pool.group.clone();
            Some(PriceQuestion { name, group, members: sample(members), now })
        };
        let asked: Vec<PriceQuestion> = members.into_iter().filter_map(with_group).collect();
        if asked.is_empty() || self.running.is_some() {
            return;
        }
        let (providers, listed) = (providers.clone(), listed.clone());
        self.running = Some(tokio::spawn(async move { ask(asked, &providers, &listed).await }));
    }

    /// Takes in what has been read by now; whether that was anything. Waits for it where `waits`.
    pub async fn finish(&mut self, policy: &Policy, now: Timestamp, waits: bool) -> bool {
        let Some(running) = self.running.take_if(|running| waits || running.is_finished()) else {
            return false;
        };
        let answers = running.await.unwrap_or_default();
        self.read.retain(|name, _| policy.services.contains_key(name));
        for (name, group, known) in answers {
            let before = self.read.remove(&name).filter(|read| read.group == group);
            let older = before.and_then(|read| read.known.ok().or(read.older));
            if let Err(why) = &known {
                tracing::debug!(service = %name, %why, "the price of a unit is not known");
            }
            self.read.insert(name, Read { at: now, group, known, older });
        }
        true
    }

    /// What units cost; an old price where no newer one could be read.
    pub fn known(&self) -> BTreeMap<ServiceName, UnitPrice> {
        let price = |read: &Read| read.known.as_ref().ok().or(read.older.as_ref()).cloned();
        let known = self.read.iter().filter_map(|(name, read)| Some((name.clone(), price(read)?)));
        known.collect()
    }

    /// Why others have no price.
    pub fn unknown(&self) -> BTreeMap<ServiceName, Unpriced> {
        let why = |read: &Read| read.known.as_ref().err().cloned();
        let all = self.read.iter().filter(|(_, read)| read.older.is_none());
        all.filter_map(|(name, read)| Some((name.clone(), why(read)?))).collect()
    }
}

/// So many that stand evenly among them.
fn sample(members: Vec<Instance>) -> Vec<Instance> {
    let every = members.len().div_ceil(MEMBERS_MAX).max(1);
    members.into_iter().step_by(every).collect()
}

/// A service whose unit's price is asked for.
struct PriceQuestion {
    name: ServiceName,
    group: GroupRef,
    members: Vec<Instance>,
    now: Timestamp,
}

/// A place of one provider.
type PlaceOf = (ProviderName, AccountId, Region);

fn place_of(group: &GroupRef) -> PlaceOf {
    (group.provider.clone(), group.account.clone(), group.region.clone())
}

/// Reads how the members are paid for, place by place, and then each price once.
async fn ask(asked: Vec<PriceQuestion>, providers: &Providers, listed: &Listed) -> Answers {
    let mut ids: BTreeMap<PlaceOf, Vec<String>> = BTreeMap::new();
    for one in &asked {
        let here = ids.entry(place_of(&one.group)).or_default();
        here.extend(one.members.iter().map(|member| member.id.clone()));
    }
    let reads = ids.into_iter().map(|(place, ids)| async move {
        let rented = rented(providers, &place, &ids).await;
        (place, rented)
    });
    let rented: BTreeMap<PlaceOf, Result<BTreeMap<String, Terms>, Unpriced>> =
        futures_util::future::join_all(reads).await.into_iter().collect();
    let now = asked.first().map_or(Timestamp(0), |one| one.now);
    let prices = prices(&rented, providers, listed, now).await;
    let known = |one: &PriceQuestion| match rented.get(&place_of(&one.group)) {
        Some(Ok(terms)) => of_members(&shares(one, terms, &prices)),
        Some(Err(why)) => Err(why.clone()),
        None => Err(Unpriced::NotRead),
    };
    asked.iter().map(|one| (one.name.clone(), one.group.clone(), known(one))).collect()
}

async fn rented(
    providers: &Providers,
    (provider, account, region): &PlaceOf,
    ids: &[String],
) -> Result<BTreeMap<String, Terms>, Unpriced> {
    let estate = estate(providers, provider).ok_or(Unpriced::NoSource)?;
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = estate.rented(account, region, ids, Deadline::within(WITHIN)).await;
    let read: Vec<Rented> = read.map_err(|fault: Fault| Unpriced::of(&fault))?;
    Ok(read.into_iter().map(|one| (one.id, one.terms)).collect())
}

fn estate<'a>(providers: &'a Providers, name: &ProviderName) -> Option<&'a dyn Estate> {
    providers.get(name)?.estate()
}

/// The price of each kind of machine in each place.
async fn prices(
    rented: &BTreeMap<PlaceOf, Result<BTreeMap<String, Terms>, Unpriced>>,
    providers: &Providers,
    listed: &Listed,
    now: Timestamp,
) -> BTreeMap<(PlaceOf, Terms), UnitPriceKnown> {
    let mut known = BTreeMap::new();
    let mut queries: BTreeMap<&ProviderName, Vec<(PlaceOf, RentQuery)>> = BTreeMap::new();
    for (place, terms) in rented {
        let Ok(terms) = terms else { continue };
        let distinct: BTreeSet<&Terms> = terms.values().collect();
        for terms in distinct {
            if let Some(price) = listed.price(place, terms, now) {
                known.insert((place.clone(), terms.clone()), Ok(price));
                continue;
            }
            let (provider, account, region) = place;
            let (account, region) = (account.clone(), region.clone());
            let query = RentQuery { account, region, terms: terms.clone() };
            queries.entry(provider).or_default().push((place.clone(), query));
        }
    }
    for (provider, queries) in queries {
        let Some(estate) = estate(providers, provider) else { continue };
        let asked: Vec<RentQuery> = queries.iter().map(|(_, query)| query.clone()).collect();
        let answers = estate.rents(&asked, Deadline::within(WITHIN)).await;
        for ((place, query), answer) in queries.into_iter().zip(answers) {
            known.insert((place, query.terms), answer);
        }
    }
    known
}

impl Listed {
    /// What the operator's own list says of a machine that is paid by the hour.
    fn price(&self, place: &PlaceOf, terms: &Terms, now: Timestamp) -> Option<UnitPrice> {
        if (terms.market, terms.tenancy) != (Market::OnDemand, Tenancy::Shared) {
            return None;
        }
        let (provider, account, region) = place.clone();
        let kind = self.kinds.get(&provider)?;
        let query = PriceQuery {
            provider,
            account,
            region,
            kind: ResourceKind::Instance,
            class: terms.class.clone(),
            platform: terms.platform.clone(),
        };
        let price = self.config.prices.price(&query, kind)?;
        let told = || PriceSource::File(price.source.to_string());
        let sources = vec![price.source.value().cloned().unwrap_or_else(told)];
        let (hourly_micro, currency) = (price.hourly_micro, price.currency);
        Some(UnitPrice { hourly_micro, currency, sources, as_of: now })
    }
}

/// The members of one service, by what they cost.
fn shares(
    one: &PriceQuestion,
    terms: &BTreeMap<String, Terms>,
    prices: &BTreeMap<(PlaceOf, Terms), UnitPriceKnown>,
) -> Vec<Share> {
    let place = place_of(&one.group);
    let mut by_terms: BTreeMap<&Terms, (u64, u32)> = BTreeMap::new();
    for member in &one.members {
        // Who is gone since is no part of it.
        let Some(terms) = terms.get(&member.id) else { continue };
        let (machines, units) = by_terms.entry(terms).or_default();
        *machines += 1;
        *units += member.weight.0;
    }
    let share = |(terms, (machines, units)): (&Terms, (u64, u32))| {
        let price = prices.get(&(place.clone(), terms.clone())).cloned();
        let machine = price.unwrap_or(Err(Unpriced::NotRead));
        Share { machines, units: Units(units), machine }
    };
    by_terms.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use fleet::group::Lifecycle;
    use fleet::money::Currency;
    use providers::sim::{EstateSpec, Preset, Scenario, World};
    use providers::traced::Traced;
    use providers::{Inventory as _, Now};

    use super::*;

    const CONFIG: &str = "[provider.sim]\nkind = \"sim\"\n[[service]]\nname = \"shop\"\n\
        demand = [{ namespace = \"A\", metric = \"M\" }]\n[[service.pool]]\ngroup = \"shop\"\n\
        capacity_per_unit = 5\n";

    #[derive(Debug)]
    struct Noon;

    impl Now for Noon {
        fn now(&self) -> Timestamp {
            Timestamp(1_780_315_200)
        }
    }

    fn shop() -> ServiceName {
        ServiceName::new("shop").unwrap()
    }

    fn usd(hourly_micro: u64, as_of: Timestamp) -> UnitPrice {
        let sources = vec![PriceSource::AwsPriceList];
        UnitPrice { hourly_micro, currency: Currency::Usd, sources, as_of }
    }

    #[tokio::test]
    async fn a_price_is_read_once_a_day_and_an_older_one_stays_where_none_can_be_read() {
        let policy = crate::settings::parse("neap.toml", CONFIG).unwrap().policy;
        let now = Noon.now();
        let mut prices = UnitPrices::default();
        assert_eq!(prices.due(&policy, now), BTreeSet::from([shop()]));
        let kept = BTreeMap::from([(shop(), usd(5, now))]);
        prices = UnitPrices::restored(&policy, &kept);
        assert!(prices.due(&policy, now + Seconds::hours(23)).is_empty());
        assert_eq!(prices.due(&policy, now + Seconds::days(1)).len(), 1);
        assert_eq!(prices.due(&policy, now - Seconds::days(9)).len(), 1, "a clock was set back");
        // A cloud that is not there any more tells no prices.
        let listed = crate::assemble::listed(&crate::settings::parse("neap.toml", CONFIG).unwrap());
        let members = BTreeMap::from([(shop(), Vec::new())]);
        prices.begin(members, &policy, &Providers::new(), &listed, now);
        assert!(prices.due(&policy, now + Seconds::days(9)).is_empty(), "it is being read");
        assert!(prices.finish(&policy, now, true).await);
        assert_eq!(prices.known(), kept, "an old price with its date is better than none");
        assert!(prices.unknown().is_empty());
        assert!(prices.due(&policy, now + Seconds::minutes(59)).is_empty());
        assert_eq!(prices.due(&policy, now + Seconds::hours(1)).len(), 1);
        // What the operator says is not asked for.
        let said = CONFIG.replace("capacity", "price_usd_hourly = 0.5\ncapacity");
        let said = crate::settings::parse("neap.toml", &said).unwrap().policy;
        assert!(UnitPrices::default().due(&said, now).is_empty());
    }

    #[tokio::test]
    async fn members_of_a_group_are_priced_by_their_type_and_weight() {
        let name = ProviderName::new("sim").unwrap();
        let scenario =
            Scenario { estate: EstateSpec::fleet(1), ..Preset::Day.scenario(Noon.now()) };
        let world = World::new(&name, 1, Noon.now(), &scenario, Arc::new(Noon));
        let place = world.places().remove(0);
        let soon = Deadline::within(Duration::from_secs(5));
        let groups = world.discover(&place, soon).await.unwrap();
        let group = groups.iter().find(|group| !group.instances.is_empty()).unwrap();
        let serving = |one: &&Instance| one.lifecycle == Lifecycle::InService;
        let members: Vec<Instance> = group.instances.iter().filter(serving).cloned().collect();
        let weight = members.first().map_or(1, |one| one.weight.0);
        let mut config = crate::settings::parse("neap.toml", CONFIG).unwrap();
        let pool = &mut config.policy.services.get_mut(&shop()).unwrap().pool;
        pool.group.account = group.id.account.clone();
        pool.group.region = group.id.region.clone();
        pool.group.name.clone_from(&group.name);
        let providers = Providers::from([(name.clone(), Traced::new(&name, Arc::new(world)))]);
        let listed = crate::assemble::listed(&config);
        let (mut prices, now) = (UnitPrices::default(), Noon.now());
        let all = BTreeMap::from([(shop(), members)]);
        prices.begin(all, &config.policy, &providers, &listed, now);
        assert!(prices.finish(&config.policy, now, true).await);
        let known = prices.known();
        let price = known.get(&shop()).expect("a price");
        let machine = price.hourly_micro * u64::from(weight);
        assert!([100_000, 400_000].contains(&machine), "{price:?} of weight {weight}");
        assert_eq!(price.sources, [PriceSource::Simulated]);
    }

    #[test]
    fn of_many_members_so_many_are_looked_at_as_stand_evenly_among_them() {
        let member = |n: usize| Instance {
            id: format!("i-{n}"),
            lifecycle: Lifecycle::InService,
            weight: Units(1),
            protected: false,
            healthy: true,
            launched_at: None,
            zone: None,
            instance_type: None,
        };
        for count in [0, 1, 39, 40, 41, 80, 1000] {
            let found = sample((0..count).map(member).collect());
            assert!(found.len() <= MEMBERS_MAX && found.len() * 2 >= count.min(MEMBERS_MAX));
        }
    }
}
