//! Machines that look forgotten: in no group, and tagged as nobody's production. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{Power, Resource, Subject};

/// Tags that say what a machine is for.
const KEYS: [&str; 4] = ["env", "environment", "stage", "tier"];
/// What they say of machines that serve no customer.
const VALUES: [&str; 10] =
    ["dev", "development", "test", "testing", "staging", "qa", "sandbox", "demo", "int", "poc"];
/// Tags that name whom to ask.
const OWNERS: [&str; 4] = ["owner", "team", "contact", "created-by"];

/// Machines of one tag that a rule should look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forgotten<'a> {
    /// The tag, as it is written.
    pub(super) key: String,
    /// Its values among them.
    pub(super) values: BTreeSet<String>,
    pub(super) machines: Vec<&'a Resource>,
    /// The tag that names whom to tell.
    pub(super) owner: Option<&'a str>,
}

/// The machines that the most usual of those tags marks; none where no tag does.
pub(super) fn forgotten(machines: &[Resource]) -> Option<Forgotten<'_>> {
    let mut by_key: BTreeMap<&str, Forgotten<'_>> = BTreeMap::new();
    for machine in machines.iter().filter(|machine| alone(machine)) {
        for (key, value) in &machine.tags {
            let is = |of: &[&str], text: &str| of.contains(&text.to_lowercase().as_str());
            if is(&KEYS, key) && is(&VALUES, value) {
                let all = by_key.entry(key).or_insert_with(|| Forgotten {
                    key: key.clone(),
                    values: BTreeSet::new(),
                    machines: Vec::new(),
                    owner: None,
                });
                all.values.insert(value.clone());
                all.machines.push(machine);
            }
        }
    }
    let mut most = by_key.into_values().max_by_key(|all| all.machines.len())?;
    let keys = most.machines.iter().flat_map(|machine| machine.tags.keys());
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for key in keys.filter(|key| OWNERS.contains(&key.to_lowercase().as_str())) {
        *owners.entry(key).or_default() += 1;
    }
    most.owner = owners.into_iter().max_by_key(|(_, count)| *count).map(|(key, _)| key);
    Some(most)
}

/// Whether a machine runs and is in no group.
fn alone(machine: &Resource) -> bool {
    let Subject::Machine(facts) = &machine.subject else { return false };
    machine.power == Power::Running && !matches!(facts.scaling_group.known(), Some(Some(_)))
}
