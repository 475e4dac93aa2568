//! Calls over real connections that end in every way they can.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleet::Change;
use fleet::{AccountId, Fault, FaultKind, GroupId, GroupRef, ProviderName, Region, Units};

use super::access::Access;
use super::{Aws, RoleAccount, RoleArn, Settings};
use crate::Timeouts;
use crate::{Deadline, Inventory, Now, Provider, Timestamp};

#[derive(Debug)]
struct Standing;

impl Now for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(1_772_452_800)
    }
}

/// What becomes of a request once it has been read.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The connection ends.
    Cut,
    /// Nothing is ever said.
    Silence,
    /// An answer that breaks off in the middle.
    Half,
    /// An answer.
    Say(u16, &'static str),
}

/// A peer that reads whole requests and treats each alike; the requests' bodies are kept.
struct Peer {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn that(then: impl Fn(&str) -> Then + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, then) = (Arc::clone(&heard), Arc::new(then));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, then) = (Arc::clone(&kept), Arc::clone(&then));
                std::thread::spawn(move || serve(stream, &kept, &*then));
            }
        });
        Peer { at, heard }
    }

    fn heard(&self, action: &str) -> usize {
        let action = format!("Action={action}&");
        self.heard.lock().unwrap().iter().filter(|body| body.starts_with(&action)).count()
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<String>>, then: &dyn Fn(&str) -> Then) {
    while let Some(body) = request(&mut stream) {
        heard.lock().unwrap().push(body.clone());
        match then(&body) {
            Then::Cut => return,
            Then::Silence => std::thread::park_timeout(Duration::from_secs(60)),
            Then::Half => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n<a>");
                return;
            }
            Then::Say(status, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nx-amzn-requestid: r-1\r\ncontent-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut block = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some(body.to_owned());
            }
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(read) => all.extend_from_slice(&block[..read]),
        }
    }
}

fn at(address: SocketAddr, role: Option<RoleAccount>) -> Aws {
    let regions = vec![Region::new("eu-west-1").unwrap()];
    let mut settings = Settings::new(ProviderName::new("aws").unwrap(), regions);
    settings.endpoint_url = Some(format!("http://{address}"));
    settings.accounts.extend(role);
    settings.timeouts = Timeouts { attempt: Duration::from_secs(2), ..Timeouts::default() };
    let credentials = Credentials::new("AKID", "secret", None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    Aws { access: Arc::new(Access::new(settings, Arc::new(Standing), Some(credentials))) }
}

fn group() -> GroupId {
    let arn = "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:\
               0a-1b:autoScalingGroupName/web";
    GroupId {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("default").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        id: arn.to_owned(),
    }
}

fn reference(name: &str) -> GroupRef {
    let GroupId { provider, account, region, .. } = group();
    GroupRef { provider, account, region, name: name.to_owned() }
}

async fn set(aws: &Aws, change: Change, within: Duration) -> Result<(), Fault> {
    aws.writer(&group()).set(change, "cycle/1", Deadline::within(within)).await
}

const DESIRED: Change = Change::Desired { from: Units(2), to: Units(5) };
const MINIMUM: Change = Change::Minimum { from: Units(2), to: Units(5) };

macro_rules! xml_error {
    ($code:literal, $message:literal) => {
        concat!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>",
            $code,
            "</Code><Message>",
            $message,
            "</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        )
    };
}

const DONE: &str = "<SetDesiredCapacityResponse><ResponseMetadata><RequestId>r-2</RequestId>\
                    </ResponseMetadata></SetDesiredCapacityResponse>";

#[tokio::test]
async fn a_write_is_sent_once_whatever_comes_back() {
    let table = [
        (Then::Say(200, DONE), "done"),
        (Then::Cut, "unconfirmed"),
        (Then::Half, "unconfirmed"),
        (Then::Silence, "unconfirmed"),
        (Then::Say(500, "<html>oops</html>"), "unconfirmed"),
        (Then::Say(503, xml_error!("ServiceUnavailable", "later")), "unconfirmed"),
        (Then::Say(400, xml_error!("Throttling", "Rate exceeded")), "throttled"),
        (Then::Say(400, xml_error!("ScalingActivityInProgress", "busy")), "throttled"),
        (Then::Say(403, xml_error!("AccessDenied", "no")), "denied"),
        (Then::Say(403, xml_error!("ExpiredToken", "old")), "denied"),
        (Then::Say(400, xml_error!("ValidationError", "Group web not found")), "missing"),
        (Then::Say(400, xml_error!("ValidationError", "above max value")), "refused"),
    ];
    for (then, expected) in table {
        let peer = Peer::that(move |_| then);
        let aws = at(peer.at, None);
        let answer = set(&aws, DESIRED, Duration::from_secs(1)).await;
        let found = answer.as_ref().map_or_else(|fault| fault.kind.word(), |()| "done");
        assert_eq!(found, expected, "{then:?}: {answer:?}");
        assert_eq!(peer.heard("SetDesiredCapacity"), 1, "{then:?}: sent once");
        if let (Err(fault), Then::Say(400 | 403 | 503, _)) = (&answer, then) {
            assert_eq!(fault.request_id.as_deref(), Some("r-1"));
        }
    }
}

#[tokio::test]
async fn a_write_names_one_group_and_one_number() {
    let peer = Peer::that(|_| Then::Say(200, DONE));
    let aws = at(peer.at, None);
    set(&aws, DESIRED, Duration::from_secs(5)).await.unwrap();
    set(&aws, MINIMUM, Duration::from_secs(5)).await.unwrap();
    let expected = [
        "Action=SetDesiredCapacity&Version=2011-01-01&AutoScalingGroupName=web&DesiredCapacity=5\
         &HonorCooldown=false",
        "Action=UpdateAutoScalingGroup&Version=2011-01-01&AutoScalingGroupName=web&MinSize=5",
    ];
    assert_eq!(*peer.heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let aws = at(closed, None);
    let fault = set(&aws, DESIRED, Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
}

#[tokio::test]
async fn a_role_that_may_not_be_taken_is_denied_and_nothing_is_sent() {
    let denied = xml_error!(
        "AccessDenied",
        "User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: r"
    );
    let table = [
        (Then::Say(403, denied), "denied, permission `sts:AssumeRole` is missing"),
        (Then::Say(403, xml_error!("ExpiredToken", "old")), "denied"),
    ];
    for (then, expected) in table {
        let peer = Peer::that(move |_| then);
        let role_arn = RoleArn::parse("arn:aws:iam::111122223333:role/neap").unwrap();
        let external_id = Some("shared-secret".to_owned());
        let aws = at(peer.at, Some(RoleAccount { role_arn, external_id }));
        let fault = set(&aws, DESIRED, Duration::from_secs(30)).await.unwrap_err();
        let found = fault.to_string();
        assert!(found.contains(&format!("`SetDesiredCapacity` {expected}")), "{then:?}: {found}");
        assert_eq!(peer.heard("SetDesiredCapacity"), 0, "{then:?}");
        let heard = peer.heard.lock().unwrap().clone();
        let first = heard.first().cloned().unwrap_or_default();
        for part in ["Action=AssumeRole&", "&RoleSessionName=neap", "&ExternalId=shared-secret"] {
            assert!(first.contains(part), "{part} in {first}");
        }
    }
}

#[tokio::test]
async fn a_silent_region_is_back_by_the_deadline() {
    let peer = Peer::that(|_| Then::Silence);
    let aws = at(peer.at, None);
    let deadline = Deadline::within(Duration::from_millis(300));
    let answers = aws.groups(&[reference("web"), reference("api")], deadline).await;
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind, FaultKind::TimedOut);
    }
    let fault = aws.group(&group(), Deadline::within(Duration::from_millis(300))).await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::TimedOut);
}

const GROUP: &str = "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult>\
    <AutoScalingGroups><member>\
    <AutoScalingGroupName>web</AutoScalingGroupName>\
    <AutoScalingGroupARN>arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0a-1b:\
autoScalingGroupName/web</AutoScalingGroupARN>\
    <MinSize>1</MinSize><MaxSize>9</MaxSize><DesiredCapacity>3</DesiredCapacity>\
    <Instances/></member></AutoScalingGroups>\
    </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>";

/// A peer that tells of the group and of nothing else.
fn groups_alone() -> Peer {
    Peer::that(|body| match body {
        b if b.starts_with("Action=DescribeAutoScalingGroups&") => Then::Say(200, GROUP),
        b if b.starts_with("Action=DescribeInstanceRefreshes&") => Then::Say(500, "<html>?</html>"),
        _ => Then::Say(403, xml_error!("AccessDenied", "no")),
    })
}

#[tokio::test]
async fn what_cannot_be_read_besides_is_shown_as_a_restraint() {
    let peer = groups_alone();
    let aws = at(peer.at, None);
    let state = aws.group(&group(), Deadline::within(Duration::from_secs(30))).await.unwrap();
    assert_eq!(state.desired, Units(3));
    assert!(state.policies.iter().all(|policy| policy.enabled && policy.scales_in));
    let names: Vec<&str> = state.policies.iter().map(|policy| policy.name.as_str()).collect();
    let expected = [
        "scaling policies unknown: `DescribePolicies` denied, permission \
         `autoscaling:DescribePolicies` is missing: AccessDenied: no (request `r-1`)",
        "scheduled actions unknown: `DescribeScheduledActions` denied, permission \
         `autoscaling:DescribeScheduledActions` is missing: AccessDenied: no (request `r-1`)",
    ];
    assert_eq!(names, expected);
    let refresh = state.refresh.clone().unwrap();
    let expected = "unknown: `DescribeInstanceRefreshes` unreachable: HTTP 500 without a code";
    assert!(refresh.starts_with(expected), "{refresh}");
    let again = aws.group(&group(), Deadline::within(Duration::from_secs(30))).await.unwrap();
    assert_eq!(again.refresh, state.refresh);
    assert_eq!(peer.heard("DescribeInstanceRefreshes"), 1, "one attempt, then left alone a while");
}

#[tokio::test]
async fn a_group_made_anew_under_the_same_name_is_another() {
    let peer = groups_alone();
    let aws = at(peer.at, None);
    let old = GroupId { id: group().id.replace("0a-1b", "0c-2d"), ..group() };
    let fault = aws.group(&old, Deadline::within(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Missing);
}

#[tokio::test]
async fn an_account_that_is_not_configured_is_refused_without_a_call() {
    let peer = groups_alone();
    let account = AccountId::new("999900001111").unwrap();
    let wanted = [GroupRef { account: account.clone(), ..reference("web") }];
    let deadline = || Deadline::within(Duration::from_secs(5));
    let role_arn = RoleArn::parse("arn:aws:iam::111122223333:role/neap").unwrap();
    let with_role = at(peer.at, Some(RoleAccount { role_arn, external_id: None }));
    let fault = with_role.groups(&wanted, deadline()).await.remove(0).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(fault.detail, "account `999900001111` is not among those of `111122223333`");
    assert_eq!(peer.heard.lock().unwrap().len(), 0);
    // With the SDK's own chain it is the answer that tells.
    let fault = at(peer.at, None).groups(&wanted, deadline()).await.remove(0).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused);
    let detail = "the credentials belong to account `111122223333`, expected `999900001111`";
    assert_eq!(fault.detail, detail);
}
