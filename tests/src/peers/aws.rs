//! Direct calls to the cloud, past the program under test: set-up, somebody else's hand, and demand.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use fleet::Timestamp;
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

use super::http::{self, Answer, percent_encoded};

/// Marks a call of the tests themselves, so that the proxy neither counts nor spoils it.
pub(crate) const HARNESS_HEADER: &str = "x-neap-harness";

/// A client of one region that signs nothing: the peer looks at the scope alone.
#[derive(Clone, Debug)]
pub struct Aws {
    to: SocketAddr,
    region: String,
    key: String,
}

/// A value of a metric, at the start of its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The START of the interval.
    pub start: Timestamp,
    /// The metric's `Sum` in the interval.
    pub value: f64,
}

/// An Auto Scaling group to make.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// Its minimum size.
    pub min: u32,
    /// Its maximum size.
    pub max: u32,
    /// Its first size.
    pub desired: u32,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl NewGroup {
    /// A group without tags.
    pub fn new(name: &str, min: u32, max: u32, desired: u32) -> NewGroup {
        NewGroup { name: name.into(), min, max, desired, tags: Vec::new() }
    }
}

impl Aws {
    /// A client of `region` at `to`, in the default account.
    pub fn at(to: SocketAddr, region: &str) -> Aws {
        Aws { to, region: region.into(), key: "test".into() }
    }

    /// The same in another account, through a role there.
    ///
    /// # Panics
    /// Where the peer refuses.
    pub fn assuming(&self, role_arn: &str) -> Aws {
        let with = [("RoleArn", role_arn), ("RoleSessionName", "tests")];
        let answer = self.query("sts", "2011-06-15", "AssumeRole", &with);
        let text = answer.unwrap_or_else(|error| panic!("AssumeRole: {error:#}"));
        let document = roxmltree::Document::parse(&text).expect("the peer answers in XML");
        let node = document.descendants().find(|node| node.tag_name().name() == "AccessKeyId");
        let key = node.and_then(|node| node.text()).expect("a key").to_owned();
        Aws { key, ..self.clone() }
    }

    /// Makes a group of small machines, with a launch configuration of its own.
    ///
    /// # Panics
    /// As all the following: where the peer refuses.
    pub fn create_group(&self, group: &NewGroup) {
        let launch = format!("{}-launch", group.name);
        self.autoscaling(
            "CreateLaunchConfiguration",
            &[
                ("LaunchConfigurationName", &launch),
                ("ImageId", "ami-12c6146b"),
                ("InstanceType", "t3.micro"),
            ],
        );
        let mut parameters = vec![
            ("AutoScalingGroupName".to_owned(), group.name.clone()),
            ("LaunchConfigurationName".to_owned(), launch.clone()),
            ("MinSize".to_owned(), group.min.to_string()),
            ("MaxSize".to_owned(), group.max.to_string()),
            ("DesiredCapacity".to_owned(), group.desired.to_string()),
            ("AvailabilityZones.member.1".to_owned(), format!("{}a", self.region)),
        ];
        for (n, (key, value)) in (1..).zip(&group.tags) {
            let field = |name: &str| format!("Tags.member.{n}.{name}");
            parameters.push((field("Key"), key.clone()));
            parameters.push((field("Value"), value.clone()));
            parameters.push((field("PropagateAtLaunch"), "false".to_owned()));
            parameters.push((field("ResourceId"), group.name.clone()));
            parameters.push((field("ResourceType"), "auto-scaling-group".to_owned()));
        }
        let borrowed: Vec<_> = parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.autoscaling("CreateAutoScalingGroup", &borrowed);
    }

    /// Deletes a group with all its members.
    pub fn delete_group(&self, group: &str) {
        let named = [("AutoScalingGroupName", group), ("ForceDelete", "true")];
        self.autoscaling("DeleteAutoScalingGroup", &named);
        let launch = format!("{group}-launch");
        self.autoscaling("DeleteLaunchConfiguration", &[("LaunchConfigurationName", &launch)]);
    }

    /// Sets a group's desired capacity.
    pub fn set_desired(&self, group: &str, desired: u32) {
        let desired = desired.to_string();
        let named = [("AutoScalingGroupName", group), ("DesiredCapacity", desired.as_str())];
        self.autoscaling("SetDesiredCapacity", &named);
    }

    /// The desired capacity of a group.
    pub fn desired(&self, group: &str) -> u32 {
        self.group_number(group, "DesiredCapacity")
    }

    /// A number of a group, such as `MinSize`.
    pub fn group_number(&self, group: &str, field: &str) -> u32 {
        let named = [("AutoScalingGroupNames.member.1", group)];
        let text = self.autoscaling("DescribeAutoScalingGroups", &named);
        let document = roxmltree::Document::parse(&text).expect("the peer answers in XML");
        let node = document.descendants().find(|node| node.tag_name().name() == field);
        let found = node.and_then(|node| node.text()).unwrap_or_else(|| panic!("no {field}"));
        found.parse().unwrap_or_else(|_| panic!("{field} is {found}"))
    }

    /// An Auto Scaling call; the answer's XML.
    pub fn autoscaling(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let answer = self.query("autoscaling", "2011-01-01", action, parameters);
        answer.unwrap_or_else(|error| panic!("{action}: {error:#}"))
    }

    /// A call in the query protocol.
    ///
    /// # Errors
    /// Where the peer does not answer, or refuses.
    pub fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let mut body = format!("Action={action}&Version={version}");
        for (key, value) in parameters {
            body.push_str(&format!("&{key}={}", percent_encoded(value)));
        }
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let answer = self.send(service, &[("content-type", kind)], body)?;
        let text = String::from_utf8(answer.body.to_vec()).context("not UTF-8")?;
        if !answer.status.is_success() {
            bail!("{}: {text}", answer.status);
        }
        Ok(text)
    }

    /// Puts values of a metric, in batches as large as the cloud takes.
    pub fn put_metric(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        points: &[Point],
    ) {
        let dimensions: Vec<Value> =
            dimensions.iter().map(|(n, v)| json!({ "Name": n, "Value": v })).collect();
        for batch in points.chunks(1000) {
            let data: Vec<Value> = batch
                .iter()
                .map(|point| {
                    json!({
                        "MetricName": metric,
                        "Dimensions": dimensions,
                        "Timestamp": point.start.0,
                        "Value": point.value,
                    })
                })
                .collect();
            let body = json!({ "Namespace": namespace, "MetricData": data });
            let put = self.cloudwatch("PutMetricData", &body);
            put.unwrap_or_else(|error| panic!("PutMetricData: {error:#}"));
        }
    }

    /// A CloudWatch call in awsJson.
    ///
    /// # Errors
    /// Where the peer does not answer, or refuses.
    pub fn cloudwatch(&self, action: &str, body: &Value) -> Result<Value> {
        self.json("monitoring", &format!("GraniteServiceVersion20100801.{action}"), body)
    }

    /// A call in awsJson: the target is the API's name and the operation.
    ///
    /// # Errors
    /// Where the peer does not answer, or refuses.
    pub fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        let answer = self.send(service, &headers, body.to_string())?;
        if !answer.status.is_success() {
            bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    fn send(&self, service: &str, extra: &[(&'static str, &str)], body: String) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        let scope = format!("{}/20260101/{}/{service}/aws4_request", self.key, self.region);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        headers.insert("authorization", authorization.parse()?);
        headers.insert(HARNESS_HEADER, "1".parse()?);
        for (name, value) in extra {
            headers.insert(*name, value.parse()?);
        }
        let sent = http::send(self.to, Method::POST, "/", headers, Bytes::from(body));
        http::blocking(sent)
    }
}
