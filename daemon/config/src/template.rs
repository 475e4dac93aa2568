//! `[[service_template]]`: services made of every group that matches.

use std::collections::BTreeMap;

use fleet::group::GroupState;
use fleet::metric::{MetricQuery, PROMQL as NAMESPACE};
use fleet::{AccountId, GroupRef, ProviderName, Region, ServiceName};
use forecaster::ModelKind;
use planner::policy::{PoolPolicy, ServicePolicy};
use serde::Serialize;

use super::hours::HoursRule;
use super::keys::root::top;
use super::keys::service::{template as known, template_match};
use super::metric::{Place, Surroundings};
use super::provider::Providers;
use super::reader::{Entry, Table};
use super::service::{ServiceKeys, workload};

/// A service to be made of every group that matches.
///
/// Its name, its dimensions' values, its PromQL and its upstreams may hold `{group}`, `{account}`, `{region}`
/// and `{tag:KEY}`, which are filled in from the group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceTemplate {
    /// The service's name.
    pub name: String,
    /// Only groups of this provider.
    pub provider: ProviderName,
    /// Each tag must have one of its values; an empty list is satisfied by any value.
    pub tags: BTreeMap<String, Vec<String>>,
    /// The service; its pool's group is replaced.
    pub service: ServicePolicy,
    /// The model that forecasts it.
    pub forecaster: ModelKind,
    /// The calendar that its users live by.
    pub calendar: Option<String>,
    /// The hours that bound its size.
    pub hours: Vec<HoursRule>,
    /// Whether it acts only once promoted.
    pub gated: bool,
}

/// Why a group that matches a template becomes no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// A placeholder names a tag that the group does not have.
    #[error("group `{group}` matches template `{template}` but has no tag `{tag}`")]
    NoTag {
        /// The group's name.
        group: String,
        /// The template's name.
        template: String,
        /// The tag's key.
        tag: String,
    },
    /// The name comes out empty or with control characters.
    #[error("group `{group}` matches template `{template}`, whose name comes out as `{name}`")]
    NoName {
        /// The group's name.
        group: String,
        /// The template's name.
        template: String,
        /// What came out.
        name: String,
    },
}

impl ServiceTemplate {
    /// Whether it is meant for this group.
    pub fn matches(&self, group: &GroupState) -> bool {
        group.id.provider == self.provider
            && self.tags.iter().all(|(key, values)| {
                let found = group.tags.get(key);
                found.is_some_and(|value| values.is_empty() || values.contains(value))
            })
    }

    /// The service that this group becomes; `None` where the group does not match.
    ///
    /// # Errors
    /// Where a placeholder cannot be filled in: to be shown, never passed over.
    pub fn expand(
        &self,
        group: &GroupState,
    ) -> Option<Result<(ServiceName, ServicePolicy), TemplateFault>> {
        self.matches(group).then(|| self.filled(group))
    }

    /// Whether a service is as this template makes it of some group: it differs in nothing but in
    /// what is filled in.
    pub fn could_make(&self, service: &ServicePolicy) -> bool {
        if service.pool.group.provider != self.provider {
            return false;
        }
        let own = &self.service;
        let mut made = service.clone();
        made.pool.group = own.pool.group.clone();
        let filled = made
            .demand
            .iter_mut()
            .chain(&mut made.utilisation)
            .chain(&mut made.signals.errors)
            .chain(&mut made.signals.healthy_hosts);
        let meant = own
            .demand
            .iter()
            .chain(&own.utilisation)
            .chain(&own.signals.errors)
            .chain(&own.signals.healthy_hosts);
        filled.zip(meant).for_each(|(filled, meant)| empty_query(filled, meant));
        made.upstreams
            .iter_mut()
            .zip(&own.upstreams)
            .for_each(|(filled, meant)| empty(filled, meant));
        made == *own
    }

    fn filled(&self, group: &GroupState) -> Result<(ServiceName, ServicePolicy), TemplateFault> {
        let fill = |text: &str| self.fill(text, group);
        let name = fill(&self.name)?;
        let service = ServiceName::new(name.clone()).ok_or_else(|| TemplateFault::NoName {
            group: group.name.clone(),
            template: self.name.clone(),
            name,
        })?;
        let mut policy = self.service.clone();
        let queries = policy
            .demand
            .iter_mut()
            .chain(&mut policy.utilisation)
            .chain(&mut policy.signals.errors)
            .chain(&mut policy.signals.healthy_hosts);
        for query in queries.filter(|query| !query.is_made()) {
            self.fill_query(query, group)?;
        }
        for upstream in &mut policy.upstreams {
            *upstream = fill(upstream)?;
        }
        policy.pool.group = GroupRef {
            provider: group.id.provider.clone(),
            account: group.id.account.clone(),
            region: group.id.region.clone(),
            name: group.name.clone(),
        };
        if policy.busy_units().is_some() {
            policy.count_busy_units();
        }
        Ok((service, policy))
    }

    fn fill_query(&self, query: &mut MetricQuery, group: &GroupState) -> Result<(), TemplateFault> {
        if query.account.as_str() == ACCOUNT {
            query.account = group.id.account.clone();
        }
        if query.region.as_str() == REGION {
            query.region = group.id.region.clone();
        }
        if query.namespace == NAMESPACE {
            query.metric = self.fill_promql(&query.metric, group)?;
        }
        for value in query.dimensions.values_mut() {
            *value = self.fill(value, group)?;
        }
        Ok(())
    }

    /// Fills in the placeholders of a query, each as what may stand between quotes; PromQL's own
    /// braces remain.
    fn fill_promql(&self, query: &str, group: &GroupState) -> Result<String, TemplateFault> {
        let mut filled = String::new();
        let mut rest = query;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let inside = after.split_once('}').filter(|(inside, _)| is_placeholder(inside));
            rest = match inside {
                Some((inside, behind)) => {
                    let value = self.fill(&format!("{{{inside}}}"), group)?;
                    filled.push_str(&quoted(&value));
                    behind
                }
                None => {
                    filled.push('{');
                    after
                }
            };
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Fills in each placeholder once: what a tag holds is never taken for a placeholder.
    fn fill(&self, text: &str, group: &GroupState) -> Result<String, TemplateFault> {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder("group") => filled.push_str(&group.name),
                Piece::Placeholder("account") => filled.push_str(group.id.account.as_str()),
                Piece::Placeholder("region") => filled.push_str(group.id.region.as_str()),
                Piece::Placeholder(other) => {
                    let tag = other.strip_prefix("tag:").unwrap_or(other);
                    let value = group.tags.get(tag).ok_or_else(|| TemplateFault::NoTag {
                        group: group.name.clone(),
                        template: self.name.clone(),
                        tag: tag.to_owned(),
                    })?;
                    filled.push_str(value);
                }
            }
        }
        Ok(filled)
    }
}

/// Puts the placeholders of a template's query back into one that was made of it.
fn empty_query(filled: &mut MetricQuery, meant: &MetricQuery) {
    if filled.is_made() && meant.is_made() {
        // It follows from the others.
        filled.clone_from(meant);
        return;
    }
    if meant.account.as_str() == ACCOUNT {
        filled.account = meant.account.clone();
    }
    if meant.region.as_str() == REGION {
        filled.region = meant.region.clone();
    }
    if meant.namespace == NAMESPACE {
        empty(&mut filled.metric, &meant.metric);
    }
    for (key, value) in &mut filled.dimensions {
        if let Some(meant) = meant.dimensions.get(key) {
            empty(value, meant);
        }
    }
}

/// The same for a text; what has no placeholder stays as it is.
fn empty(filled: &mut String, meant: &str) {
    let holds = |placeholder: &&str| meant.contains(*placeholder);
    if [NAME, ACCOUNT, REGION, "{tag:"].iter().any(holds) {
        meant.clone_into(filled);
    }
}

/// Stands for the group's own account in a metric of a template.
const ACCOUNT: &str = "{account}";
/// Stands for the group's own region in a metric of a template.
const REGION: &str = "{region}";
/// The name of a template's services where it gives none.
const NAME: &str = "{group}";

enum Piece<'t> {
    Text(&'t str),
    Placeholder(&'t str),
}

/// Text and placeholders in turn; a brace that is never closed is text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, behind)) = after.split_once('}') else { break };
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Placeholder(inside));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Reads every `[[service_template]]`.
pub(super) fn templates(
    root: &Table<'_>,
    keys: &ServiceKeys,
    providers: &Providers,
) -> Vec<ServiceTemplate> {
    let tables = root.get(&top::SERVICE_TEMPLATE).map_or_else(Vec::new, |entry| entry.tables());
    tables.iter().filter_map(|table| template(table, keys, providers)).collect()
}

fn template(
    table: &Table<'_>,
    keys: &ServiceKeys,
    providers: &Providers,
) -> Option<ServiceTemplate> {
    let keys = keys.of_template(table);
    let name = table.get(&known::NAME).map_or(Some(NAME), |entry| {
        let name = entry.text("a name such as `\"{group}\"`")?;
        if pieces(name).len() == 1 {
            let message = format!("{} would be the name of every group's service", entry.found());
            entry.fault(message, Some(format!("use a placeholder such as `{NAME}`")));
        }
        check_placeholders(&entry, name);
        Some(name)
    });
    let tags = tags(table);
    let mut around = Surroundings { providers, home: None };
    around.home = home(table, &around);
    let pool_keys = match table.get(&known::POOL).and_then(|entry| entry.table()) {
        Some(pool) => {
            let keys = keys.pool().overlaid(&pool);
            pool.finish();
            keys
        }
        None => keys.pool().clone(),
    };
    let pool: Option<PoolPolicy> =
        around.home.clone().map(|home| pool_keys.policy(home, NAME.to_owned()));
    let service = workload(table, &keys, &around, pool, 0.0);
    table.finish();
    let service = service?;
    check_dimensions(table, &service);
    Some(ServiceTemplate {
        name: name?.to_owned(),
        provider: service.pool.group.provider.clone(),
        tags: tags?,
        service,
        forecaster: keys.forecaster(),
        calendar: keys.calendar().cloned(),
        hours: keys.hours().to_vec(),
        gated: keys.gated(),
    })
}

/// The provider is the template's, account and region will be the group's.
fn home(table: &Table<'_>, around: &Surroundings<'_>) -> Option<Place> {
    let provider = around.provider(table, &known::PROVIDER)?;
    Some(Place { provider, account: AccountId::new(ACCOUNT)?, region: Region::new(REGION)? })
}

fn tags(table: &Table<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let expected = "tags such as `{ tags = { \"neap:scale\" = [\"yes\"] } }`";
    let matcher = table.required(&known::MATCH, expected)?.table()?;
    let entry = matcher.required(&template_match::TAGS, expected);
    matcher.finish();
    let entry = entry?;
    let tags = entry.table()?;
    if tags.is_empty() {
        let hint = "a template without tags would take every group".to_owned();
        entry.unexpected("at least one tag", Some(hint));
        return None;
    }
    let values = |entry: &Entry<'_>| {
        let members = entry.list("a list of values such as `[\"yes\"]`");
        members.iter().filter_map(|m| m.text("a tag's value").map(str::to_owned)).collect()
    };
    Some(tags.entries().iter().map(|e| (e.key().to_owned(), values(e))).collect())
}

fn check_placeholders(entry: &Entry<'_>, text: &str) {
    if let Some(unknown) = unknown_placeholder(text) {
        entry.fault(unknown_message(unknown), None);
    }
}

fn check_dimensions(table: &Table<'_>, service: &ServicePolicy) {
    let queries = service.demand.iter().chain(&service.utilisation);
    let queries = queries.filter(|query| !query.is_made());
    let values = queries.flat_map(|query| query.dimensions.values());
    for unknown in values.chain(&service.upstreams).filter_map(|text| unknown_placeholder(text)) {
        table.fault(unknown_message(unknown), None);
    }
}

fn unknown_message(placeholder: &str) -> String {
    format!(
        "unknown placeholder `{{{placeholder}}}`, expected `{{group}}`, `{{account}}`, `{{region}}` \
         or `{{tag:KEY}}`"
    )
}

fn unknown_placeholder(text: &str) -> Option<&str> {
    pieces(text).into_iter().find_map(|piece| match piece {
        Piece::Placeholder(name) if !is_placeholder(name) => Some(name),
        Piece::Placeholder(_) | Piece::Text(_) => None,
    })
}

fn is_placeholder(name: &str) -> bool {
    let of_tag = name.strip_prefix("tag:").is_some_and(|key| !key.is_empty());
    of_tag || matches!(name, "group" | "account" | "region")
}
/// A value as it may stand between quotes of a PromQL query, whichever they are.
fn quoted(value: &str) -> String {
    let escaped = |c: char| match c {
        '\\' | '"' | '\'' | '`' => format!("\\x{:02x}", u32::from(c)),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    value.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_between_quotes_cannot_end_them() {
        let value = "a\"} or vector(1) or x{b='\\`\n";
        let escaped = quoted(value);
        assert_eq!(escaped, r"a\x22} or vector(1) or x{b=\x27\x5c\x60\u000a");
        assert_eq!(quoted("checkout-v2"), "checkout-v2");
    }
}
