//! From a configuration and the groups that are known to the policy in force: a function of both, and
//! of the names that groups have had.

use std::collections::{BTreeMap, BTreeSet};

use config::calendars::Calendars;
use config::{Config, ServiceTemplate, TemplateFault};
use fleet::group::GroupState;
use fleet::{GroupId, GroupRef, ServiceName};
use forecaster::ModelKind;
use planner::policy::{Policy, ServicePolicy};

use super::carried::Carried;
use super::named::{self, Name, Named};

/// What is in force with every group that matches a template.
#[derive(Clone, Debug)]
pub struct Made {
    /// The policy, templates expanded.
    pub policy: Policy,
    /// Models named by the operator.
    pub models: BTreeMap<ServiceName, ModelKind>,
    /// The calendars of all.
    pub calendars: Calendars,
    /// Groups that match a template and became no service.
    pub unmade: BTreeMap<GroupRef, Unmade>,
    /// Services that go on with another group in the place of one that is gone.
    pub followed: BTreeSet<ServiceName>,
    /// Services that do not have the name that their template gives, each with that name and who has
    /// it.
    pub told_apart: BTreeMap<ServiceName, (ServiceName, GroupRef)>,
}

/// Why a group that matches a template becomes no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmade {
    /// The template cannot be filled in.
    #[error(transparent)]
    Template(#[from] TemplateFault),
    /// Others have all of its names.
    #[error("others have the name `{wanted}` and all that would tell it apart")]
    NoName {
        /// What its template calls it.
        wanted: ServiceName,
    },
}

/// A service that a template makes of a group, without its name.
struct Wanted<'a> {
    template: &'a ServiceTemplate,
    id: &'a GroupId,
    name: ServiceName,
    service: ServicePolicy,
}

impl Made {
    /// What a configuration comes to with these groups and services, whatever the order in which they
    /// were found. Who had a name before keeps it.
    pub fn of<'a>(
        config: &Config,
        groups: impl Iterator<Item = &'a GroupState>,
        carried: impl Iterator<Item = &'a Carried>,
        before: &Named,
    ) -> Made {
        let mut made = Made {
            policy: config.policy.clone(),
            models: config.forecasters.clone(),
            calendars: Calendars::of(config),
            unmade: BTreeMap::new(),
            followed: BTreeSet::new(),
            told_apart: BTreeMap::new(),
        };
        made.policy.promotion.rules = config.idle.terms();
        for Carried { name, service, template, .. } in carried {
            let in_force = config.templates.contains(template);
            if in_force && !made.policy.services.contains_key(name) {
                made.add(name.clone(), template, service.clone());
            }
        }
        let mut groups: Vec<&GroupState> = groups.collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        let mut rest = Vec::new();
        let all = made.wanted(config, &groups);
        let heirs = made.heirs(&all, before);
        for (wanted, is_heir) in all.into_iter().zip(heirs) {
            if is_heir && !made.policy.services.contains_key(&wanted.name) {
                made.followed.insert(wanted.name.clone());
                made.name(wanted.name.clone(), wanted);
                continue;
            }
            let here = (&wanted.service.pool.group, wanted.id);
            match named::kept(&wanted.name, here, &made.policy.services, before) {
                Name::Free(name) => made.name(name, wanted),
                Name::Held => {}
                Name::None => rest.push(wanted),
            }
        }
        for wanted in rest {
            let here = (&wanted.service.pool.group, wanted.id);
            match named::free(&wanted.name, here, &made.policy.services) {
                Name::Free(name) => made.name(name, wanted),
                Name::Held => {}
                Name::None => {
                    let group = wanted.service.pool.group;
                    made.unmade.insert(group, Unmade::NoName { wanted: wanted.name });
                }
            }
        }
        made
    }

    /// Which of these get the name of a group that is gone: those that want it alone in their place.
    fn heirs(&self, all: &[Wanted<'_>], before: &Named) -> Vec<bool> {
        let here = |wanted: &Wanted<'_>| wanted.service.pool.group.clone();
        let is_heir = |one: &Wanted<'_>| {
            let mut rivals = all.iter().filter(|other| other.name == one.name);
            !self.policy.services.contains_key(&one.name)
                && named::follows(&one.name, (&here(one), one.id), before)
                && rivals.all(|other| {
                    let has = before.is_of(&one.name, (&here(other), other.id));
                    !has && (other.id == one.id || !named::is_near(&here(other), &here(one)))
                })
        };
        all.iter().map(is_heir).collect()
    }

    /// What the templates make of groups, the first template first.
    fn wanted<'a>(&mut self, config: &'a Config, groups: &[&'a GroupState]) -> Vec<Wanted<'a>> {
        let mut all = Vec::new();
        for template in &config.templates {
            for group in groups {
                match template.expand(group) {
                    None => {}
                    Some(Ok((name, service))) => {
                        all.push(Wanted { template, id: &group.id, name, service });
                    }
                    Some(Err(fault)) => {
                        let GroupId { provider, account, region, .. } = group.id.clone();
                        let name = group.name.clone();
                        let group = GroupRef { provider, account, region, name };
                        self.unmade.insert(group, fault.into());
                    }
                }
            }
        }
        all
    }

    fn name(&mut self, name: ServiceName, wanted: Wanted<'_>) {
        if name != wanted.name
            && let Some(other) = self.policy.services.get(&wanted.name)
        {
            let other = other.pool.group.clone();
            self.told_apart.insert(name.clone(), (wanted.name, other));
        }
        self.add(name, wanted.template, wanted.service);
    }

    fn add(&mut self, name: ServiceName, template: &ServiceTemplate, service: ServicePolicy) {
        self.models.entry(name.clone()).or_insert(template.forecaster);
        if let Some(calendar) = &template.calendar {
            self.calendars.assign(&name, calendar);
        }
        self.calendars.bound(&name, &template.hours);
        if template.gated {
            self.policy.promotion.gated.insert(name.clone());
        }
        self.policy.services.insert(name, service);
    }
}
