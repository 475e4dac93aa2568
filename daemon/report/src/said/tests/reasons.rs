//! Reasons inside holds, and what people are answered.

use fleet::OrTold;
use fleet::signs::{
    Clue, FactName, Holder, NoSaving, PriceSource, Protection, RoleSign, StillPaid, UnknownFact,
};
use fleet::usage::Signal;
use planner::answer::{ActsOnce, AskedFor, NotTaken};
use planner::idle::plan::IdleHold;
use planner::idle::reasons::{
    ApprovalReason, ExemptReason, LastLook, NotIdle, RiskReason, ScheduleFault, ScheduleGap,
    StartFailure, TagFault,
};

use super::idle::{failed, resource, rule, scopes};
use super::*;

const REASONS: &str = "planner/src/reasons.rs";
const IDLE: &str = "planner/src/idle/reasons.rs";
const SIGNS: &str = "fleet/src/signs.rs";
const ANSWER: &str = "planner/src/answer.rs";

/// What the cloud or the operator called something is the same in every language.
fn names<T: Said + Debug>(all: &[T]) {
    for one in all {
        assert_eq!(one.chinese(), one.to_string());
    }
}

/// All of them agree or are names, and none is left out.
fn all_agree_or_name<T: Said + Debug + Clone>(
    file: &str,
    name: &str,
    all: &[T],
    named: impl Fn(&T) -> bool,
) {
    let (named, worded): (Vec<T>, Vec<T>) = all.iter().cloned().partition(named);
    names(&named);
    worded.iter().for_each(agree);
    let seen: BTreeSet<String> = all.iter().map(|one| head(&format!("{one:?}"))).collect();
    assert_eq!(seen, variants(file, name), "{name}");
}

#[test]
fn reasons_of_capacity_say_the_same() {
    let path = || "/etc/neap/stop".to_owned();
    let error = "E13".to_owned();
    let thrown = [thrown(), SwitchThrown::Unchecked { path: path(), error }];
    all_agree(REASONS, "SwitchThrown", &thrown);
    let by = [Author::Schedule, Author::User, Author::Unnamed, Author::Described("E7".to_owned())];
    all_agree_or_name(REASONS, "Author", &by, |by| matches!(by, Author::Described(_)));
    let of = |make: fn(Author) -> ForeignChange| by.iter().cloned().map(make).collect::<Vec<_>>();
    let mut changes = vec![ForeignChange::Raced];
    changes.extend(of(|by| ForeignChange::Desired { by }));
    changes.extend(of(|by| ForeignChange::Minimum { by }));
    changes.extend(of(|by| ForeignChange::Maximum { by }));
    all_agree(REASONS, "ForeignChange", &changes);
    all_agree(REASONS, "AbsurdNumber", &[absurd()]);
    let unusable = [UnusableForecast::Values, UnusableForecast::Levels];
    all_agree(REASONS, "UnusableForecast", &unusable);
}

#[test]
fn reasons_of_idle_resources_say_the_same() {
    let class = || "p4d.24xlarge".to_owned();
    let risks = [
        RiskReason::Scarce { class: class() },
        RiskReason::BareMetal { class: class() },
        RiskReason::Spot,
        RiskReason::NoCapacity { failed: 3, of: 12 },
        RiskReason::AddressChanges,
        RiskReason::CreditsLost,
    ];
    all_agree(IDLE, "RiskReason", &risks);
    let approvals = [
        ApprovalReason::Database,
        ApprovalReason::Rule,
        ApprovalReason::Schedule,
        ApprovalReason::TakenBack { back: 3, stops: 12 },
    ];
    all_agree(IDLE, "ApprovalReason", &approvals);
    let exempts = [
        ExemptReason::Asked { by: li() },
        ExemptReason::Refused { by: li() },
        ExemptReason::StartedAgain { rule: rule() },
    ];
    all_agree(IDLE, "ExemptReason", &exempts);
    let signal = Signal::Cpu;
    let busy = [
        NotIdle::NoSamples,
        NotIdle::NoSampleOf { signal },
        NotIdle::Above { signal, worst_milli: 7_512, limit_milli: 5_250 },
    ];
    assert_eq!(busy[2].to_string(), "cpu is 7.5, limit 5.25");
    all_agree(IDLE, "NotIdle", &busy);
    let unknown = TagFault::UnknownZone { name: "mars".to_owned() };
    let gaps = [
        ScheduleGap::Uncovered { at: AT },
        ScheduleGap::Fault(ScheduleFault::Hours(unknown.clone())),
    ];
    all_agree(IDLE, "ScheduleGap", &gaps);
    let order = ScheduleFault::Order { tag: "order".to_owned(), text: "first 3".to_owned() };
    all_agree(IDLE, "ScheduleFault", &[ScheduleFault::Hours(unknown.clone()), order]);
    let key = || "off".to_owned();
    let tags = [
        TagFault::Differ { first: "Off".to_owned(), second: key() },
        TagFault::NoHours { key: key(), list: "(m-f,25)".to_owned() },
        TagFault::Blank { key: key() },
        TagFault::UnknownKey { key: "until".to_owned() },
        TagFault::NoPair { piece: "7".to_owned() },
        unknown,
    ];
    all_agree(IDLE, "TagFault", &tags);
    let failures = [StartFailure::Unsaid, failed()];
    all_agree_or_name(IDLE, "StartFailure", &failures, |one| *one == StartFailure::Unsaid);
    let looks = [LastLook::Gone, LastLook::Held(Box::new(IdleHold::OwnHost))];
    all_agree(IDLE, "LastLook", &looks);
    all_agree("planner/src/idle/memory.rs", "Scope", &scopes());
}

#[test]
fn what_is_seen_of_resources_says_the_same() {
    let (serving, of) = (3, 12);
    let clues = [
        Clue::Usage,
        Clue::Attachments,
        Clue::Association,
        Clue::Associations,
        Clue::Binding,
        Clue::Images,
        Clue::ImagesAndVolume,
        Clue::DiskAndImages,
        Clue::Targets { serving, of },
        Clue::Backends,
        Clue::BackendsServing { serving, of },
        Clue::ServerGroups,
        Clue::Servers { servers: 3, groups: 12 },
    ];
    all_agree(SIGNS, "Clue", &clues);
    let holders = [
        Holder::Nothing,
        Holder::Resource("i-0123".to_owned()),
        Holder::Attachment,
        Holder::Image,
        Holder::State("error-7".to_owned()),
        Holder::Backends(3),
        Holder::Targets { serving, of },
    ];
    all_agree_or_name(SIGNS, "Holder", &holders, |one| matches!(one, Holder::Resource(_)));
    let id = || "db-2".to_owned();
    let roles = [
        RoleSign::Tag { key: "role".to_owned(), value: "bastion".to_owned() },
        RoleSign::Name("bastion-1".to_owned()),
        RoleSign::StandbyOf(id()),
        RoleSign::ReplicaOf(id()),
        RoleSign::ReplicaOfCluster(id()),
        RoleSign::MemberOfCluster(id()),
        RoleSign::SourceOf(vec![id(), "db-3".to_owned()]),
    ];
    all_agree(SIGNS, "RoleSign", &roles);
    all_agree(SIGNS, "Protection", &[Protection::Stop, Protection::Termination]);
    let facts = [
        FactName::ScalingGroup,
        FactName::TargetGroups,
        FactName::LocalDisks,
        FactName::Accelerators,
        FactName::Forwarding,
        FactName::Purchase,
        FactName::StopProtection,
        FactName::TerminationProtection,
        FactName::Alarms,
        FactName::Replica,
        FactName::Billing,
        FactName::Hibernation,
        FactName::PublicAddress,
        FactName::BurstCredits,
        FactName::DiskKeys,
    ];
    all_agree(SIGNS, "FactName", &facts);
    for fact in facts {
        agree(&UnknownFact { fact, fault: None });
        agree(&UnknownFact { fact, fault: Some(Box::new(fault(FaultKind::TimedOut))) });
    }
    let unsaved = [
        NoSaving::Subscription,
        NoSaving::DedicatedHost,
        NoSaving::OnDedicatedHost,
        NoSaving::InReservation,
        NoSaving::NotInVpc,
        NoSaving::LocalDisks,
        NoSaving::RootInStore,
    ];
    all_agree(SIGNS, "NoSaving", &unsaved);
    let mut paid = vec![StillPaid::Disks, StillPaid::ElasticAddress, StillPaid::Backups];
    paid.extend(unsaved.map(|why| StillPaid::All(why.into())));
    all_agree(SIGNS, "StillPaid", &paid);
    let file = PriceSource::File("prices.toml".to_owned());
    let sources = [
        PriceSource::Simulated,
        PriceSource::AwsPriceList,
        PriceSource::AlibabaApi,
        file,
        PriceSource::AwsSpot,
        PriceSource::AlibabaSpot,
    ];
    all_agree_or_name(SIGNS, "PriceSource", &sources, |source| {
        matches!(source, PriceSource::AlibabaApi | PriceSource::File(_))
    });
}

#[test]
fn answers_say_the_same() {
    let name = || "checkout-7".to_owned();
    let mut about = vec![
        AskedFor::Resource(resource()),
        AskedFor::Everything { services: 3, rules: 12 },
        AskedFor::Unwritten {
            about: Box::new(AskedFor::Service { name: name(), once: None }),
            fault: "E28".to_owned(),
        },
    ];
    for once in [None, Some(ActsOnce::Own), Some(ActsOnce::Global)] {
        about.push(AskedFor::Service { name: name(), once });
        about.push(AskedFor::Rule { name: name(), once });
    }
    all_agree_or_name(ANSWER, "AskedFor", &about, |one| matches!(one, AskedFor::Resource(_)));
    let (missing, share) = (Missing::Decisions { have: 3, need: 10 }, Share::percent(25));
    let refused = [
        NotTaken::NoRequest { error: "E7".to_owned() },
        NotTaken::NoRight { name: li(), group: "neap".to_owned() },
        NotTaken::Ending,
        NotTaken::Slow,
        NotTaken::NotWritten { fault: "E28".to_owned() },
        NotTaken::Passed { until: AT },
        NotTaken::NoRule { rule: rule() },
        NotTaken::NoApproval { id: "3f2a9c01b7de".to_owned() },
        NotTaken::ApprovalVoid { id: "3f2a9c01b7de".to_owned() },
        NotTaken::NoResource { name: name() },
        NotTaken::Ambiguous { name: name(), count: 3 },
        NotTaken::Unknown { name: name(), known: vec!["web-1".to_owned(), "web-2".to_owned()] },
        NotTaken::CanaryOfRule { name: name() },
        NotTaken::UngatedService { name: name() },
        NotTaken::UngatedRule { name: name() },
        NotTaken::NoDoubt { name: Some(name()) },
        NotTaken::NoDoubt { name: None },
        NotTaken::OfferVoid { id: "1a2b3c".to_owned() },
        NotTaken::OfferOlder { id: "1a2b3c".to_owned() },
        NotTaken::ThereAlready { name: name(), stage: Stage::Canary { share } },
        NotTaken::GateNotMet { missing: vec![missing, Missing::Forecast] },
    ];
    all_agree(ANSWER, "NotTaken", &refused);
}

#[test]
fn what_was_told_stays_as_it_was_told() {
    let told: OrTold<ForeignChange> = OrTold::Told("its minimum, by alice".to_owned());
    for language in [Language::English, Language::Chinese] {
        assert_eq!(told.said(language), "its minimum, by alice");
    }
}
