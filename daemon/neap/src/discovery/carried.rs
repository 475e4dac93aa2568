//! Services that templates made before a restart: they are known until their place has answered.

use config::{Config, ServiceTemplate};
use fleet::ServiceName;
use planner::policy::{Policy, ServicePolicy};

/// A service of the policy that was recorded last.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub name: ServiceName,
    pub service: ServicePolicy,
    /// What made it, as it is in force.
    pub template: ServiceTemplate,
    /// A good answer did not have its group.
    pub(super) missed: bool,
}

/// What is carried over from `recorded`, the policy that came of the configuration `was`, under the
/// configuration of `now`: what a template made that has not changed since. A service that was written
/// out is the operator's to take away, and what another template says of a group nobody knows without
/// its tags.
pub fn carried(recorded: &Policy, was: &Config, now: &Config) -> Vec<Carried> {
    let still = |template: &&ServiceTemplate| was.templates.contains(template);
    let still: Vec<&ServiceTemplate> = now.templates.iter().filter(still).collect();
    let mut carried = Vec::new();
    for (name, service) in &recorded.services {
        let written = [was, now].iter().any(|config| config.policy.services.contains_key(name));
        let template = still.iter().find(|template| !written && template.could_make(service));
        let Some(template) = template else { continue };
        let (name, service) = (name.clone(), service.clone());
        carried.push(Carried { name, service, template: (*template).clone(), missed: false });
    }
    carried
}
