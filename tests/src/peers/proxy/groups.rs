//! Auto Scaling groups as the cloud has them where the peer has not: boots, histories, refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use fleet::{Seconds, Timestamp};
use roxmltree::{Document, Node};

use super::wire::{Refusal, Request, escaped};

/// Activities that one answer holds, by the cloud's documentation.
const ACTIVITIES_MAX: usize = 100;

/// A group as the peer shows it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub arn: String,
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub members: BTreeSet<String>,
    pub suspended: BTreeSet<String>,
}

/// What the stand-in knows of all groups, by ARN: a group made anew is another one.
#[derive(Debug)]
pub(super) struct Groups {
    stories: BTreeMap<String, Story>,
    /// By name, the ARN that has it now.
    newest: BTreeMap<String, String>,
    activities_made: u64,
    /// How long a new instance boots.
    pub boot: Seconds,
    /// How long a new instance that is in service takes until it serves.
    pub serves_after: Seconds,
    /// Groups, by name, for which the cloud has no more machines than this.
    pub shortages: BTreeMap<String, u32>,
    /// Fewer groups a page than asked for, to see paging at work.
    pub page_groups: Option<usize>,
}

#[derive(Debug, Default)]
struct Story {
    name: String,
    known: bool,
    lives: BTreeMap<String, Life>,
    activities: Vec<Activity>,
    /// The desired capacity shown where the peer was not told of it: launches are suspended, or
    /// there are no machines.
    shown_desired: Option<u32>,
    desired: u32,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    launched: Timestamp,
    in_service: Timestamp,
    serves: Timestamp,
}

#[derive(Clone, Debug)]
struct Activity {
    id: String,
    description: String,
    cause: String,
    started: Timestamp,
    ends: Timestamp,
    failure: Option<String>,
}

/// What to tell the peer of a wanted capacity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The call as it is.
    AsAsked,
    /// This capacity instead, and why the rest is not launched.
    Only { capacity: u32, failure: Option<String> },
}

impl Groups {
    pub fn new() -> Groups {
        Groups {
            stories: BTreeMap::new(),
            newest: BTreeMap::new(),
            activities_made: 0,
            boot: Seconds(0),
            serves_after: Seconds(0),
            shortages: BTreeMap::new(),
            page_groups: None,
        }
    }

    /// Judges a `SetDesiredCapacity` as the cloud does.
    pub fn judge(&self, seen: &Seen, wanted: u32) -> Result<Order, Refusal> {
        if wanted > seen.max {
            return Err(Refusal::invalid(format!(
                "New SetDesiredCapacity value {wanted} is above max value {} for the \
                 AutoScalingGroup.",
                seen.max
            )));
        }
        if wanted < seen.min {
            return Err(Refusal::invalid(format!(
                "New SetDesiredCapacity value {wanted} is below min value {} for the \
                 AutoScalingGroup.",
                seen.min
            )));
        }
        let have = seen.members.len() as u32;
        if seen.suspended.contains("Launch") && wanted > have {
            return Ok(Order::Only { capacity: have, failure: None });
        }
        if seen.suspended.contains("Terminate") && wanted < have {
            return Ok(Order::Only { capacity: have, failure: None });
        }
        match self.shortages.get(&seen.name) {
            Some(limit) if wanted > *limit && wanted > have => {
                let why = "We currently do not have sufficient t3.micro capacity in the \
                           Availability Zone you requested. Launching EC2 instance failed.";
                let capacity = have.max(*limit);
                Ok(Order::Only { capacity, failure: Some(why.into()) })
            }
            _ => Ok(Order::AsAsked),
        }
    }

    /// Compares a group with what was known of it, and writes its history on.
    ///
    /// Members seen for the first time with the group itself have always been there.
    pub fn observe(&mut self, seen: &Seen, now: Timestamp, cause: Option<&str>) {
        let (boot, serves_after) = (self.boot, self.serves_after);
        self.newest.insert(seen.name.clone(), seen.arn.clone());
        let story = self.stories.entry(seen.arn.clone()).or_default();
        story.name.clone_from(&seen.name);
        story.desired = seen.desired;
        if !story.known {
            story.known = true;
            let (launched, ever) = (Timestamp(now.0 - 86_400), Timestamp(0));
            let life = Life { launched, in_service: ever, serves: ever };
            story.lives = seen.members.iter().map(|id| (id.clone(), life)).collect();
            return;
        }
        let before = story.lives.len();
        let gone: Vec<String> =
            story.lives.keys().filter(|id| !seen.members.contains(*id)).cloned().collect();
        let new: Vec<String> =
            seen.members.iter().filter(|id| !story.lives.contains_key(*id)).cloned().collect();
        let after = before + new.len() - gone.len();
        let default = user_request(now, before, after);
        let cause = cause.unwrap_or(&default);
        let difference = "in response to a difference between desired and actual capacity";
        for id in gone {
            story.lives.remove(&id);
            let text = format!(
                "{cause}  At {} an instance was taken out of service {difference}, shrinking the \
                 capacity from {before} to {after}.",
                stamp(now)
            );
            self.activities_made += 1;
            let made = self.activities_made;
            let description = format!("Terminating EC2 instance: {id}");
            story.activities.push(Activity::new(made, description, text, now, now));
        }
        for id in new {
            let in_service = Timestamp(now.0 + boot.0 as i64);
            let serves = in_service + serves_after;
            story.lives.insert(id.clone(), Life { launched: now, in_service, serves });
            let text = format!(
                "{cause}  At {} an instance was started {difference}, increasing the capacity \
                 from {before} to {after}.",
                stamp(now)
            );
            self.activities_made += 1;
            let made = self.activities_made;
            let description = format!("Launching a new EC2 instance: {id}");
            story.activities.push(Activity::new(made, description, text, now, in_service));
        }
    }

    /// Remembers a capacity that the peer was not told, or forgets it.
    pub fn shows(&mut self, arn: &str, desired: Option<u32>) {
        self.stories.entry(arn.to_owned()).or_default().shown_desired = desired;
    }

    /// The capacity that is ordered and not launched, if any.
    pub fn owed(&self, arn: &str) -> Option<u32> {
        self.stories.get(arn).and_then(|story| story.shown_desired)
    }

    /// Writes a launch that failed into a group's history.
    pub fn failed(&mut self, arn: &str, now: Timestamp, why: &str) {
        self.activities_made += 1;
        let made = self.activities_made;
        let Some(story) = self.stories.get_mut(arn) else { return };
        let description = "Launching a new EC2 instance".to_owned();
        let count = story.lives.len();
        let cause = user_request(now, count, count + 1);
        let mut activity = Activity::new(made, description, cause, now, now);
        activity.failure = Some(why.into());
        story.activities.push(activity);
    }

    /// Members of a group in service and serving at `now`; `None` where the group was never seen.
    pub fn in_service(&self, name: &str, now: Timestamp) -> Option<u32> {
        let story = self.stories.get(self.newest.get(name)?)?;
        Some(story.lives.values().filter(|life| life.serves <= now).count() as u32)
    }

    /// The desired capacity of a group when it was last seen.
    pub fn desired(&self, name: &str) -> Option<u32> {
        let story = self.stories.get(self.newest.get(name)?)?;
        Some(story.shown_desired.unwrap_or(story.desired))
    }

    /// A group's description, corrected by what the stand-in knows.
    pub fn corrected(&self, text: &str, now: Timestamp) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        for group in group_nodes(&document) {
            let Some(story) = self.stories.get(&text_of(group, "AutoScalingGroupARN")) else {
                continue;
            };
            if let (Some(desired), Some(node)) =
                (story.shown_desired, child(group, "DesiredCapacity"))
            {
                edits.push((inner(node), desired.to_string()));
            }
            for member in members(group, "Instances") {
                let life = story.lives.get(&text_of(member, "InstanceId"));
                let boots = life.is_some_and(|life| life.in_service > now);
                if let (true, Some(state)) = (boots, child(member, "LifecycleState")) {
                    edits.push((inner(state), "Pending".to_owned()));
                }
            }
        }
        spliced(text, edits)
    }

    /// A description of targets, with those that do not serve yet.
    pub fn target_health(&self, text: &str, now: Timestamp) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        let items = document.descendants().filter(|node| node.has_tag_name_local("TargetHealth"));
        for health in items {
            let target = health.parent().and_then(|item| child(item, "Target"));
            let id = target.map(|target| text_of(target, "Id")).unwrap_or_default();
            let life = self.stories.values().find_map(|story| story.lives.get(&id));
            let waits = life.is_some_and(|life| life.serves > now);
            if let Some(state) = child(health, "State").filter(|_| waits) {
                edits.push((inner(state), "initial".to_owned()));
            }
        }
        spliced(text, edits)
    }

    /// A description of instances, with the launch times of test time.
    pub fn launch_times(&self, text: &str) -> String {
        let Ok(document) = Document::parse(text) else { return text.to_owned() };
        let mut edits = Vec::new();
        for node in document.descendants().filter(|node| node.has_tag_name_local("launchTime")) {
            let Some(item) = node.parent() else { continue };
            let id = text_of(item, "instanceId");
            if let Some(life) = self.stories.values().find_map(|story| story.lives.get(&id)) {
                edits.push((inner(node), stamp(life.launched)));
            }
        }
        spliced(text, edits)
    }

    /// The answer to a `DescribeScalingActivities`: of one group, or of all in the region.
    pub fn activities(
        &self,
        request: &Request,
        of: Option<&str>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let max = request.form.get("MaxRecords").map_or(Ok(ACTIVITIES_MAX), |text| text.parse());
        let max = max.unwrap_or(0);
        if !(1..=ACTIVITIES_MAX).contains(&max) {
            let message = "Maximum number of records must be between 1 and 100";
            return Err(Refusal::invalid(message));
        }
        let from = match request.form.get("NextToken").map(|token| token.parse::<usize>()) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => {
                return Err(Refusal::new(400, "InvalidNextToken", "The token is not valid"));
            }
        };
        let region = format!(":autoscaling:{}:", request.region);
        let mut all: Vec<(&String, &Story, &Activity)> = Vec::new();
        for (arn, story) in &self.stories {
            if arn.contains(&region) && of.is_none_or(|wanted| wanted == arn) {
                all.extend(story.activities.iter().map(|activity| (arn, story, activity)));
            }
        }
        all.sort_by_key(|(_, _, activity)| {
            std::cmp::Reverse((activity.started, activity.id.clone()))
        });
        let page: String = all.iter().skip(from).take(max).map(|a| xml_of(a, now)).collect();
        let more = from + max < all.len();
        let token =
            if more { format!("<NextToken>{}</NextToken>", from + max) } else { String::new() };
        Ok(format!(
            "<DescribeScalingActivitiesResponse \
             xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
             <DescribeScalingActivitiesResult><Activities>{page}</Activities>{token}\
             </DescribeScalingActivitiesResult><ResponseMetadata>\
             <RequestId>7f3c09aa-0000-4000-8000-000000000002</RequestId></ResponseMetadata>\
             </DescribeScalingActivitiesResponse>"
        ))
    }
}

impl Activity {
    fn new(
        made: u64,
        description: String,
        cause: String,
        started: Timestamp,
        ends: Timestamp,
    ) -> Activity {
        let id = format!("{made:08x}-0000-4000-8000-{made:012x}");
        Activity { id, description, cause, started, ends, failure: None }
    }
}

/// The words of the cloud for a capacity that was set by a call.
fn user_request(now: Timestamp, from: usize, to: usize) -> String {
    format!(
        "At {} a user request explicitly set group desired capacity changing the desired capacity \
         from {from} to {to}.",
        stamp(now)
    )
}

fn xml_of((arn, story, activity): &(&String, &Story, &Activity), now: Timestamp) -> String {
    let done = activity.ends <= now;
    let (status, progress) = match (&activity.failure, done) {
        (Some(_), _) => ("Failed", 100),
        (None, true) => ("Successful", 100),
        (None, false) => ("InProgress", 30),
    };
    let end = if done { format!("<EndTime>{}</EndTime>", stamp(activity.ends)) } else { "".into() };
    let message = activity.failure.as_ref().map(|why| escaped(why));
    let message =
        message.map_or(String::new(), |why| format!("<StatusMessage>{why}</StatusMessage>"));
    let details = escaped("{\"Subnet ID\":\"\",\"Availability Zone\":\"us-east-1a\"}");
    format!(
        "<member><ActivityId>{}</ActivityId><AutoScalingGroupName>{}</AutoScalingGroupName>\
         <Description>{}</Description><Cause>{}</Cause><StartTime>{}</StartTime>{end}\
         <StatusCode>{status}</StatusCode>{message}<Progress>{progress}</Progress>\
         <Details>{details}</Details><AutoScalingGroupARN>{arn}</AutoScalingGroupARN></member>",
        activity.id,
        escaped(&story.name),
        escaped(&activity.description),
        escaped(&activity.cause),
        stamp(activity.started),
    )
}

pub(super) fn stamp(at: Timestamp) -> String {
    at.to_string()
}

/// The groups in an answer to `DescribeAutoScalingGroups`.
pub(super) fn groups_in(text: &str) -> Vec<Seen> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let number = |node, name| text_of(node, name).parse().unwrap_or_default();
    group_nodes(&document)
        .map(|group| Seen {
            arn: text_of(group, "AutoScalingGroupARN"),
            name: text_of(group, "AutoScalingGroupName"),
            min: number(group, "MinSize"),
            max: number(group, "MaxSize"),
            desired: number(group, "DesiredCapacity"),
            members: members(group, "Instances").map(|m| text_of(m, "InstanceId")).collect(),
            suspended: members(group, "SuspendedProcesses")
                .map(|m| text_of(m, "ProcessName"))
                .collect(),
        })
        .collect()
}

fn group_nodes<'a, 'i>(document: &'a Document<'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    let all = document.descendants().find(|node| node.has_tag_name_local("AutoScalingGroups"));
    all.into_iter().flat_map(|all| all.children().filter(Node::is_element))
}

fn members<'a, 'i>(of: Node<'a, 'i>, list: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    child(of, list).into_iter().flat_map(|list| list.children().filter(Node::is_element))
}

pub(super) fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    of.children().find(|node| node.has_tag_name_local(name))
}

pub(super) fn text_of(of: Node<'_, '_>, name: &str) -> String {
    child(of, name).and_then(|node| node.text()).unwrap_or_default().to_owned()
}

/// Where an element's text lies.
pub(super) fn inner(node: Node<'_, '_>) -> Range<usize> {
    node.first_child().map_or(node.range(), |text| text.range())
}

pub(super) fn spliced(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, replacement) in edits {
        text.replace_range(range, &replacement);
    }
    text
}

/// Names without their namespace, which each service has its own.
pub(super) trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(members: &[&str], suspended: &[&str]) -> Seen {
        Seen {
            arn: "arn:aws:autoscaling:us-east-1:1:autoScalingGroup:x:autoScalingGroupName/web"
                .into(),
            name: "web".into(),
            min: 1,
            max: 10,
            desired: members.len() as u32,
            members: members.iter().map(|id| (*id).to_owned()).collect(),
            suspended: suspended.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn refuses_what_the_cloud_refuses() {
        let mut groups = Groups::new();
        let group = seen(&["a", "b"], &[]);
        let above = groups.judge(&group, 11).expect_err("above the maximum");
        assert_eq!(above.code, "ValidationError");
        let expected =
            "New SetDesiredCapacity value 11 is above max value 10 for the AutoScalingGroup.";
        assert_eq!(above.message, expected);
        assert!(groups.judge(&group, 0).is_err());
        assert_eq!(groups.judge(&group, 5).expect("within bounds"), Order::AsAsked);
        let held = Order::Only { capacity: 2, failure: None };
        assert_eq!(groups.judge(&seen(&["a", "b"], &["Launch"]), 5).expect("accepted"), held);
        groups.shortages.insert("web".into(), 3);
        let Ok(Order::Only { capacity: 3, failure: Some(_) }) = groups.judge(&group, 5) else {
            panic!("three of five")
        };
    }

    #[test]
    fn a_member_boots_and_then_serves() {
        let mut groups = Groups::new();
        groups.boot = Seconds(120);
        groups.observe(&seen(&["a"], &[]), Timestamp(1_000), None);
        groups.observe(&seen(&["a", "b"], &[]), Timestamp(2_000), None);
        assert_eq!(groups.in_service("web", Timestamp(2_119)), Some(1));
        assert_eq!(groups.in_service("web", Timestamp(2_120)), Some(2));
        groups.observe(&seen(&["b"], &[]), Timestamp(3_000), None);
        let story = groups.stories.values().next().expect("one group");
        let told: Vec<&str> = story.activities.iter().map(|a| a.description.as_str()).collect();
        assert_eq!(told, ["Launching a new EC2 instance: b", "Terminating EC2 instance: a"]);
    }
}
