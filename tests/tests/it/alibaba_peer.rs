//! The stand-in for Alibaba Cloud keeps its word: the official SDK can work with it, and what the
//! cloud refuses is refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use fleet::{Seconds, Timestamp};
use serde_json::{Value, json};
use tests::clock::TestTime;
use tests::peers::http::{Answer, send};
use tests::peers::{
    ACCOUNT, Alibaba, Fault, KEY, NewEcs, NewScalingGroup, Point, Rule, SECRET, aliyun, aliyun_as,
    official_signature,
};

const REGION: &str = "cn-hangzhou";
/// 2026-03-02T00:00:00Z, a Monday.
const START: Timestamp = Timestamp(1_772_409_600);
const ROLE: &str = "acs:ram::2000000000000002:role/scaler";
const FORM: &str = "application/x-www-form-urlencoded";

struct Bench {
    cloud: Alibaba,
    time: TestTime,
}

impl Bench {
    fn new() -> Bench {
        let time = TestTime::starting(START);
        Bench { cloud: Alibaba::start(time.clone()), time }
    }

    /// With a group that boots for two minutes.
    fn with_group(min: u32, max: u32, desired: Option<u32>) -> Bench {
        let bench = Bench::new();
        bench.cloud.boot_takes(Seconds(120));
        let new = NewScalingGroup { desired, ..NewScalingGroup::new(REGION, "shop", min, max, 0) };
        bench.cloud.create_group(&new);
        bench
    }

    fn sdk(&self, product: &str, operation: &str, with: Value) -> Value {
        aliyun(&self.cloud.url(), REGION, product, operation, &with)
    }

    /// An ESS call about the group.
    fn ess(&self, operation: &str, mut with: Value) -> Value {
        with["ScalingGroupId"] = self.cloud.group_id("shop").into();
        if operation.starts_with("Describe") {
            with["RegionId"] = REGION.into();
        }
        self.sdk("ess", operation, with)
    }

    fn scale(&self, kind: &str, value: i64, token: Option<&str>) -> Value {
        let with =
            json!({ "AdjustmentType": kind, "AdjustmentValue": value, "ClientToken": token });
        self.ess("ScaleWithAdjustment", with)
    }

    fn forward(&self, seconds: i64) {
        self.time.set(Timestamp(self.time.now().0 + seconds));
    }

    fn states(&self) -> Vec<String> {
        let answer = self.ess("DescribeScalingInstances", json!({ "PageSize": 100 }));
        let members = answer["ScalingInstances"].as_array().expect("members").iter();
        members.map(|m| m["LifecycleState"].as_str().expect("a state").to_owned()).collect()
    }

    fn activities(&self) -> Vec<Value> {
        let answer = self.ess("DescribeScalingActivities", json!({}));
        answer["ScalingActivities"].as_array().expect("activities").clone()
    }

    /// A request of our own making, so that any part of it can be wrong.
    fn raw(&self, secret: &str, spoil: impl FnOnce(&mut Raw)) -> (Answer, Value) {
        let mut raw = Raw {
            method: hyper::Method::POST,
            headers: [
                ("host", self.cloud.address().to_string()),
                ("x-acs-action", "DescribeScalingGroups".to_owned()),
                ("x-acs-version", "2022-02-22".to_owned()),
                ("x-acs-date", self.time.now().to_string()),
                ("x-acs-signature-nonce", format!("nonce-{}", self.cloud.calls().len())),
                ("x-acs-content-sha256", String::new()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            query: BTreeMap::from([("RegionId".to_owned(), REGION.to_owned())]),
            after: BTreeMap::new(),
            drop_signed: None,
            body: String::new(),
        };
        spoil(&mut raw);
        self.send(raw, secret)
    }

    fn send(&self, mut raw: Raw, secret: &str) -> (Answer, Value) {
        let mut question = json!({
            "sign": "v3", "method": raw.method.as_str(), "path": "/", "query": raw.query,
            "headers": {}, "body": raw.body, "key": KEY, "secret": secret,
        });
        let hash = official_signature(&question)[1].as_str().expect("a hash").to_owned();
        raw.headers.insert("x-acs-content-sha256".into(), hash);
        let mut signed = raw.headers.clone();
        signed.retain(|name, _| Some(name) != raw.drop_signed.as_ref());
        question["headers"] = json!(signed);
        let authorization = official_signature(&question)[0].as_str().expect("one").to_owned();
        raw.headers.insert("authorization".into(), authorization);
        raw.query.extend(raw.after);
        let pairs: Vec<String> = raw.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        self.plain(raw.method, &format!("/?{}", pairs.join("&")), &raw.headers, raw.body)
    }

    fn plain(
        &self,
        method: hyper::Method,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: String,
    ) -> (Answer, Value) {
        let headers = headers.iter().map(|(name, value)| {
            let name: hyper::header::HeaderName = name.parse().expect("a name");
            (name, value.parse().expect("a value"))
        });
        let sent = send(self.cloud.address(), method, target, headers.collect(), Bytes::from(body));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let answer = runtime.block_on(sent).expect("an answer");
        let said = serde_json::from_slice(&answer.body).unwrap_or_default();
        (answer, said)
    }
}

struct Raw {
    method: hyper::Method,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// Parameters that are put in after the signature.
    after: BTreeMap<String, String>,
    /// A header that is sent and not signed.
    drop_signed: Option<String>,
    body: String,
}

fn refused(answer: &Value) -> (&str, u64) {
    let code = answer["refused"].as_str().unwrap_or_else(|| panic!("not refused: {answer}"));
    (code, answer["status"].as_u64().unwrap_or_default())
}

#[test]
fn a_group_grows_boots_and_tells_its_history() {
    let bench = Bench::with_group(1, 10, Some(2));
    let named = json!({ "RegionId": REGION, "ScalingGroupNames": ["shop", "not-there"] });
    let groups = bench.sdk("ess", "DescribeScalingGroups", named);
    let group = &groups["ScalingGroups"][0];
    assert_eq!((&groups["TotalCount"], &group["MinSize"]), (&json!(1), &json!(1)));
    assert_eq!((&group["DesiredCapacity"], &group["ActiveCapacity"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&group["EnableDesiredCapacity"], &group["LifecycleState"]),
        (&json!(true), &json!("Active"))
    );

    let modified = bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 3 }));
    assert!(modified["RequestId"].is_string(), "{modified}");
    assert_eq!(bench.states(), ["InService", "InService", "Pending"]);
    assert_eq!((bench.cloud.desired("shop"), bench.cloud.in_service("shop")), (3, 2));
    assert_eq!(bench.cloud.in_service_at("shop", Timestamp(START.0 + 120)), 3);
    let under_way = bench.activities();
    assert_eq!(under_way[0]["StatusCode"], "InProgress");
    assert_eq!(under_way[0].get("EndTime"), None);
    bench.forward(119);
    assert_eq!(bench.states()[2], "Pending");
    bench.forward(1);
    assert_eq!(bench.states(), ["InService"; 3]);
    let done = bench.activities();
    assert_eq!(
        (&done[0]["StatusCode"], &done[0]["TotalCapacity"]),
        (&json!("Successful"), &json!("3"))
    );
    assert_eq!(done[0]["StartTime"], "2026-03-02T00:00Z");
    assert_eq!(done[0]["EndTime"], "2026-03-02T00:02Z");
    assert_eq!(done[0]["TriggerSourceType"], "Api");
    assert_eq!(done[0]["CreatedInstances"].as_array().map(Vec::len), Some(1));
    let cause = "A user requests to modify the Desired Capacity from \"2\" to \"3\", changing the \
                 Total Capacity from \"2\" to \"3\".";
    assert_eq!(done[0]["Cause"], cause);

    let writes = bench.cloud.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!((writes[0].group(), writes[0].region.as_str()), (Some("shop"), REGION));
    assert_eq!(writes[0].action(), "ess:ModifyScalingGroup");
    assert!(writes[0].effect && !writes[0].refused());
}

#[test]
fn sizes_hold_and_refusals_have_their_codes() {
    let bench = Bench::with_group(2, 5, Some(3));
    for (sizes, code) in [
        (json!({ "DesiredCapacity": 6 }), "InvalidParameter"),
        (json!({ "DesiredCapacity": 1 }), "InvalidParameter"),
        (json!({ "MinSize": 6 }), "InvalidParameter"),
    ] {
        assert_eq!(refused(&bench.ess("ModifyScalingGroup", sizes)), (code, 400));
    }
    assert_eq!(bench.cloud.desired("shop"), 3);
    bench.ess("ModifyScalingGroup", json!({ "MinSize": 4 }));
    assert_eq!(refused(&bench.scale("TotalCapacity", 5, None)), ("ScalingActivityInProgress", 403));
    bench.forward(120);
    assert_eq!((bench.cloud.desired("shop"), bench.cloud.group_number("shop", "MinSize")), (4, 4));

    assert_eq!(bench.scale("TotalCapacity", 100, None)["ActivityType"], "CapacityChange");
    assert_eq!(bench.cloud.desired("shop"), 5, "held to the maximum");
    bench.forward(120);
    bench.scale("QuantityChangeInCapacity", -4, None);
    assert_eq!(bench.cloud.desired("shop"), 4, "held to the minimum");
    assert_eq!(refused(&bench.scale("QuantityChangeInCapacity", 1001, None)).0, "InvalidParameter");
    assert_eq!(refused(&bench.scale("Strange", 1, None)).0, "InvalidParameter");

    let gone = json!({ "ScalingGroupId": "asg-none", "DesiredCapacity": 4 });
    let gone = bench.sdk("ess", "ModifyScalingGroup", gone);
    assert_eq!(refused(&gone), ("InvalidScalingGroupId.NotFound", 404));
    bench.cloud.activate("shop", false);
    let inactive = bench.scale("TotalCapacity", 5, None);
    assert_eq!(refused(&inactive), ("IncorrectScalingGroupStatus", 403));
    assert!(bench.cloud.calls().last().is_some_and(|call| call.refused()));
}

#[test]
fn a_client_token_orders_once() {
    let bench = Bench::with_group(0, 10, Some(2));
    let first = bench.scale("QuantityChangeInCapacity", 2, Some("t-1"));
    let again = bench.scale("QuantityChangeInCapacity", 2, Some("t-1"));
    assert!(first["ScalingActivityId"].is_string(), "{first}");
    assert_eq!(first["ScalingActivityId"], again["ScalingActivityId"]);
    assert_eq!(bench.cloud.desired("shop"), 4);
    let other = bench.scale("QuantityChangeInCapacity", 3, Some("t-1"));
    assert_eq!(refused(&other), ("IdempotentParameterMismatch", 400));
    bench.forward(120);
    bench.scale("QuantityChangeInCapacity", 2, Some("t-2"));
    assert_eq!(bench.cloud.desired("shop"), 6);
}

#[test]
fn one_activity_runs_at_a_time() {
    let bench = Bench::with_group(1, 10, None);
    let named = json!({ "RegionId": REGION });
    let groups = bench.sdk("ess", "DescribeScalingGroups", named);
    assert_eq!(groups["ScalingGroups"][0]["EnableDesiredCapacity"], false);
    assert_eq!(groups["ScalingGroups"][0].get("DesiredCapacity"), None);
    let first = bench.scale("TotalCapacity", 3, None);
    assert_eq!(first.get("ActivityType"), None);
    let early = bench.scale("TotalCapacity", 4, None);
    assert_eq!(refused(&early), ("ScalingActivityInProgress", 403));
    bench.forward(120);
    bench.scale("TotalCapacity", 4, None);
    assert_eq!(bench.cloud.desired("shop"), 4);
}

#[test]
fn a_shortage_leaves_the_group_short_until_it_is_over() {
    let bench = Bench::with_group(0, 10, Some(2));
    bench.cloud.shortage("shop", Some(2));
    bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 4 }));
    assert_eq!((bench.cloud.desired("shop"), bench.states().len()), (4, 2));
    let failed = bench.activities();
    assert_eq!(failed[0]["StatusCode"], "Failed");
    assert_eq!(failed[0]["ErrorCode"], "OperationDenied.NoStock");
    bench.cloud.shortage("shop", None);
    assert_eq!(bench.states().len(), 4);
    assert_eq!(bench.activities()[0]["TriggerSourceType"], "Ess");
}

#[test]
fn members_are_removed_protected_and_set_aside() {
    let bench = Bench::with_group(1, 10, Some(4));
    let ids = bench.cloud.members("shop");
    let protect = json!({ "InstanceIds": [ids[0]], "ProtectedFromScaleIn": true });
    bench.ess("SetInstancesProtection", protect);
    bench.ess("EnterStandby", json!({ "InstanceIds": [ids[1]] }));
    assert_eq!(bench.states(), ["Protected", "Standby", "InService", "InService"]);
    bench.cloud.removal_takes(Seconds(30));
    bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 3 }));
    assert_eq!(bench.states(), ["Protected", "Standby", "Removing", "InService"]);
    bench.forward(30);
    assert_eq!(bench.states(), ["Protected", "Standby", "InService"]);
    bench.ess("ExitStandby", json!({ "InstanceIds": [ids[1]] }));
    assert_eq!(bench.states()[1], "InService");

    bench.cloud.removal_takes(Seconds(0));
    let one = json!({ "InstanceIds": [ids[1]], "RemovePolicy": "release" });
    bench.ess("RemoveInstances", one.clone());
    assert_eq!((bench.cloud.desired("shop"), bench.states().len()), (2, 2));
    assert_eq!(refused(&bench.ess("RemoveInstances", one)), ("InvalidInstanceId.NotFound", 404));
    let kept = json!({ "InstanceIds": [ids[3]], "DecreaseDesiredCapacity": false });
    bench.ess("RemoveInstances", kept);
    assert_eq!((bench.cloud.desired("shop"), bench.states().len()), (2, 2), "replaced");
    let all = bench.cloud.members("shop");
    let below = bench.ess("RemoveInstances", json!({ "InstanceIds": all }));
    assert_eq!(refused(&below).0, "IncorrectCapacity.MinSize");

    bench.ess("SuspendProcesses", json!({ "Processes": ["ScaleOut"] }));
    bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 5 }));
    assert_eq!(bench.states().len(), 2);
    assert_eq!(bench.cloud.group_number("shop", "DesiredCapacity"), 5);
    bench.ess("ResumeProcesses", json!({ "Processes": ["ScaleOut"] }));
    assert_eq!(bench.states().len(), 5);

    let own = bench.cloud.create_instance(&NewEcs::new(REGION, "ecs.g7.large"));
    bench.cloud.attach_instance("shop", &own);
    bench.cloud.set_lifecycle(&own, "Strange");
    let attached = json!({ "CreationType": "Attached" });
    let attached = bench.ess("DescribeScalingInstances", attached);
    assert_eq!(attached["ScalingInstances"][0]["LifecycleState"], "Strange");
    assert_eq!((bench.cloud.desired("shop"), bench.states().len()), (6, 6));
}

#[test]
fn groups_and_machines_come_in_pages() {
    let bench = Bench::new();
    for n in 0..3 {
        bench.cloud.create_group(&NewScalingGroup::new(REGION, &format!("g{n}"), 0, 9, 3));
    }
    bench.cloud.create_group(&NewScalingGroup::new("cn-beijing", "far", 0, 9, 0));
    let page = |n: u32| {
        let with = json!({ "RegionId": REGION, "PageNumber": n, "PageSize": 50 });
        bench.sdk("ess", "DescribeScalingGroups", with)
    };
    bench.cloud.page_by(Some(2));
    let (first, second) = (page(1), page(2));
    assert_eq!(first["ScalingGroups"].as_array().map(Vec::len), Some(2));
    assert_eq!((&first["TotalCount"], &first["PageSize"]), (&json!(3), &json!(2)));
    assert_eq!(second["ScalingGroups"][0]["ScalingGroupName"], "g2");
    let large = json!({ "RegionId": REGION, "PageSize": 51 });
    let large = bench.sdk("ess", "DescribeScalingGroups", large);
    assert_eq!(refused(&large), ("InvalidParameter", 400));

    let mut seen = Vec::new();
    let mut token = Value::Null;
    while token != "" {
        let with = json!({ "RegionId": REGION, "MaxResults": 4, "NextToken": token });
        let answer = bench.sdk("ecs", "DescribeInstances", with);
        let page = answer["Instances"]["Instance"].as_array().expect("machines").clone();
        seen.extend(page.iter().map(|machine| machine["InstanceId"].to_string()));
        token = answer["NextToken"].clone();
    }
    assert_eq!(seen.len(), 9);
    seen.dedup();
    assert_eq!(seen.len(), 9);
}

#[test]
fn machines_stop_and_start() {
    let bench = Bench::new();
    bench.cloud.turning_takes(Seconds(60));
    let tags = vec![("env".to_owned(), "dev".to_owned())];
    let new = NewEcs { tags, ..NewEcs::new(REGION, "ecs.g7.large") };
    let id = bench.cloud.create_instance(&new);
    let tagged = json!({ "RegionId": REGION, "Tag": [{ "Key": "env", "Value": "dev" }] });
    let found = bench.sdk("ecs", "DescribeInstances", tagged);
    let machine = &found["Instances"]["Instance"][0];
    assert_eq!(
        (&machine["Status"], &machine["StoppedMode"]),
        (&json!("Running"), &json!("Not-applicable"))
    );
    assert_eq!(machine["Tags"]["Tag"][0]["TagKey"], "env");

    let stop = json!({ "RegionId": REGION, "InstanceId": [id, "i-none"],
                       "StoppedMode": "StopCharging", "BatchOptimization": "SuccessFirst" });
    let stopped = bench.sdk("ecs", "StopInstances", stop.clone());
    let each = &stopped["InstanceResponses"]["InstanceResponse"];
    assert_eq!((&each[0]["Code"], &each[0]["CurrentStatus"]), (&json!("200"), &json!("Stopping")));
    assert_eq!(each[1]["Code"], "InvalidInstanceId.NotFound");
    bench.forward(60);
    assert_eq!(bench.cloud.instance_status(&id), "Stopped");
    let again = bench.sdk("ecs", "StopInstances", stop);
    assert_eq!(
        again["InstanceResponses"]["InstanceResponse"][0]["Code"],
        "IncorrectInstanceStatus"
    );

    let start = json!({ "RegionId": REGION, "InstanceId": [id] });
    bench.cloud.instance_stock("ecs.g7.large", Some(0));
    let none = bench.sdk("ecs", "StartInstances", start.clone());
    assert_eq!(refused(&none), ("OperationDenied.NoStock", 403));
    bench.cloud.instance_stock("ecs.g7.large", None);
    bench.sdk("ecs", "StartInstances", start);
    assert_eq!(bench.cloud.instance_status(&id), "Starting");
    bench.forward(60);
    assert_eq!(bench.cloud.instance_status(&id), "Running");
    let types = json!({ "InstanceTypes": ["ecs.g7.large"] });
    let types = bench.sdk("ecs", "DescribeInstanceTypes", types);
    assert_eq!(types["InstanceTypes"]["InstanceType"][0]["CpuCoreCount"], 2);
    let price = json!({ "RegionId": REGION, "InstanceType": "ecs.g7.large" });
    let price = bench.sdk("ecs", "DescribePrice", price);
    assert!(price["PriceInfo"]["Price"]["TradePrice"].as_f64().is_some_and(|price| price > 0.0));
}

#[test]
fn metrics_have_open_starts_pages_and_an_end() {
    let bench = Bench::new();
    let points: Vec<Point> = (0..40 * 24 * 60)
        .map(|n| Point { start: Timestamp(START.0 - n * 60), value: f64::from(n as i32) })
        .collect();
    bench.cloud.put_metric("acs_shop", "Requests", &[("instanceId", "i-1")], &points);
    bench.cloud.put_metric("acs_shop", "Requests", &[("instanceId", "i-2")], &points[..1]);
    let ask = |from: i64, to: i64, more: Value| {
        let mut with = json!({
            "Namespace": "acs_shop", "MetricName": "Requests", "Period": "60",
            "StartTime": Timestamp(from).to_string(), "EndTime": (to * 1000).to_string(),
            "Dimensions": "[{\"instanceId\":\"i-1\"}]",
        });
        with.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        bench.sdk("cms", "DescribeMetricList", with)
    };
    let points_of = |answer: &Value| -> Vec<Value> {
        let text = answer["Datapoints"].as_str().unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(text).expect("JSON inside the string")
    };
    let short = ask(START.0 - 180, START.0 - 60, json!({}));
    assert_eq!((&short["Code"], &short["Success"]), (&json!("200"), &json!(true)));
    let found = points_of(&short);
    let stamps: Vec<_> = found.iter().map(|point| point["timestamp"].as_i64()).collect();
    let after_start = [START.0 - 120, START.0 - 60].map(|at| Some(at * 1000));
    assert_eq!(stamps, after_start, "the start is left out, the end is not");
    assert_eq!((&found[0]["Sum"], &found[0]["instanceId"]), (&json!(2.0), &json!("i-1")));
    assert_eq!(found[0]["userId"], ACCOUNT);
    let both = json!({ "Dimensions": "[{\"instanceId\":\"i-1\"},{\"instanceId\":\"i-2\"}]" });
    assert_eq!(points_of(&ask(START.0 - 60, START.0, both)).len(), 2);

    let first = ask(START.0 - 86_400, START.0, json!({ "Length": "1000" }));
    let token = first["NextToken"].clone();
    let rest = ask(START.0 - 86_400, START.0, json!({ "Length": "1000", "NextToken": token }));
    assert_eq!((points_of(&first).len(), points_of(&rest).len()), (1000, 440));
    assert_eq!(rest.get("NextToken"), None);
    assert_eq!(refused(&ask(0, 60, json!({ "Length": "1441" }))).0, "ParameterInvalid");

    let (from, to) = (START.0 - 35 * 86_400, START.0 - 30 * 86_400);
    let oldest = points_of(&ask(from, to, json!({ "Length": "1440" })))[0]["timestamp"].clone();
    assert_eq!(oldest, (START.0 - 31 * 86_400) * 1000, "kept for 31 days");
    let coarse = points_of(&ask(from, to, json!({ "Period": "300", "Length": "1440" })));
    assert_eq!(coarse[0]["timestamp"], (from + 300) * 1000);
    let five = coarse[0]["Maximum"].as_f64().zip(coarse[0]["Minimum"].as_f64());
    assert_eq!(five.map(|(high, low)| high - low), Some(4.0));
    let last = json!({ "Namespace": "acs_shop", "MetricName": "Requests" });
    let last = bench.sdk("cms", "DescribeMetricLast", last);
    assert_eq!(points_of(&last).len(), 2, "the newest of each");

    bench.cloud.quota(Some(1));
    points_of(&ask(START.0 - 60, START.0, json!({})));
    let (code, _) = (ask(START.0 - 60, START.0, json!({})), ());
    assert!(refused(&code).0.starts_with("Throttling"));
}

#[test]
fn a_role_gives_a_session_of_its_account_that_ends() {
    let bench = Bench::new();
    bench.cloud.create_role(ROLE, Some("sesame"));
    let new = NewScalingGroup::new(REGION, "theirs", 0, 3, 1);
    bench.cloud.create_group_in("2000000000000002", &new);
    let assume = |external: Option<&str>| {
        let with = json!({ "RoleArn": ROLE, "RoleSessionName": "neap", "DurationSeconds": 900,
                           "ExternalId": external });
        bench.sdk("sts", "AssumeRole", with)
    };
    assert_eq!(refused(&assume(None)), ("NoPermission", 403));
    let session = assume(Some("sesame"));
    let of = |name: &str| session["Credentials"][name].as_str().expect("credentials").to_owned();
    assert_eq!(of("Expiration"), "2026-03-02T00:15:00Z");
    let (id, secret, token) = (of("AccessKeyId"), of("AccessKeySecret"), of("SecurityToken"));
    let groups = |key: &[&str]| {
        let with = json!({ "RegionId": REGION });
        aliyun_as(key, &bench.cloud.url(), REGION, "ess", "DescribeScalingGroups", &with)
    };
    let theirs = groups(&[&id, &secret, &token]);
    assert_eq!(theirs["ScalingGroups"][0]["ScalingGroupName"], "theirs");
    let ours = groups(&[KEY, SECRET]);
    assert_eq!(ours["TotalCount"], 0);
    let mismatch = groups(&[&id, &secret, "another"]);
    assert_eq!(refused(&mismatch).0, "InvalidSecurityToken.MismatchWithAccessKey");
    bench.cloud.allow(ROLE, &["ess:Modify*"]);
    assert_eq!(refused(&groups(&[&id, &secret, &token])), ("Forbidden.RAM", 403));
    bench.forward(900);
    assert_eq!(refused(&groups(&[&id, &secret, &token])).0, "InvalidSecurityToken.Expired");
    let identity = bench.sdk("sts", "GetCallerIdentity", json!({}));
    assert_eq!(identity["AccountId"], ACCOUNT);
}

#[test]
fn roles_are_assumed_in_the_older_way_and_by_tokens_of_others() {
    let bench = Bench::new();
    bench.cloud.create_role(ROLE, None);
    let none = BTreeMap::new();
    let get = |query: &BTreeMap<&str, String>| {
        let encoded = |text: &str| {
            text.replace(':', "%3A").replace('/', "%2F").replace('+', "%2B").replace('=', "%3D")
        };
        let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", encoded(v))).collect();
        bench.plain(hyper::Method::GET, &format!("/?{}", pairs.join("&")), &none, String::new()).1
    };
    let mut query = BTreeMap::from(
        [
            ("Action", "AssumeRole"),
            ("Format", "JSON"),
            ("Version", "2015-04-01"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "neap"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", "one"),
            ("Timestamp", "2026-03-02T00:00:00Z"),
            ("AccessKeyId", KEY),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let question = json!({ "sign": "v1", "method": "GET", "query": query, "secret": SECRET });
    let signature = official_signature(&question).as_str().expect("a signature").to_owned();
    query.insert("Signature", signature.clone());
    query.insert("RoleSessionName", "other".into());
    assert_eq!(get(&query)["Code"], "SignatureDoesNotMatch");
    query.insert("RoleSessionName", "neap".into());
    assert!(get(&query)["Credentials"]["SecurityToken"].is_string());
    assert_eq!(get(&query)["Code"], "SignatureNonceUsed");

    bench.cloud.oidc_token("right");
    let mut query = BTreeMap::from(
        [
            ("Action", "AssumeRoleWithOIDC"),
            ("Version", "2015-04-01"),
            ("RoleArn", ROLE),
            ("OIDCProviderArn", "acs:ram::2000000000000002:oidc-provider/ack"),
            ("OIDCToken", "wrong"),
            ("RoleSessionName", "neap"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    assert_eq!(get(&query)["Code"], "AuthenticationFail.OIDCToken.Invalid");
    query.insert("OIDCToken", "right".into());
    assert!(get(&query)["Credentials"]["SecurityToken"].is_string());
}

#[test]
fn a_machine_is_told_its_credentials() {
    let bench = Bench::new();
    bench.cloud.instance_role(Some("neap"), true);
    let path = "/latest/meta-data/ram/security-credentials/";
    let ask = |method: &str, path: &str, header: (&str, &str)| {
        let headers = BTreeMap::from([(header.0.to_owned(), header.1.to_owned())]);
        bench.plain(method.parse().expect("a method"), path, &headers, String::new())
    };
    let (bare, _) = ask("GET", path, ("accept", "*/*"));
    assert_eq!(bare.status, 403, "hardened");
    let ttl = ("X-aliyun-ecs-metadata-token-ttl-seconds", "60");
    let token = ask("PUT", "/latest/api/token", ttl).0.body;
    let token = String::from_utf8(token.to_vec()).expect("text");
    let with = ("X-aliyun-ecs-metadata-token", token.as_str());
    assert_eq!(ask("GET", path, with).0.body, "neap");
    let (_, told) = ask("GET", &format!("{path}neap"), with);
    assert_eq!(told["Code"], "Success");
    let key = ["AccessKeyId", "AccessKeySecret", "SecurityToken"].map(|f| told[f].as_str());
    let key = key.map(|part| part.expect("credentials"));
    let with_role = json!({ "RegionId": REGION });
    let url = bench.cloud.url();
    let groups = aliyun_as(&key, &url, REGION, "ess", "DescribeScalingGroups", &with_role);
    assert_eq!(groups["TotalCount"], 0);
    bench.forward(60);
    assert_eq!(ask("GET", path, with).0.status, 403);
    bench.cloud.instance_role(Some("neap"), false);
    assert_eq!(ask("GET", path, ("accept", "*/*")).0.body, "neap");
}

#[test]
fn a_request_that_is_not_signed_right_is_refused() {
    let bench = Bench::new();
    let code = |(answer, said): (Answer, Value)| {
        let fields = ["RequestId", "HostId", "Message", "Recommend"];
        let code = said["Code"].as_str().map(str::to_owned);
        assert!(code.is_none() || fields.iter().all(|field| said[*field].is_string()), "{said}");
        (answer.status.as_u16(), code.unwrap_or_default())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let (right, said) = bench.raw(SECRET, |_| {});
    assert_eq!((right.status.as_u16(), &said["TotalCount"]), (200, &json!(0)));
    assert_eq!(right.headers["date"], "Mon, 02 Mar 2026 00:00:00 GMT");
    assert_eq!(code(bench.raw("another secret", |_| {})), is(403, "SignatureDoesNotMatch"));
    let changed = bench.raw(SECRET, |raw| drop(raw.after.insert("RegionId".into(), "x".into())));
    assert_eq!(code(changed), is(403, "SignatureDoesNotMatch"));
    for header in ["host", "x-acs-date", "x-acs-action", "content-type"] {
        let unsigned = bench.raw(SECRET, |raw| {
            raw.headers.insert("content-type".into(), FORM.into());
            raw.drop_signed = Some(header.into());
        });
        assert_eq!(code(unsigned), is(400, "IncompleteSignature"), "{header}");
    }
    let extra = bench.raw(SECRET, |raw| {
        raw.headers.insert("x-acs-security-token".into(), "smuggled".into());
        raw.drop_signed = Some("x-acs-security-token".into());
    });
    assert_eq!(code(extra), is(400, "IncompleteSignature"));
    let nonce =
        |raw: &mut Raw| drop(raw.headers.insert("x-acs-signature-nonce".into(), "n".into()));
    assert_eq!(code(bench.raw(SECRET, nonce)).0, 200);
    assert_eq!(code(bench.raw(SECRET, nonce)), is(400, "SignatureNonceUsed"));
    let unknown = bench.raw(SECRET, |raw| drop(raw.query.insert("RegionID".into(), "x".into())));
    assert_eq!(code(unknown), is(400, "InvalidParameter"));
    let action =
        bench.raw(SECRET, |raw| drop(raw.headers.insert("x-acs-action".into(), "No".into())));
    assert_eq!(code(action), is(404, "InvalidAction.NotFound"));

    let at = |date: &'static str| {
        bench.raw(SECRET, |raw| drop(raw.headers.insert("x-acs-date".into(), date.into())))
    };
    assert_eq!(code(at("2026-03-02T00:15:00Z")).0, 200);
    assert_eq!(code(at("2026-03-02T00:15:01Z")), is(400, "InvalidTimeStamp.Expired"));
    assert_eq!(code(at("2026-03-01T23:44:59Z")), is(400, "InvalidTimeStamp.Expired"));
    bench.cloud.clock_off_by(3600);
    let off = bench.raw(SECRET, |_| {});
    assert_eq!(off.0.headers["date"], "Mon, 02 Mar 2026 01:00:00 GMT");
    assert_eq!(code(off), is(400, "InvalidTimeStamp.Expired"));
    bench.cloud.clock_off_by(0);

    let keys = |key: &str| {
        let with = json!({ "RegionId": REGION });
        let url = bench.cloud.url();
        aliyun_as(&[key, SECRET], &url, REGION, "ess", "DescribeScalingGroups", &with)
    };
    assert_eq!(refused(&keys("LTAInobody")), ("InvalidAccessKeyId.NotFound", 404));
    bench.cloud.allow("LTAIreader", &["ecs:*", "ess:DescribeScalingInstances"]);
    assert_eq!(refused(&keys("LTAIreader")), ("Forbidden.RAM", 403));
    bench.cloud.allow("LTAIreader", &["ess:Describe*"]);
    assert_eq!(keys("LTAIreader")["TotalCount"], 0);
}

#[test]
fn faults_strike_and_answers_can_be_spoilt() {
    let bench = Bench::with_group(0, 10, Some(2));
    let order = || bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 3 }));
    let on = |fault: Fault| {
        bench.cloud.inject(Rule::on("ModifyScalingGroup", fault).of_group("shop").times(1));
    };
    on(Fault::Throttled);
    assert!(refused(&order()).0.starts_with("Throttling"));
    on(Fault::Broken);
    assert_eq!(refused(&order()), ("InternalError", 500));
    on(Fault::Denied);
    assert_eq!(refused(&order()), ("Forbidden.RAM", 403));
    on(Fault::answer(502, "text/html", "<html>Bad Gateway</html>"));
    order();
    let last = bench.cloud.calls().pop().expect("a call");
    assert_eq!((last.fault, last.status, last.effect), (Some("instead"), Some(502), false));
    assert_eq!(bench.cloud.desired("shop"), 2, "none of these had an effect");
    on(Fault::rewrite(|_| br#"{"RequestId":"spoilt"}"#.to_vec()));
    assert_eq!(order()["RequestId"], "spoilt");
    assert_eq!(bench.cloud.desired("shop"), 3);
    bench.cloud.inject(Rule::any(Fault::Denied).of_group("other"));
    assert_eq!(
        bench.ess("ModifyScalingGroup", json!({ "DesiredCapacity": 4 })).get("refused"),
        None
    );
    assert_eq!(bench.cloud.count("ModifyScalingGroup"), 6);
}
