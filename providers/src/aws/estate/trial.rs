//! Tries the calls that machines and parts are read by, each once, with the smallest page.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::types::Filter;
use fleet::{AccountId, Fault, Region};
use roxmltree::Document;
use serde_json::json;

use super::super::access::{Access, Seat};
use super::super::thin::Service;
use super::super::trial::{Outcomes, outcome};
use super::super::xml;
use super::alarms::{DESCRIBE_ALARMS, LIST_METRICS};
use super::balancing::{
    DESCRIBE_BALANCERS, DESCRIBE_TAGS, DESCRIBE_TARGET_GROUPS, DESCRIBE_TARGET_HEALTH,
};
use super::databases::DESCRIBE_DATABASES;
use super::instances::DESCRIBE_SPOT;
use super::parts::{DESCRIBE_ADDRESSES, DESCRIBE_IMAGES, DESCRIBE_SNAPSHOTS, DESCRIBE_VOLUMES};
use super::prices::GET_PRODUCTS;
use super::switch::{CREATE_TAGS, DELETE_TAGS, START_INSTANCES, STOP_INSTANCES};
use super::{obeyed, prices};
use crate::call::Call;
use crate::{Deadline, Outcome, Untried};

pub(in super::super) use super::instances::DESCRIBE_ATTRIBUTE;
pub(in super::super) use super::types::DESCRIBE_TYPES;

/// The calls that EC2 rehearses: stop, start, mark, take the mark away.
pub(in super::super) const SWITCH: (Call, Call, Call, Call) =
    (STOP_INSTANCES, START_INSTANCES, CREATE_TAGS, DELETE_TAGS);

/// What came of each.
pub(in super::super) async fn outcomes(seat: &Seat, deadline: Deadline) -> Outcomes {
    let (parts, watched, balancing) = tokio::join!(
        Box::pin(parts(seat, deadline)),
        Box::pin(watched(seat, deadline)),
        Box::pin(balancing(seat, deadline)),
    );
    parts.into_iter().chain(watched).chain(balancing).collect()
}

/// EC2 says of a rehearsal whether it would have answered.
async fn parts(seat: &Seat, deadline: Deadline) -> Outcomes {
    let ec2 = &seat.ec2_once;
    // Who takes no rehearsal answers with one type rather than with all.
    let usual = Filter::builder().name("instance-type").values("t3.micro").build();
    macro_rules! rehearsed {
        ($call:expr, $request:expr) => {{
            let request = $request.dry_run(true);
            let send = async { obeyed($call, request.send().await, true) };
            seat.gated($call, deadline, Box::pin(send))
        }};
    }
    let (addresses, images, snapshots, spot, volumes, types) = tokio::join!(
        rehearsed!(DESCRIBE_ADDRESSES, ec2.describe_addresses()),
        rehearsed!(DESCRIBE_IMAGES, ec2.describe_images().owners("self")),
        rehearsed!(DESCRIBE_SNAPSHOTS, ec2.describe_snapshots().owner_ids("self")),
        rehearsed!(DESCRIBE_SPOT, ec2.describe_spot_instance_requests()),
        rehearsed!(DESCRIBE_VOLUMES, ec2.describe_volumes()),
        rehearsed!(DESCRIBE_TYPES, ec2.describe_instance_types().filters(usual)),
    );
    BTreeMap::from([
        (DESCRIBE_ADDRESSES.permission(), outcome(addresses)),
        (DESCRIBE_IMAGES.permission(), outcome(images)),
        (DESCRIBE_SNAPSHOTS.permission(), outcome(snapshots)),
        (DESCRIBE_SPOT.permission(), outcome(spot)),
        (DESCRIBE_VOLUMES.permission(), outcome(volumes)),
        (DESCRIBE_TYPES.permission(), outcome(types)),
    ])
}

/// Alarms, metrics and databases.
async fn watched(seat: &Seat, deadline: Deadline) -> Outcomes {
    let metrics = seat.cloudwatch.list_metrics().namespace("AWS/EC2");
    // The least that RDS takes. [RDS API reference]
    let few = [("MaxRecords".to_owned(), "20".to_owned())];
    let (alarms, metrics, databases) = tokio::join!(
        seat.call(
            DESCRIBE_ALARMS,
            deadline,
            seat.cloudwatch.describe_alarms().max_records(1).send()
        ),
        seat.call(LIST_METRICS, deadline, metrics.metric_name("CPUUtilization").send()),
        seat.query(DESCRIBE_DATABASES, Service::Rds, &few, deadline),
    );
    BTreeMap::from([
        (DESCRIBE_ALARMS.permission(), outcome(alarms)),
        (LIST_METRICS.permission(), outcome(metrics)),
        (DESCRIBE_DATABASES.permission(), outcome(databases)),
    ])
}

/// Load balancers, and of the first what takes a name.
async fn balancing(seat: &Seat, deadline: Deadline) -> Outcomes {
    let one = [("PageSize".to_owned(), "1".to_owned())];
    let service = Service::LoadBalancing;
    let (balancers, groups) = tokio::join!(
        seat.query(DESCRIBE_BALANCERS, service, &one, deadline),
        seat.query(DESCRIBE_TARGET_GROUPS, service, &one, deadline),
    );
    let first = |answer: &Result<String, Fault>, list: &str, name: &str| {
        let page = Document::parse(answer.as_ref().ok()?).ok()?;
        let found = xml::listed(&page, list).next()?;
        xml::text(found, name).map(str::to_owned)
    };
    let balancer = first(&balancers, "LoadBalancers", "LoadBalancerArn");
    let group = first(&groups, "TargetGroups", "TargetGroupArn");
    let named = async |call: Call, field: &str, arn: Option<String>| match arn {
        None => Outcome::Untried(Untried::NoBalancer),
        Some(arn) => outcome(seat.query(call, service, &[(field.to_owned(), arn)], deadline).await),
    };
    BTreeMap::from([
        (DESCRIBE_TAGS.permission(), named(DESCRIBE_TAGS, "ResourceArns.member.1", balancer).await),
        (
            DESCRIBE_TARGET_HEALTH.permission(),
            named(DESCRIBE_TARGET_HEALTH, "TargetGroupArn", group).await,
        ),
        (DESCRIBE_BALANCERS.permission(), outcome(balancers)),
        (DESCRIBE_TARGET_GROUPS.permission(), outcome(groups)),
    ])
}

/// The price list, asked for one product.
pub(in super::super) async fn prices(
    access: &Arc<Access>,
    account: &AccountId,
    region: &Region,
    deadline: Deadline,
) -> Outcomes {
    let asked = json!({ "ServiceCode": "AmazonEC2", "MaxResults": 1, "FormatVersion": "aws_v1" });
    let answer = async {
        let seat = prices::seat(access, account, region).await?;
        seat.json(GET_PRODUCTS, Service::Pricing, prices::TARGET, &asked, deadline).await
    };
    let answer = GET_PRODUCTS.by(deadline, answer).await;
    BTreeMap::from([(GET_PRODUCTS.permission(), outcome(answer))])
}
