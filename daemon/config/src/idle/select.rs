//! Which resources a rule or schedule means.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::ResourceKind;
use fleet::{AccountId, ProviderName, Region};
use planner::idle::rule::Select;

use super::super::keys::Key;
use super::super::keys::idle::{matching, select as of_select};
use super::super::metric::{Surroundings, known};
use super::super::provider::{ProviderConfig, Providers};
use super::super::reader::{Entry, Table};

/// Whether `match` must name what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    /// It must.
    Needed,
    /// A tag that each resource carries names it.
    InTags,
}

/// What `match` should look like, for messages.
const MATCH: &str = "what is meant, such as `{ tags = { env = [\"dev\", \"test\"] } }`";

/// Reads `provider`, `accounts`, `regions`, `kinds` and `match`.
pub(super) fn select(
    table: &Table<'_>,
    providers: &Providers,
    criterion: Criterion,
) -> Option<Select> {
    let around = Surroundings { providers, home: None };
    let provider = table.get(&of_select::PROVIDER).map(|entry| around.cloud_name(&entry));
    let among = |name: &ProviderName| match &provider {
        Some(Some(only)) => only == name,
        Some(None) | None => !providers.sources.contains(name.as_str()),
    };
    let configs: Vec<&ProviderConfig> =
        providers.read.iter().filter(|(name, _)| among(name)).map(|(_, config)| config).collect();
    let accounts: Vec<AccountId> = configs.iter().flat_map(|config| config.accounts()).collect();
    let regions: Vec<Region> = configs.iter().flat_map(|config| config.regions()).collect();
    let accounts = names(table, &of_select::ACCOUNTS, |entry| {
        known(entry, AccountId::new, &accounts, "account")
    });
    let every = configs.iter().any(|config| config.has_every_region());
    let regions = names(table, &of_select::REGIONS, |entry| match every {
        true => entry.name(Region::new, "the name of a region"),
        false => known(entry, Region::new, &regions, "region"),
    });
    let kinds = kinds(table);
    let found = match criterion {
        Criterion::Needed => table.required(&of_select::MATCH, MATCH),
        Criterion::InTags => table.get(&of_select::MATCH),
    };
    let matcher = match found {
        Some(entry) => matched(&entry, criterion),
        None => (criterion == Criterion::InTags).then(Matcher::default),
    };
    let Matcher { tags, not_tags, ids } = matcher?;
    let provider = match provider {
        Some(name) => Some(name?),
        None => None,
    };
    Some(Select {
        provider,
        accounts: accounts?,
        regions: regions?,
        kinds: kinds?,
        tags,
        not_tags,
        ids,
    })
}

/// Whether what is meant can be stopped; `None`, and a fault, where some of it can and some cannot.
pub(super) fn power(table: &Table<'_>, select: &Select) -> Option<bool> {
    let with = select.kinds.iter().filter(|kind| kind.has_power()).count();
    if with > 0 && with < select.kinds.len() {
        let message = "a rule is for machines and for parts of them, expected one of both: what is \
                       measured of the first is not there for the others";
        let hint = "write a second rule for volumes, addresses, load balancers and snapshots";
        if let Some(entry) = table.get(&of_select::KINDS) {
            entry.fault(message.to_owned(), Some(hint.to_owned()));
        }
        return None;
    }
    Some(with > 0)
}

/// A list of names that are known; `None` where one is faulty.
fn names<T: Ord>(
    table: &Table<'_>,
    key: &Key,
    read: impl Fn(&Entry<'_>) -> Option<T>,
) -> Option<BTreeSet<T>> {
    let Some(entry) = table.get(key) else { return Some(BTreeSet::new()) };
    let members = entry.list(&format!("a list of {}", key.name));
    if members.is_empty() {
        if entry.list_is_empty() {
            let hint = format!("leave `{}` out to mean all of them", key.name);
            entry.unexpected(&format!("at least one of the {}", key.name), Some(hint));
        }
        return None;
    }
    let read: Vec<Option<T>> = members.iter().map(read).collect();
    read.into_iter().collect()
}

fn kinds(table: &Table<'_>) -> Option<BTreeSet<ResourceKind>> {
    if table.get(&of_select::KINDS).is_none() {
        return Some(BTreeSet::from([ResourceKind::Instance]));
    }
    let words = ResourceKind::ALL.map(|kind| (kind.word(), kind));
    names(table, &of_select::KINDS, |entry| entry.choice(&words))
}

#[derive(Default)]
struct Matcher {
    tags: BTreeMap<String, Vec<String>>,
    not_tags: BTreeMap<String, Vec<String>>,
    ids: BTreeSet<String>,
}

fn matched(entry: &Entry<'_>, criterion: Criterion) -> Option<Matcher> {
    let table = entry.table()?;
    let tags = tags(&table, &matching::TAGS);
    let not_tags = self::tags(&table, &matching::NOT_TAGS);
    let ids = names(&table, &matching::IDS, |entry| entry.text("an id").map(str::to_owned));
    table.finish();
    let matcher = Matcher { tags: tags?, not_tags: not_tags?, ids: ids? };
    if criterion == Criterion::Needed && matcher.tags.is_empty() && matcher.ids.is_empty() {
        let hint = "without one every resource would be meant".to_owned();
        entry.unexpected("at least one tag or id", Some(hint));
        return None;
    }
    Some(matcher)
}

fn tags(table: &Table<'_>, key: &Key) -> Option<BTreeMap<String, Vec<String>>> {
    let Some(entry) = table.get(key) else { return Some(BTreeMap::new()) };
    let entries = entry.table()?.entries();
    let read = entries.iter().map(|entry| {
        let members = entry.list("a list of values such as `[\"dev\"]`");
        if members.is_empty() && !entry.list_is_empty() {
            return None;
        }
        // Everything has a name: that is no choice.
        if key.name == matching::TAGS.name
            && members.is_empty()
            && entry.key().eq_ignore_ascii_case("name")
        {
            let hint = "with no value named it means every resource that has a name".to_owned();
            entry.unexpected("at least one value", Some(hint));
            return None;
        }
        let values = members.iter().map(|m| m.text("a tag's value").map(str::to_owned));
        Some((entry.key().to_owned(), values.collect::<Option<Vec<String>>>()?))
    });
    let read: Vec<Option<(String, Vec<String>)>> = read.collect();
    read.into_iter().collect()
}
