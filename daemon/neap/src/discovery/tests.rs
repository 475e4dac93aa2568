//! Whatever answers, fails, comes and goes, in whatever order: what is known is the last good word of
//! each place, and who has a name keeps it.

use std::collections::BTreeMap;

use fleet::group::GroupState;
use fleet::{AccountId, GroupId, ProviderName, Region, ServiceName, Units};
use planner::Memory;
use planner::memory::ServiceMemory;
use proptest::prelude::*;

use super::*;

const POLL: Seconds = Seconds(60);
const START: Timestamp = Timestamp(1_772_409_600);
const REGIONS: [&str; 3] = ["eu-1", "eu-2", "eu-3"];

/// One template by a tag that several groups may share, and one service that is written out.
const CONFIG: &str = r#"
mode = "act"
[provider.aws]
kind = "aws"
regions = ["eu-1", "eu-2", "eu-3"]
[calendar.cn]
timezone = "Asia/Shanghai"
[service_defaults.pool]
capacity_per_unit = 40
[[service]]
name = "shop"
demand = [{ region = "eu-1", namespace = "A", metric = "M" }]
[[service.pool]]
region = "eu-1"
group = "written"
[[service_template]]
name = "{tag:app}"
match = { tags = { "neap:scale" = ["yes"] } }
calendar = "cn"
upstreams = ["app/{tag:app}"]
demand = [{ namespace = "A", metric = "M", dimensions = { LoadBalancer = "{tag:app}", Fixed = "x" } }]
"#;

fn config() -> Config {
    crate::settings::parse("neap.toml", CONFIG).expect("a sound file")
}

fn place(at: usize) -> Place {
    Place {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("default").unwrap(),
        region: Region::new(REGIONS[at % 3]).unwrap(),
    }
}

fn group(at: usize, name: &str, app: Option<&str>, scales: bool) -> GroupState {
    let Place { provider, account, region } = place(at);
    let mut tags =
        BTreeMap::from([("neap:scale".to_owned(), (if scales { "yes" } else { "no" }).to_owned())]);
    tags.extend(app.map(|app| ("app".to_owned(), app.to_owned())));
    let id = GroupId { provider, account, region, id: format!("arn:{}:{name}", REGIONS[at % 3]) };
    let (desired, min, max) = (Units(4), Units(1), Units(9));
    let bare = places::bare(id, name.to_owned(), tags);
    GroupState { read_at: START, desired, min, max, ..bare }
}

fn at(place: usize, name: &str) -> GroupRef {
    let Place { provider, account, region } = self::place(place);
    GroupRef { provider, account, region, name: name.to_owned() }
}

fn busy() -> Fault {
    lost("busy")
}

fn known(places: &Places, before: &Holders) -> Holders {
    let before = Named::from(before.clone());
    let made = Made::of(&config(), places.groups(), places.carried(), &before);
    let mut names = holders(&made.policy.services);
    names.remove(&ServiceName::new("shop").unwrap());
    names
}

fn told(names: &Holders) -> Vec<String> {
    names.iter().map(|(name, group)| format!("{name}={group}")).collect()
}

fn in_all_places() -> Places {
    let mut places = Places::default();
    places.follow((0..3).map(place));
    places
}

/// All that is due is asked, and answers this.
fn round(places: &mut Places, now: Timestamp, mut answer: impl FnMut(usize) -> Answer) -> bool {
    let mut news = false;
    for asked in places.ask(now, POLL) {
        let index = (0..3).find(|i| place(*i) == asked).unwrap();
        news |= places.answered(&asked, now, answer(index));
    }
    news
}

#[test]
fn one_region_that_fails_for_ever_holds_up_no_other() {
    let mut places = in_all_places();
    let (mut now, mut asked) = (START, 0);
    for minute in 0..120 {
        round(&mut places, now, |index| {
            asked += usize::from(index == 2);
            let web = group(index, "web", Some("web"), true);
            let late = group(index, "late", Some("late"), true);
            match (index, minute) {
                (2, _) => Err(busy()),
                (_, 0..30) => Ok(vec![web]),
                _ => Ok(vec![web, late]),
            }
        });
        now = now + POLL;
    }
    assert_eq!(
        told(&known(&places, &Holders::new())),
        [
            "late=aws/eu-1/late",
            "late@late=aws/eu-2/late",
            "web=aws/eu-1/web",
            "web@web=aws/eu-2/web"
        ]
    );
    assert_eq!(asked, 120, "it may be back at any minute");
    let missing = places.missing();
    assert_eq!(missing.keys().collect::<Vec<_>>(), [&place(2)]);
    assert_eq!((missing[&place(2)].since, missing[&place(2)].known_at), (START, None));
}

#[test]
fn a_group_that_one_listing_leaves_out_is_not_gone() {
    let mut places = in_all_places();
    let both = || Ok(vec![group(0, "a", Some("a"), true), group(0, "b", Some("b"), true)]);
    let one = || Ok(vec![group(0, "a", Some("a"), true)]);
    let of = |index: usize, first: Answer| if index == 0 { first } else { Ok(Vec::new()) };
    let mut now = START;
    round(&mut places, now, |index| of(index, both()));
    now = now + ASKED_EVERY;
    assert!(!round(&mut places, now, |index| of(index, one())), "nothing is gone yet");
    assert_eq!(known(&places, &Holders::new()).len(), 2);
    // It is looked for again at once, and a fault proves nothing.
    now = now + POLL;
    let asked = std::cell::Cell::new(0);
    round(&mut places, now, |index| {
        asked.set(asked.get() + 1);
        of(index, Err(busy()))
    });
    assert_eq!(asked.get(), 1, "the other places are not asked for it");
    assert_eq!(known(&places, &Holders::new()).len(), 2);
    now = now + POLL;
    assert!(round(&mut places, now, |index| of(index, one())));
    assert_eq!(told(&known(&places, &Holders::new())), ["a=aws/eu-1/a"]);
    // One that has lost its tag is another matter: that is said.
    now = now + ASKED_EVERY;
    round(&mut places, now, |index| of(index, Ok(vec![group(0, "a", Some("a"), false)])));
    assert_eq!(known(&places, &Holders::new()), Holders::new());
}

#[test]
fn who_has_a_name_keeps_it_while_others_come_and_go() {
    let (config, none) = (config(), Holders::new());
    let made = |groups: &[GroupState], before: &Holders| {
        let before = Named::from(before.clone());
        let made = Made::of(&config, groups.iter(), std::iter::empty(), &before);
        (holders(&made.policy.services), made)
    };
    let late = group(2, "web-3", Some("web"), true);
    let early = group(0, "web-1", Some("web"), true);
    let (first, _) = made(std::slice::from_ref(&late), &none);
    assert_eq!(first[&ServiceName::new("web").unwrap()], at(2, "web-3"));
    // The other comes first by its id, and has the longer name all the same.
    let (both, of_both) = made(&[early.clone(), late.clone()], &first);
    assert_eq!(both[&ServiceName::new("web").unwrap()], at(2, "web-3"));
    assert_eq!(both[&ServiceName::new("web@web-1").unwrap()], at(0, "web-1"));
    let apart = &of_both.told_apart[&ServiceName::new("web@web-1").unwrap()];
    assert_eq!(*apart, (ServiceName::new("web").unwrap(), at(2, "web-3")));
    // When the first is gone the other is called as before.
    let (after, _) = made(std::slice::from_ref(&early), &both);
    assert_eq!(after[&ServiceName::new("web@web-1").unwrap()], at(0, "web-1"));
    // Nor does it get another while it is away: what was learned of it goes by its name.
    let mut memory = Memory::default();
    let own = ServiceMemory { group: Some(early.id.clone()), ..ServiceMemory::default() };
    memory.services.insert(ServiceName::new("web@web-1").unwrap(), own);
    let named = Named::of(&config.policy, &memory);
    let back = Made::of(&config, [&early].into_iter(), std::iter::empty(), &named);
    assert!(back.policy.services.contains_key(&ServiceName::new("web@web-1").unwrap()));
    // A name that is written out belongs to what is written, and what cannot be named is told.
    let shop = group(1, "shop-2", Some("shop"), true);
    let nameless = group(1, "nameless", None, true);
    let (named, told) = made(&[shop, nameless], &none);
    assert_eq!(named[&ServiceName::new("shop").unwrap()].name, "written");
    assert_eq!(named[&ServiceName::new("shop@shop-2").unwrap()], at(1, "shop-2"));
    assert!(matches!(told.unmade[&at(1, "nameless")], Unmade::Template(_)), "{:?}", told.unmade);
    // The calendar, the model and the stage of a service are its template's.
    let shop = ServiceName::new("shop@shop-2").unwrap();
    assert!(told.calendars.rule(&shop).is_some() && told.models.contains_key(&shop));
}

#[test]
fn a_service_goes_on_with_the_group_that_is_left_of_a_pair() {
    let config = config();
    let made = |groups: &[&GroupState], before: &Named| {
        let made = Made::of(&config, groups.iter().copied(), std::iter::empty(), before);
        let mut names = holders(&made.policy.services);
        names.remove(&ServiceName::new("shop").unwrap());
        (names, made.followed)
    };
    let (pay, other) = (ServiceName::new("pay").unwrap(), ServiceName::new("pay@green").unwrap());
    let [blue, green, red] = ["blue", "green", "red"].map(|name| group(0, name, Some("pay"), true));
    let far = group(1, "far", Some("pay"), true);
    let (first, _) = made(&[&blue], &Named::default());
    let (both, followed) = made(&[&blue, &green], &Named::from(first.clone()));
    assert_eq!(told(&both), ["pay=aws/eu-1/blue", "pay@green=aws/eu-1/green"]);
    assert!(followed.is_empty());
    // Whether they were there at once or not.
    for before in [&first, &both] {
        let (after, followed) = made(&[&green], &Named::from(before.clone()));
        assert_eq!(told(&after), ["pay=aws/eu-1/green"]);
        assert!(followed.contains(&pay));
        // The next pair goes the other way, and who comes back is the second.
        let (again, followed) = made(&[&blue, &green], &Named::from(after));
        assert_eq!(told(&again), ["pay=aws/eu-1/green", "pay@blue=aws/eu-1/blue"]);
        assert!(followed.is_empty());
    }
    // Of several nobody can tell which it is; a group elsewhere is none of the pair.
    for left in [&[&green, &red][..], &[&far]] {
        let before = made(&[&[&blue], left].concat(), &Named::from(first.clone())).0;
        let (after, followed) = made(left, &Named::from(before));
        assert!(!after.contains_key(&pay) && followed.is_empty(), "{after:?}");
    }
    // What is remembered counts as well as what is in force, and what was demoted keeps its name.
    let mut memory = Memory::default();
    let of = |group: &GroupState| ServiceMemory {
        group: Some(group.id.clone()),
        ..ServiceMemory::default()
    };
    memory.services.insert(pay.clone(), of(&blue));
    memory.services.insert(other.clone(), of(&green));
    assert_eq!(
        told(&made(&[&green], &Named::of(&config.policy, &memory)).0),
        ["pay=aws/eu-1/green"]
    );
    let demoted = r#"{"stage":"shadow","since":0,"why":{"demoted":{"by":"anna"}},"shrank_at":null,"regretted":0}"#;
    let demoted: planner::stage::StageMemory = serde_json::from_str(demoted).expect("a stage");
    memory.stages.services.insert(other, demoted);
    assert_eq!(
        told(&made(&[&green], &Named::of(&config.policy, &memory)).0),
        ["pay@green=aws/eu-1/green"]
    );
}

#[test]
fn groups_that_share_a_name_are_told_apart_by_as_much_as_it_takes() {
    let config = config();
    let groups = [(0, "x"), (0, "y"), (1, "y"), (2, "x")];
    let groups = groups.map(|(place, name)| group(place, name, Some("a"), true));
    let made = Made::of(&config, groups.iter(), std::iter::empty(), &Named::default());
    let names = [
        "a=aws/eu-1/x",
        "a@eu-2/y=aws/eu-2/y",
        "a@x=aws/eu-3/x",
        "a@y=aws/eu-1/y",
        "shop=aws/eu-1/written",
    ];
    assert_eq!(told(&holders(&made.policy.services)), names);
    assert!(made.unmade.is_empty());
}

#[test]
fn what_a_template_made_outlives_a_restart_until_its_place_has_answered() {
    let config = config();
    let groups = [group(0, "a", Some("a"), true), group(1, "b", Some("b"), true)];
    let made = Made::of(&config, groups.iter(), std::iter::empty(), &Named::default());
    let before = holders(&made.policy.services);
    let carry = |was: &Config, now: &Config| carried(&made.policy, was, now);
    assert_eq!(carry(&config, &config).len(), 2, "what is written out is in the configuration");

    let mut places = in_all_places();
    places.carry(carry(&config, &config), START, |_| false);
    assert_eq!(told(&known(&places, &before)), ["a=aws/eu-1/a", "b=aws/eu-2/b"]);
    let named = Named::from(before.clone());
    let again = Made::of(&config, places.groups(), places.carried(), &named);
    assert_eq!(again.policy, made.policy, "in every bit");
    // One place answers, the other does not.
    let answer = |index| if index == 0 { Ok(vec![groups[0].clone()]) } else { Err(busy()) };
    round(&mut places, START + POLL, answer);
    assert_eq!(told(&known(&places, &before)), ["a=aws/eu-1/a", "b=aws/eu-2/b"]);
    assert_eq!(places.missing()[&place(1)].known_at, Some(START));
    assert_eq!(places.carried().count(), 1);
    // A good answer without the group is believed once it is repeated.
    for (minutes, left) in [(2, 2), (3, 1)] {
        let answer = |index| Ok(if index == 0 { vec![groups[0].clone()] } else { Vec::new() });
        round(&mut places, START + Seconds::minutes(minutes), answer);
        assert_eq!(known(&places, &before).len(), left, "after {minutes} minutes");
    }

    // Another template, or one that is gone, says nothing of a group whose tags nobody knows.
    for (from, to) in
        [("\"yes\"", "\"no\""), ("Fixed = \"x\"", "Fixed = \"y\""), ("calendar = \"cn\"", "")]
    {
        let other = crate::settings::parse("neap.toml", &CONFIG.replace(from, to)).unwrap();
        assert_eq!(carry(&config, &other), [], "{from}");
        assert_eq!(carry(&other, &config), [], "{from}");
    }
    // What was written out is gone when the operator takes it away, whatever a template would make.
    let written = CONFIG.replace(
        "[[service_template]]",
        "[[service]]\nname = \"a\"\ndemand = [{ region = \"eu-1\", namespace = \"A\", metric = \"M\" }]\n\
         [[service.pool]]\nregion = \"eu-1\"\ngroup = \"a\"\n[[service_template]]",
    );
    let written = crate::settings::parse("neap.toml", &written).unwrap();
    let names: Vec<String> = carry(&written, &config).iter().map(|c| c.name.to_string()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn a_cloud_that_fails_is_not_hurried_by_short_polls() {
    let mut places = in_all_places();
    let poll = Seconds(2);
    let mut asked = Vec::new();
    for tick in 0..120 {
        let now = START + Seconds(2 * tick);
        for place in places.ask(now, poll) {
            places.answered(&place, now, Err(busy()));
            asked.push(now.since(START).0);
        }
    }
    asked.dedup();
    assert_eq!(asked, [0, 2, 6, 14, 30, 62, 122, 182]);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut places = in_all_places();
    round(&mut places, START, |_| Ok(Vec::new()));
    assert_eq!(places.ask(START + POLL, POLL), []);
    let back = START - Seconds::days(400);
    assert_eq!(places.ask(back, POLL).len(), 3);
    // Nor does one that is asked and has not answered.
    assert_eq!(places.ask(back + Seconds::days(1), POLL), []);
}

/// What may happen to a fleet and its search.
#[derive(Clone, Debug)]
enum Event {
    /// A group is there now: in this region, under this name and tag, scaled or not.
    Comes(usize, u8, u8, bool),
    Goes(usize, u8),
    /// The cycles go on, with which places failing.
    Runs(u8, [bool; 3]),
    /// The daemon is started anew.
    Restarts,
    /// The configuration is read again.
    Reloads,
    /// The clock is set, back or ahead.
    Jumps(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3usize, 0..4u8, 0..3u8, prop::bool::weighted(0.8))
            .prop_map(|(at, name, app, scales)| Event::Comes(at, name, app, scales)),
        2 => (0..3usize, 0..4u8).prop_map(|(at, name)| Event::Goes(at, name)),
        6 => (1..12u8, any::<[bool; 3]>()).prop_map(|(cycles, away)| Event::Runs(cycles, away)),
        1 => Just(Event::Restarts),
        1 => Just(Event::Reloads),
        1 => (-100_000i64..100_000).prop_map(Event::Jumps),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_known_is_the_last_good_word_of_each_place_whatever_happens(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let config = config();
        let mut world: [BTreeMap<String, GroupState>; 3] = Default::default();
        let mut places = in_all_places();
        // What the last good answer of each place had, and the one before.
        let mut good: [Option<[BTreeMap<String, GroupState>; 2]>; 3] = Default::default();
        let mut policy = config.policy.clone();
        let mut now = START;
        let mut last_asked = [None::<Timestamp>; 3];
        for event in events {
            match event {
                Event::Comes(at, name, app, scales) => {
                    let name = format!("g{name}");
                    let app = format!("app{app}");
                    world[at].insert(name.clone(), group(at, &name, Some(&app), scales));
                }
                Event::Goes(at, name) => {
                    world[at].remove(&format!("g{name}"));
                }
                Event::Jumps(by) => {
                    now = Timestamp(now.0 + by);
                    last_asked = [None; 3];
                }
                Event::Reloads => {
                    places.follow((0..3).map(place));
                    places.ask_anew();
                }
                Event::Restarts => {
                    let kept = carried(&policy, &config, &config);
                    let of_services = policy.services.len() - config.policy.services.len();
                    prop_assert_eq!(kept.len(), of_services, "all are known again");
                    places = in_all_places();
                    places.carry(kept, now, |_| false);
                    last_asked = [None; 3];
                }
                Event::Runs(cycles, away) => for _ in 0..cycles {
                    now = now + POLL;
                    for asked in places.ask(now, POLL) {
                        let at = (0..3).find(|i| place(*i) == asked).unwrap();
                        last_asked[at] = Some(now);
                        let answer = match away[at] {
                            true => Err(busy()),
                            false => {
                                let before = good[at].take().map_or_else(BTreeMap::new, |[_, last]| last);
                                good[at] = Some([before, world[at].clone()]);
                                Ok(world[at].values().rev().cloned().collect())
                            }
                        };
                        let fails = answer.is_err();
                        let before = told(&known(&places, &holders(&policy.services)));
                        places.answered(&asked, now, answer);
                        if fails {
                            let after = told(&known(&places, &holders(&policy.services)));
                            prop_assert_eq!(before, after, "a fault takes nothing away");
                        }
                    }
                    for (at, asked) in last_asked.iter().enumerate() {
                        let waited = asked.map(|asked| now.since(asked));
                        prop_assert!(waited.is_none_or(|waited| waited <= ASKED_EVERY), "{} {:?}", at, waited);
                    }
                    let before = holders(&policy.services);
                    let named = Named::from(before.clone());
                    let made = Made::of(&config, places.groups(), places.carried(), &named);
                    // The order in which groups come does not matter.
                    let mut turned: Vec<&GroupState> = places.groups().collect();
                    turned.reverse();
                    let again = Made::of(&config, turned.into_iter(), places.carried(), &named);
                    prop_assert_eq!(&again.policy, &made.policy);
                    let after = holders(&made.policy.services);
                    for (name, group) in &before {
                        let still: Vec<_> = after.iter().filter(|(_, other)| *other == group).collect();
                        // Under its own name or, with another tag, under another.
                        prop_assert!(still.len() <= 1, "{} {:?}", group, still);
                        let app = |name: &ServiceName| name.as_str().split('@').next().unwrap().to_owned();
                        if let Some((called, _)) = still.first() && app(called) == app(name) {
                            // The last of a pair gets the name of the one that is gone.
                            let follows = called.as_str() == app(name)
                                && before.get(*called).is_none_or(|gone| !after.iter().any(|(held, other)| other == gone && app(held) == app(name)));
                            prop_assert!(*called == name || follows, "who has a name keeps it: {}, was {}", called, name);
                        }
                    }
                    for (name, group) in &after {
                        // No group loses its name to another.
                        if let Some(holder) = before.get(name).filter(|holder| *holder != group) {
                            let app = |name: &ServiceName| name.as_str().split('@').next().unwrap().to_owned();
                            let still = |(called, other): (&ServiceName, &GroupRef)| other == holder && app(called) == app(name);
                            prop_assert!(!after.iter().any(still), "{} of {}", name, holder);
                        }
                    }
                    for at in (0..3).filter(|at| !away[*at]) {
                        let Some([before, last]) = &good[at] else { continue };
                        let listed = |name: &str| after.values().any(|known| *known == self::at(at, name));
                        for (name, group) in last {
                            let scales = group.tags["neap:scale"] == "yes";
                            prop_assert_eq!(listed(name), scales, "{} in {}", name, REGIONS[at]);
                        }
                        // What two good answers in a row do not have is gone.
                        for group in after.values() {
                            let there = last.contains_key(&group.name) || before.contains_key(&group.name);
                            let is_here = group.region == place(at).region && group.name != "written";
                            prop_assert!(!is_here || there || places.carried().count() > 0, "{}", group);
                        }
                    }
                    policy = made.policy;
                },
            }
        }
    }
}
