//! Minimums of groups that neap writes go back to what their operator had set, and to nothing else: by
//! `neap restore`, by the daemon when a service is taken back, and by a single order to a cloud.

use std::sync::Arc;
use std::time::Duration;

use fleet::{Change, GroupId, GroupRef, Now, ProviderName, Units};
use neap::execute::put_back;
use planner::snapshot::OrderResult;
use providers::sim::{
    ACCOUNT, Act, Calls, GroupSpec, HandClock, REGION as SIM_REGION, Scenario, Trouble,
    TroubleSpec, World, plain_group,
};
use providers::traced::Traced;
use providers::{Deadline, Provider};
use tests::clock::TestClock;
use tests::neap::Neap;
use tests::peers::{Aws, NewGroup};
use tests::story::{CAPACITY, PATIENCE, START, Story, minutes, step};
use tests::world::{REGION, ServiceText};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// What the operator had set.
const OPERATORS: u32 = 2;

/// The program's words and its exit code.
fn restored(neap: &Neap, more: &[&str]) -> (String, Option<i32>) {
    let output = neap.output(&[&["restore"], more].concat());
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    (said.concat(), output.status.code())
}

fn minimum(somebody: &Aws, group: &str) -> u32 {
    somebody.group_number(group, "MinSize")
}

#[test]
fn the_command_gives_back_what_is_neaps_and_leaves_what_somebody_changed() {
    let mut story = Story::until(minutes(9));
    for name in ["shop", "lamp"] {
        story.stage.service(REGION, &NewGroup::new(name, OPERATORS, 60, 12));
        story.days.serve(name, REGION, step(100.0, minutes(3), 300.0));
        let pool = "min = 1\nmax = 60\nlead_time = \"2m\"\nactuate = \"floor\"";
        story.services.push(ServiceText::choosing(name, CAPACITY).pool(pool));
    }
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock);
    let status = neap.start(&clock).wait(PATIENCE);
    assert!(status.success(), "{status}");
    let neap = neap.without_clock();
    let somebody = stage.somebody();
    let raised = ["shop", "lamp"].map(|group| minimum(&somebody, group));
    assert!(raised.iter().all(|minimum| *minimum >= 30), "{raised:?}");

    // What is only shown, not known, or forbidden changes nothing.
    let (said, code) = restored(&neap, &["--dry-run"]);
    assert_eq!((code, said.matches("(dry run)").count()), (Some(0), 2), "{said}");
    let (said, code) = restored(&neap, &["nobody"]);
    assert!(code == Some(1) && said.contains("nothing to put back"), "{said}");
    std::fs::write(neap.path("stop"), "").expect("the switch is thrown");
    let (said, code) = restored(&neap, &[]);
    assert_eq!((code, said.matches("error: ").count()), (Some(3), 2), "{said}");
    std::fs::remove_file(neap.path("stop")).expect("the switch is lifted");
    assert_eq!(["shop", "lamp"].map(|group| minimum(&somebody, group)), raised);

    // One of them alone, by its name; what somebody has set since stays.
    let (said, code) = restored(&neap, &["shop"]);
    assert_eq!((code, minimum(&somebody, "shop")), (Some(0), OPERATORS), "{said}");
    assert_eq!(minimum(&somebody, "lamp"), raised[1], "{said}");
    let theirs = [("AutoScalingGroupName", "lamp"), ("MinSize", "7")];
    somebody.autoscaling("UpdateAutoScalingGroup", &theirs);
    let (said, code) = restored(&neap, &[]);
    assert!(code == Some(0) && said.contains("its minimum is 7 and stays"), "{said}");
    assert_eq!(["shop", "lamp"].map(|group| minimum(&somebody, group)), [OPERATORS, 7]);
    let (said, code) = restored(&neap, &[]);
    assert!(code == Some(0) && said.contains("nothing to put back"), "{said}");
    // The size is another matter: nobody loses a unit by it.
    assert!(somebody.desired("shop") >= 30);
}

/// A simulated cloud with a group, and what shows its minimum and the calls that tried to write.
struct Cloud {
    world: World,
    traced: Traced,
    named: GroupRef,
    id: GroupId,
}

impl Cloud {
    async fn with(spec: GroupSpec) -> Cloud {
        let provider = ProviderName::new("sim").expect("a name");
        let clock: Arc<dyn Now> = HandClock::at(START);
        let scenario = Scenario { groups: vec![spec.clone()], ..Scenario::default() };
        let world = World::new(&provider, 7, START, &scenario, clock);
        let traced = Traced::new(&provider, Arc::new(world.clone()));
        let GroupSpec { account, region, name, .. } = spec;
        assert_eq!((account.as_str(), region.as_str()), (ACCOUNT, SIM_REGION));
        let named = GroupRef { provider, account, region, name };
        let soon = Deadline::within(Duration::from_secs(5));
        let read = traced.inventory().groups(std::slice::from_ref(&named), soon).await;
        let id = read.into_iter().next().expect("an answer").expect("a group").id;
        Cloud { world, traced, named, id }
    }

    /// Puts the minimum back from 9 to 2. What came of it, what the group shows, and the calls.
    async fn put_back(&self, permitted: bool) -> (OrderResult, u32, u64) {
        let change = Change::Minimum { from: Units(9), to: Units(2) };
        let before = self.world.writes_tried();
        let result = put_back(&self.id, change, "restore", &self.traced, &|| permitted).await;
        let tried = self.world.writes_tried() - before;
        self.world.calm();
        let soon = Deadline::within(Duration::from_secs(5));
        let shown = self.traced.inventory().group(&self.id, soon).await.expect("it reads");
        (result, shown.min.0, tried)
    }
}

fn nine() -> GroupSpec {
    GroupSpec { min: 9, desired: Some(12), ..plain_group("web") }
}

#[tokio::test]
async fn one_order_puts_a_minimum_back_and_is_never_sent_twice() {
    let cloud = Cloud::with(nine()).await;
    assert_eq!(cloud.put_back(true).await, (OrderResult::Applied, 2, 1));
    // Again: it is another by now, whoever made it so.
    let moved = |found| OrderResult::Moved { found: Units(found) };
    assert_eq!(cloud.put_back(true).await, (moved(2), 2, 0));
    for theirs in [1, 3, 8, 10, 40] {
        cloud.world.act(&cloud.named, &Act::Minimum(theirs)).expect("a group");
        assert_eq!(cloud.put_back(true).await, (moved(theirs), theirs, 0));
    }
    cloud.world.act(&cloud.named, &Act::Minimum(9)).expect("a group");
    assert_eq!(cloud.put_back(false).await, (OrderResult::Stopped, 9, 0));
    assert_eq!(cloud.put_back(true).await, (OrderResult::Applied, 2, 1));
}

#[tokio::test]
async fn an_order_that_fails_or_whose_answer_is_lost_says_so() {
    for (trouble, calls, kind, shown, tried) in [
        (Trouble::Denied, Calls::Writes, Some("Denied"), 9, 1),
        (Trouble::Throttled, Calls::Writes, Some("Throttled"), 9, 1),
        (Trouble::Unreachable, Calls::Inventory, Some("Unreachable"), 9, 0),
        // It was carried out, and nobody heard of it.
        (Trouble::AnswerLost, Calls::Writes, None, 2, 1),
    ] {
        let cloud = Cloud::with(nine()).await;
        cloud.world.trouble(TroubleSpec::everywhere(trouble, calls), None);
        let (result, found, calls) = cloud.put_back(true).await;
        assert_eq!((found, calls), (shown, tried), "{trouble:?}: {result:?}");
        match (&result, kind) {
            (OrderResult::Failed { fault }, Some(kind)) => {
                let same = format!("{:?}", fault.kind).starts_with(kind);
                assert!(same, "{trouble:?}: {fault:?}");
            }
            (OrderResult::Unconfirmed { effect_seen: None }, None) => {}
            _ => panic!("{trouble:?}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn what_an_orchestrator_owns_by_now_is_left_to_it() {
    let owner = fleet::group::Owner {
        name: "Karpenter".to_owned(),
        evidence: "karpenter.sh/nodepool".to_owned(),
    };
    let cloud = Cloud::with(GroupSpec { owner: Some(owner.clone()), ..nine() }).await;
    assert_eq!(cloud.put_back(true).await, (OrderResult::Owned { owner }, 9, 0));
}
