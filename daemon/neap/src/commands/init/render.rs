//! The configuration that `init` prints: what was guessed, with a comment on each guess. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use config::Defaults;
use fleet::Fault;
use fleet::feed::Surveyed;
use fleet::money::{Currency, Price};
use fleet::resource::{Resource, ResourceKind};

use super::described::{described, written};
use super::find::{WayKind, listed, short};
use super::guess::{Capacity, Guess, Load, Measured, Target};
use super::idle::Forgotten;
use super::text::{comment, decimals, key, metric, number, quoted};
use super::{Cloud, InitArgs};

/// What there is to print.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) guesses: Vec<Guess<'a>>,
    /// Groups that neap would not size, and why.
    pub(super) left: Vec<(&'a Surveyed, String)>,
    /// Prices by place and type of machine.
    pub(super) prices: BTreeMap<(String, String), Result<Option<Price>, Fault>>,
    pub(super) forgotten: Option<Forgotten<'a>>,
    /// What could not be read.
    pub(super) unread: Vec<Fault>,
}

/// A configuration as text.
pub(super) fn render(args: &InitArgs, found: &Found<'_>) -> String {
    let mut text = head(args);
    let names = service_names(found);
    let several = args.account_roles.len() > 1;
    let name = |guess: &Guess<'_>| {
        let group = &guess.one.group;
        names.get(&group.id.to_string()).cloned().unwrap_or_else(|| group.name.clone())
    };
    let (sized, unsized_): (Vec<&Guess<'_>>, Vec<&Guess<'_>>) =
        found.guesses.iter().partition(|guess| guess.sizes(args.provider));
    for guess in sized {
        text.push('\n');
        text.push_str(&service(args, guess, &name(guess), several, found));
    }
    text.push_str(&idle(found));
    text.push_str(&alert(args.provider));
    if !unsized_.is_empty() {
        text.push_str("\n# Not sized yet, and why. Fill in what is missing, and take away one # of each line.\n");
        for guess in unsized_ {
            text.push_str(&unsized_service(args, guess, &name(guess), several, found));
        }
    }
    if found.guesses.is_empty() && found.left.is_empty() && found.unread.is_empty() {
        let none = format!("No scaling group was found in {}.", args.regions.join(", "));
        text.push_str(&format!("\n{}", comment(&none)));
    }
    if !found.left.is_empty() {
        text.push_str("\n# Left out:\n");
    }
    for (one, why) in &found.left {
        let group = &one.group;
        text.push_str(&comment(&format!("- Group `{}` in {}: {why}", group.name, group.id.region)));
    }
    if !found.unread.is_empty() {
        text.push_str("\n# Could not be read, so it may be missing above:\n");
    }
    for fault in &found.unread {
        text.push_str(&comment(&format!("- {fault}")));
    }
    text
}

fn head(args: &InitArgs) -> String {
    let cloud = args.provider.name();
    let regions: Vec<String> = args.regions.iter().map(|region| quoted(region)).collect();
    let mut text = format!(
        "# Made by `neap init` from what the role sees. Guesses carry a comment with their evidence:\n\
         # read it, correct what is wrong. `neap plan` shows what neap would do now, `neap check` what it\n\
         # would cost. Nothing is changed before `mode` is \"act\".\n\
         mode = \"observe\"\n\
         poll_interval = \"{}\"\n\
         state_dir = \"{}\"\n\
         kill_switch = \"{}\"\n\
         \n\
         [provider.{cloud}]\n\
         kind = \"{cloud}\"\n\
         regions = [{}]\n",
        Defaults::POLL_INTERVAL,
        Defaults::STATE_DIR,
        Defaults::KILL_SWITCH,
        regions.join(", ")
    );
    if !args.account_roles.is_empty() {
        let external = args.external_id.as_deref();
        let external = external.map(|id| format!(", external_id = {}", quoted(id)));
        let external = external.unwrap_or_default();
        let role = |arn: &String| format!("    {{ role_arn = {}{external} }},\n", quoted(arn));
        let roles: String = args.account_roles.iter().map(role).collect();
        let _ = writeln!(text, "accounts = [\n{roles}]");
    }
    if let Some(url) = &args.endpoint_url {
        let _ = writeln!(text, "endpoint_url = {}", quoted(url));
    }
    text
}

/// The group's name, with region and then account where another group has the same.
fn service_names(found: &Found<'_>) -> BTreeMap<String, String> {
    let groups = || found.guesses.iter().map(|guess| &guess.one.group);
    let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in groups() {
        regions.entry(&group.name).or_default().push(group.id.region.as_str());
    }
    let mut taken = BTreeSet::new();
    let name = |group: &fleet::group::GroupState| {
        let (name, region) = (&group.name, group.id.region.as_str());
        let all = regions.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        let wanted = match all.iter().filter(|other| **other == region).count() {
            _ if all.len() == 1 => name.clone(),
            1 => format!("{name}-{region}"),
            _ => format!("{name}-{region}-{}", group.id.account),
        };
        // Another group may be called just so.
        let mut unique = wanted.clone();
        let mut n = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{wanted}-{n}");
            n += 1;
        }
        (group.id.to_string(), unique)
    };
    groups().map(name).collect()
}

fn service(
    args: &InitArgs,
    guess: &Guess<'_>,
    name: &str,
    several: bool,
    found: &Found<'_>,
) -> String {
    let mut text = described(guess.one) + &written(guess.one);
    let _ = writeln!(text, "[[service]]\nname = {}", quoted(name));
    text.push_str(&load(guess));
    if let Some(query) = &guess.utilisation
        && !matches!(guess.capacity, Capacity::Learn(_))
    {
        text.push_str(&comment(
            "The group's mean CPU tells a full unit, and a count that is lost, from a quiet hour.",
        ));
        let _ = writeln!(text, "utilisation = {}", metric(query));
    }
    if guess.errors.is_some() || guess.healthy_hosts.is_some() {
        text.push_str("\n# Signs of an outage: while they get worse, nothing is taken away.\n[service.signals]\n");
    }
    if let Some(query) = &guess.errors {
        let _ = writeln!(text, "errors = {}", metric(query));
    }
    if let Some(query) = &guess.healthy_hosts {
        let _ = writeln!(text, "healthy_hosts = {}", metric(query));
    }
    text.push_str(&pool(args, guess, several, found));
    text
}

/// A group that cannot be sized yet: what is missing, and the rest behind a #.
fn unsized_service(
    args: &InitArgs,
    guess: &Guess<'_>,
    name: &str,
    several: bool,
    found: &Found<'_>,
) -> String {
    let mut text = "#\n".to_owned();
    text.push_str(&described(guess.one));
    let mut service = format!("[[service]]\nname = {}\n", quoted(name));
    match (&guess.load, args.provider) {
        (Load::None(why), cloud) => {
            text.push_str(&comment(&why.to_string()));
            for none in &guess.none {
                text.push_str(&comment(&none.to_string()));
            }
            service.push_str(match cloud {
                // It works once there are samples.
                Cloud::Aws => "demand = \"cpu\"\n",
                Cloud::Alibaba => {
                    "demand = [{ namespace = \"acs_alb\", metric = \"LoadBalancerQPS\", stat = \
                     \"Average\", dimensions = { loadBalancerId = \"alb-ID\" } }]\n"
                }
            });
        }
        _ => {
            text.push_str(&comment("What a unit carries is not known: say it, by the second."));
            service.push_str(&load(guess));
        }
    }
    let pool = pool(args, guess, several, found);
    let learned = "capacity_per_unit = \"learn\"\n";
    let given = "capacity_per_unit = 100.0\n";
    service.push_str(&pool.replace(learned, given));
    if args.provider == Cloud::Alibaba && !pool.contains("capacity_per_unit") {
        service.push_str(given);
    }
    // No blank behind the #: what may be used stands apart from what is said.
    text.extend(service.lines().map(|line| format!("#{line}\n")));
    text
}

fn load(guess: &Guess<'_>) -> String {
    let mut said: Vec<String> = Vec::new();
    let text = match &guess.load {
        Load::Metrics { kind, parts, silent } => {
            said.push(because(kind, parts));
            said.extend(seen(parts));
            said.extend(silent.iter().map(|part| {
                let of: Vec<&str> = part.query.dimensions.values().map(|name| short(name)).collect();
                format!(
                    "`{}` of {} had no sample in the last day and is left out: add it when it is used.",
                    part.query.metric,
                    of.join(", ")
                )
            }));
            let all: Vec<String> = parts.iter().map(|one| metric(&one.part.query)).collect();
            match &all[..] {
                [one] => format!("demand = [{one}]\n"),
                _ => format!("demand = [\n    {},\n]\n", all.join(",\n    ")),
            }
        }
        Load::Cpu(measured) => {
            let range = measured
                .range
                .map(|(low, high)| format!(" ({low:.0}% to {high:.0}% in the last day)"));
            said.push(format!(
                "No load balancer, queue or stream was found that tells its load alone, so the load \
                 is the CPU that its units are busy with{}.",
                range.unwrap_or_default()
            ));
            "demand = \"cpu\"\n".to_owned()
        }
        Load::None(_) => return String::new(),
    };
    said.extend(guess.none.iter().map(ToString::to_string));
    comment(&said.join(" ")) + &text
}

/// Why these metrics are the load.
fn because(kind: &WayKind, parts: &[Measured]) -> String {
    let feeds: Vec<&fleet::feed::Feed> =
        parts.iter().filter_map(|one| one.part.feed.as_ref()).collect();
    let names = |of: &dyn Fn(&fleet::feed::Feed) -> Option<String>| {
        let all: BTreeSet<String> = feeds.iter().filter_map(|feed| of(feed)).collect();
        listed(&all.into_iter().collect::<Vec<_>>())
    };
    let groups = names(&|feed| feed.target_group.as_deref().map(|name| short(name).to_owned()));
    let balancers = names(&|feed| feed.balancer.as_deref().map(|name| short(name).to_owned()));
    let policy = feeds.iter().find_map(|feed| match &feed.known_by {
        fleet::feed::FeedSource::Policy(policy) => Some(policy),
        fleet::feed::FeedSource::Attachment => None,
    });
    let known = match policy {
        Some(policy) => format!("which its policy `{policy}` names"),
        None => "which the group is attached to".to_owned(),
    };
    match kind {
        WayKind::TargetGroups => {
            let most = feeds.iter().filter_map(|feed| feed.target_groups).max().unwrap_or(1);
            let shared = if most > 1 {
                format!(
                    " The load balancer sends to {most} target groups, so its own count would be \
                     too much."
                )
            } else {
                String::new()
            };
            format!(
                "What load balancer {balancers} sends to target group {groups}, {known}.{shared}"
            )
        }
        WayKind::WholeBalancers if groups.is_empty() => {
            format!("What load balancer {balancers} gets, {known}.")
        }
        WayKind::WholeBalancers => format!(
            "All that load balancer {balancers} gets: nobody else is behind it than target group \
             {groups}, {known}."
        ),
        WayKind::Queue { policy } => {
            let all: Vec<String> =
                parts.iter().flat_map(|one| one.part.query.dimensions.values().cloned()).collect();
            format!(
                "What arrives in {}, whose backlog its policy `{policy}` looks at.",
                listed(&all)
            )
        }
        WayKind::QueueOfThatName { queue, word } => format!(
            "A weak guess: what arrives in queue `{queue}`, as `{word}` stands in the group's name or \
             tags. Make sure that this group works it off."
        ),
    }
}

fn seen(parts: &[Measured]) -> Option<String> {
    let mut sum = (0.0, 0.0);
    for measured in parts {
        let Some((low, high)) = measured.range else {
            return Some("Its samples could not be read.".to_owned());
        };
        sum = (sum.0 + low, sum.1 + high);
    }
    Some(format!("Last day: {}/s to {}/s.", number(sum.0), number(sum.1)))
}

fn pool(args: &InitArgs, guess: &Guess<'_>, several: bool, found: &Found<'_>) -> String {
    let group = &guess.one.group;
    let region = &group.id.region;
    let mut text = format!(
        "\n[[service.pool]]\nprovider = \"{}\"\nregion = \"{region}\"\n",
        args.provider.name()
    );
    if several {
        let _ = writeln!(text, "account = \"{}\"", group.id.account);
    }
    let _ = writeln!(text, "group = {}", quoted(&group.name));
    text.push_str(&capacity(guess));
    text.push_str(&comment(&lead(guess)));
    let _ = writeln!(text, "lead_time = \"{}\"", guess.lead.value);
    // Of a group of none nothing is measured that could ask for the first.
    let least = if matches!(guess.load, Load::Cpu(_)) { 1 } else { 0 };
    if group.min.0 < least {
        text.push_str(&comment("With no unit there is no CPU to see: one stays."));
    }
    let _ = writeln!(text, "min = {}\nmax = {}", group.min.0.max(least), group.max.0);
    text + &price(guess, found)
}

fn capacity(guess: &Guess<'_>) -> String {
    let Target { percent, policy } = &guess.target;
    let target = match policy {
        Some(policy) => format!("Policy `{policy}` holds {percent:.0}% CPU."),
        None => String::new(),
    };
    let target_line = format!("target_utilisation = \"{percent:.0}%\"\n");
    match &guess.capacity {
        Capacity::Policy { policy, per_unit, cpu_then } => {
            let cpu = cpu_then
                .map(|percent| format!(" That was {percent:.0}% CPU in the last two weeks."));
            let said = format!(
                "Policy `{policy}` holds {} requests a minute and unit.{}",
                number(per_unit * 60.0),
                cpu.unwrap_or_default()
            );
            comment(&said) + &format!("capacity_per_unit = {}\n", number(*per_unit))
        }
        Capacity::Fitted(fit) => {
            let (load, units, busy) = fit.busy;
            let said = format!(
                "Measured on {} days: {}/s on {} units were {busy:.0}% CPU, which makes {}/s a unit at \
                 {percent:.0}% ({}). {target}",
                fit.days,
                number(load),
                number(units),
                number(fit.at(*percent)),
                fit.sizes
            );
            comment(&said)
                + &format!("capacity_per_unit = {}\n{target_line}", number(fit.at(*percent)))
        }
        Capacity::Learn(why) => {
            let said =
                format!("What a unit carries is learned while neap watches: {why}. {target}");
            comment(&said) + "capacity_per_unit = \"learn\"\n" + &target_line
        }
        Capacity::Itself if target.is_empty() => target_line,
        Capacity::Itself => comment(&target) + &target_line,
    }
}

fn lead(guess: &Guess<'_>) -> String {
    let lead = &guess.lead;
    let mut text = match (lead.launches, lead.slow) {
        (Some(count @ 1..), Some(slow)) => {
            format!("Of {count} launches in six weeks nine in ten were in service within {slow}.")
        }
        (Some(_), _) => "No launch in the last six weeks: a guess.".to_owned(),
        (None, _) => "Launches of the last weeks are not known: a guess.".to_owned(),
    };
    if let Some(warm_up) = lead.warm_up {
        let _ = write!(text, " A unit then warms up for {warm_up}.");
    }
    if lead.value == Defaults::LEAD_TIME {
        let _ = write!(
            text,
            " In service is not yet serving, so {} is the least until that is measured.",
            Defaults::LEAD_TIME
        );
    }
    text
}

fn price(guess: &Guess<'_>, found: &Found<'_>) -> String {
    let one = guess.one;
    let Some(shape) = one.shapes.first() else {
        return comment("price_usd_hourly is not known: there is no machine to ask the price of.");
    };
    let key = (one.group.id.region.to_string(), shape.class.clone());
    match found.prices.get(&key) {
        Some(Ok(Some(price))) if price.currency == Currency::Usd => {
            let spot = if one.group.buys_spot { ", spot costs less" } else { "" };
            let weight = f64::from(shape.weight.max(1));
            let each = if shape.weight > 1 {
                format!(", for {} units", shape.weight)
            } else {
                String::new()
            };
            let said = format!("List price of `{}` with Linux{each}{spot}.", shape.class);
            let usd = price.hourly_micro as f64 / 1e6 / weight;
            comment(&said) + &format!("price_usd_hourly = {}\n", decimals(usd))
        }
        Some(Ok(Some(price))) => comment(&format!(
            "price_usd_hourly is left out: the list price of `{}` is {} {} an hour.",
            shape.class,
            decimals(price.hourly_micro as f64 / 1e6),
            price.currency
        )),
        Some(Ok(None)) | None => {
            comment(&format!("price_usd_hourly is not known: no list price of `{}`.", shape.class))
        }
        Some(Err(_)) => comment(&format!(
            "price_usd_hourly of `{}` is not known: the price list could not be read, see the end.",
            shape.class
        )),
    }
}

fn idle(found: &Found<'_>) -> String {
    let Some(forgotten) = &found.forgotten else { return String::new() };
    let values: Vec<String> = forgotten.values.iter().map(|value| quoted(value)).collect();
    let names = |all: &[&Resource]| -> String {
        /// So many are named.
        const NAMED: usize = 6;
        let mut names: Vec<String> =
            all.iter().take(NAMED).map(|one| format!("`{}`", one.name)).collect();
        let more = all.len().saturating_sub(NAMED);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names.join(", ")
    };
    let count = forgotten.machines.len();
    let kept = Defaults::KILL_SWITCH;
    let said = format!(
        "{count} machine{} in no group, by tag `{}`: {}. The rule only watches: `neap idle` shows after \
         some days which are idle and what that costs. Nothing is stopped without the tag \
         `neap:managed` = `true`, while `{kept}` exists, or before the rule's mode is another.",
        if count == 1 { "" } else { "s" },
        forgotten.key,
        names(&forgotten.machines),
    );
    let databases = forgotten.machines.iter().any(|one| one.id.kind == ResourceKind::Database);
    let kinds = if databases { "kinds = [\"instance\", \"database\"]\n" } else { "" };
    let owner = forgotten.owner.map(|key| format!("owner_tag = {}\n", quoted(key)));
    format!(
        "\n{}[[idle]]\nname = \"forgotten\"\nmode = \"observe\"\n{kinds}match = {{ tags = {{ {} = [{}] }} }}\n\
         idle_when = {{ cpu_max_percent = 3.0, network_max_kib_per_second = 5.0, \
         disk_max_ops_per_second = 2.0 }}\ngrace = \"2d\"\n{}",
        comment(&said),
        key(&forgotten.key),
        values.join(", "),
        owner.unwrap_or_default(),
    )
}

fn alert(cloud: Cloud) -> String {
    let kind = match cloud {
        Cloud::Alibaba => "dingtalk",
        Cloud::Aws => "slack",
    };
    format!(
        "\n# Whoever is on call should hear of holds and faults. The address is a secret: put it into a file \
         that\n# only neap reads, take the # away, and try it with `neap alert test on-call`.\n\
         #[[alert]]\n#name = \"on-call\"\n#kind = \"{kind}\"\n#url_file = \"/etc/neap/on-call.url\"\n\
         #min_severity = \"warning\"\n"
    )
}
