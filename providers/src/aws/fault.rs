//! What went wrong in a call, sorted by what the caller does next.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_autoscaling::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use fleet::{Fault, FaultKind};

use crate::call::{Call, Effect};

const ASSUME_ROLE: Call = Call::read("sts", "AssumeRole");

impl Call {
    /// Sorts what the SDK reports.
    pub(super) fn failed<E>(self, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let words = chain(error);
        let role = assume_role(error);
        let failure = Failure {
            stage: stage(error),
            status: error.raw_response().map(|response| response.status().as_u16()),
            code: error.code().or(role.and_then(|meta| meta.code())),
            message: error.message().or(role.and_then(|meta| meta.message())),
            words: &words,
        };
        let mut fault = self.sorted(&failure);
        let id = error.request_id().or(role.and_then(|meta| meta.request_id()));
        fault.request_id = id.map(str::to_owned);
        fault
    }

    /// Sorts an answer that came past the SDK: its status, and the code and words of its body.
    pub(super) fn refused_with(
        self,
        status: u16,
        code: Option<&str>,
        message: Option<&str>,
        request_id: Option<String>,
    ) -> Fault {
        let failure =
            Failure { stage: Stage::Answered, status: Some(status), code, message, words: &[] };
        Fault { request_id, ..self.sorted(&failure) }
    }

    /// There were no credentials to sign with.
    pub(super) fn keyless(self, error: &CredentialsError) -> Fault {
        let role = assume_role(error);
        let failure = Failure {
            stage: without_credentials(error).unwrap_or(Stage::Credentials),
            status: None,
            code: role.and_then(|meta| meta.code()),
            message: role.and_then(|meta| meta.message()),
            words: &chain(error),
        };
        self.sorted(&failure)
    }

    /// No answer came to a request that was sent past the SDK.
    pub(super) fn unheard(self, error: reqwest::Error) -> Fault {
        let stage = match (error.is_builder(), error.is_connect()) {
            (true, _) => Stage::Unbuilt,
            (false, true) => Stage::Unsent,
            (false, false) => Stage::Sent,
        };
        // Addresses belong to the configuration, not into every message.
        let error = error.without_url();
        let words = chain(&error);
        self.sorted(&Failure { stage, status: None, code: None, message: None, words: &words })
    }

    fn sorted(self, failure: &Failure<'_>) -> Fault {
        let kind = match failure.stage {
            Stage::Unsent => FaultKind::Unreachable,
            Stage::Unbuilt => FaultKind::Refused,
            Stage::Credentials => {
                FaultKind::Denied { permission: failure.message.and_then(permission_in) }
            }
            Stage::Sent => self.unanswered(),
            Stage::Answered => self.answered(failure),
        };
        self.fault(kind, detail(failure))
    }

    /// Sorts an answer by its code, and by its status where it has none.
    fn answered(self, failure: &Failure<'_>) -> FaultKind {
        let message = failure.message.unwrap_or_default();
        if let Some(kind) = failure.code.and_then(|code| self.by_code(code, message)) {
            return kind;
        }
        match failure.status {
            // Internal errors and gateways' timeouts say nothing about whether it was done.
            Some(408 | 500..) => self.unanswered(),
            Some(400..) if failure.code.is_some() => FaultKind::Refused,
            Some(403 | 401) => FaultKind::Denied { permission: Some(self.permission()) },
            Some(429) => FaultKind::Throttled { retry_after: None },
            Some(400..) => FaultKind::Refused,
            _ if self.effect == Effect::Write => FaultKind::Unconfirmed,
            _ => FaultKind::Unreadable,
        }
    }

    fn by_code(self, code: &str, message: &str) -> Option<FaultKind> {
        // Some services append `Exception` or `Fault`, some do not.
        let bare = code.trim_end_matches("Exception").trim_end_matches("Fault");
        Some(match bare {
            "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "RequestThrottled"
            | "Throttled"
            | "ThrottledException"
            | "SlowDown"
            | "EC2Throttled"
            | "BandwidthLimitExceeded"
            | "TransactionInProgress"
            | "PriorRequestNotComplete" => FaultKind::Throttled { retry_after: None },
            // Refused because something else is being done to the group: nothing has happened,
            // and it will be taken a little later.
            "ResourceContention" | "ScalingActivityInProgress" => {
                FaultKind::Throttled { retry_after: None }
            }
            "AccessDenied"
            | "UnauthorizedOperation"
            | "NotAuthorized"
            | "OptInRequired"
            | "Forbidden" => FaultKind::Denied {
                permission: Some(permission_in(message).unwrap_or_else(|| self.permission())),
            },
            "AuthFailure"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "RequestExpired"
            | "MissingAuthenticationToken"
            | "IncompleteSignature"
            | "InvalidToken"
            | "InvalidAccessKeyId" => FaultKind::Denied { permission: None },
            "InsufficientInstanceCapacity"
            | "InsufficientCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientReservedInstanceCapacity"
            | "InsufficientDBInstanceCapacity"
            | "InsufficientVolumeCapacity"
            | "ReservationCapacityExceeded"
            | "UnfulfillableCapacity" => FaultKind::OutOfCapacity,
            // An id that cannot be one belongs to nothing, either.
            "InvalidInstanceID.Malformed" => FaultKind::Missing,
            _ if bare.ends_with("NotFound") => FaultKind::Missing,
            "ValidationError" if names_missing_group(message) => FaultKind::Missing,
            "RequestTimeout" => self.unanswered(),
            _ => return None,
        })
    }
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The request could not be made: our own error.
    Unbuilt,
    /// There were no credentials to sign it with.
    Credentials,
    /// No connection stood, so nothing was sent.
    Unsent,
    /// Something may have been sent, and no answer came.
    Sent,
    /// An answer came.
    Answered,
}

/// What is known of a failed call, apart from the SDK's types.
struct Failure<'a> {
    stage: Stage,
    status: Option<u16>,
    code: Option<&'a str>,
    message: Option<&'a str>,
    words: &'a [String],
}

fn stage<E>(error: &SdkError<E, HttpResponse>) -> Stage
where
    E: Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => without_credentials(error).unwrap_or(Stage::Unbuilt),
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => without_credentials(error)
            .unwrap_or(if never_connected(error) { Stage::Unsent } else { Stage::Sent }),
        _ => Stage::Answered,
    }
}

/// Where the credentials were not there, nothing was signed and nothing sent: either their source
/// could not be reached, or it said no.
fn without_credentials(error: &(dyn Error + 'static)) -> Option<Stage> {
    let cause = sources(error).find_map(|e| e.downcast_ref::<CredentialsError>())?;
    let said_no = match cause {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            true
        }
        CredentialsError::ProviderTimedOut(_) => false,
        // What was cached of a sign-in is a file: one that is not there is no network's failure.
        _ if SignIn::lacks(cause).is_some() => true,
        _ => match assume_role(cause) {
            Some(meta) => meta.code().is_some_and(denies),
            None => !sources(cause).any(|e| e.is::<ConnectorError>() || e.is::<io::Error>()),
        },
    };
    Some(if said_no { Stage::Credentials } else { Stage::Unsent })
}

/// What STS said to taking a role, where it said anything.
fn assume_role<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ErrorMetadata> {
    sources(error).find_map(|e| {
        let plain = e.downcast_ref::<AssumeRoleError>().map(ProvideErrorMetadata::meta);
        plain.or_else(|| {
            e.downcast_ref::<AssumeRoleWithWebIdentityError>().map(ProvideErrorMetadata::meta)
        })
    })
}

/// Codes that say that a permission or a credential is missing.
fn denies(code: &str) -> bool {
    let denied = |kind| matches!(kind, Some(FaultKind::Denied { .. }));
    denied(ASSUME_ROLE.by_code(code, ""))
}

/// Whether the connection never stood. The SDK keeps this to itself, so it is read from the chain
/// of causes: the connector's own "client error (Connect)", or a refusal, which TCP knows only at
/// connecting. What is not recognised counts as sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|e| {
        let words = e.to_string();
        words == "client error (Connect)"
            // Credentials come before the connection.
            || words.starts_with("identity resolver timed out")
            || e.downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    })
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The words of an error and of what caused it, without repetition.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for error in sources(error) {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push(text);
        }
    }
    words
}

/// How a person at a keyboard signs in to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignIn {
    /// IAM Identity Center.
    Sso,
    /// With the credentials of the console.
    Console,
}

impl SignIn {
    /// Which one is not there any more, or never was. The SDK keeps the kinds of these errors to
    /// itself, so it is read from their words; a sign-in service that could not be reached is none.
    fn lacks(error: &(dyn Error + 'static)) -> Option<SignIn> {
        if sources(error).any(|e| e.is::<ConnectorError>()) {
            return None;
        }
        SignIn::told(&chain(error))
    }

    fn told(words: &[String]) -> Option<SignIn> {
        let says = |what: &str| words.iter().any(|words| words.contains(what));
        match () {
            () if says("SSO token") || says("SSO OIDC") => Some(SignIn::Sso),
            () if says("Login token") => Some(SignIn::Console),
            // Of a profile without a session the SDK names only the file that is not there.
            () if says("/sso/cache/") => Some(SignIn::Sso),
            () if says("/login/cache/") => Some(SignIn::Console),
            // What IAM Identity Center answers to a token that was ended there.
            () if says("UnauthorizedException") => Some(SignIn::Sso),
            () => None,
        }
    }

    fn command(self) -> &'static str {
        match self {
            SignIn::Sso => "aws sso login",
            SignIn::Console => "aws login",
        }
    }
}

/// The profile that the SDK takes.
fn profile() -> String {
    std::env::var("AWS_PROFILE")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

fn detail(failure: &Failure<'_>) -> String {
    let sign_in = SignIn::told(failure.words).filter(|_| failure.stage == Stage::Credentials);
    if let Some(sign_in) = sign_in {
        let (command, why) = (sign_in.command(), failure.words.join(": "));
        return format!("sign in with `{command} --profile {}`: {why}", profile());
    }
    match (failure.code, failure.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => match failure.status {
            Some(status) => format!("HTTP {status} without a code"),
            None => failure.words.join(": "),
        },
    }
}

/// The permission named in AWS's sentence "… is not authorized to perform: `autoscaling:…` on …".
fn permission_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let name = rest.split([' ', ',', '"']).next()?.trim_end_matches('.');
    name.contains(':').then(|| name.to_owned())
}

/// Auto Scaling answers `ValidationError` for a group that is not there, and says so in words.
fn names_missing_group(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("group")
        && (message.contains("not found") || message.contains("does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Call = Call::read("autoscaling", "DescribeAutoScalingGroups");
    const WRITE: Call = Call::write("autoscaling", "SetDesiredCapacity");

    fn kind(call: Call, stage: Stage, status: u16, code: &str, message: &str) -> String {
        let failure = Failure {
            stage,
            status: (status > 0).then_some(status),
            code: (!code.is_empty()).then_some(code),
            message: (!message.is_empty()).then_some(message),
            words: &["dispatch failure".to_owned()],
        };
        call.sorted(&failure).to_string()
    }

    #[test]
    fn answers_are_sorted_by_what_to_do_next() {
        let denied = "User: arn:aws:sts::111122223333:assumed-role/neap/neap is not authorized \
                      to perform: autoscaling:SetDesiredCapacity on resource: web";
        let table = [
            (400, "Throttling", "Rate exceeded", "throttled"),
            (400, "ThrottlingException", "Rate exceeded", "throttled"),
            (503, "RequestLimitExceeded", "Request limit exceeded.", "throttled"),
            (429, "", "", "throttled"),
            (400, "ResourceContention", "You already have a pending update", "throttled"),
            (400, "ScalingActivityInProgress", "Scaling activity in progress", "throttled"),
            (403, "AccessDenied", denied, "denied, permission `autoscaling:SetDesiredCapacity`"),
            (403, "", "", "denied, permission `autoscaling:SetDesiredCapacity`"),
            (403, "ExpiredToken", "The security token is expired", "denied: "),
            (403, "InvalidClientTokenId", "The token is invalid", "denied: "),
            (400, "ValidationError", "AutoScalingGroup name not found - null", "missing"),
            (400, "ValidationError", "New SetDesiredCapacity value 9 is above max", "refused"),
            (400, "SomethingNew", "no", "refused"),
            (400, "InsufficientInstanceCapacity", "none", "out of capacity"),
            (400, "InsufficientDBInstanceCapacity", "none", "out of capacity"),
            (400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", "missing"),
            (404, "DBInstanceNotFoundFault", "DBInstance db not found.", "missing"),
            (400, "IncorrectInstanceState", "not in a state", "refused"),
            (400, "InvalidDBInstanceState", "not available", "refused"),
            (400, "OperationNotPermitted", "disableApiStop", "refused"),
            (413, "", "", "refused"),
            (500, "InternalFailure", "oops", "unconfirmed"),
            (503, "ServiceUnavailable", "oops", "unconfirmed"),
            (502, "", "", "unconfirmed"),
            (200, "", "", "unconfirmed"),
        ];
        for (status, code, message, expected) in table {
            let found = kind(WRITE, Stage::Answered, status, code, message);
            let expected = format!("`SetDesiredCapacity` {expected}");
            assert!(found.starts_with(&expected), "{status} {code}: {found}");
        }
    }

    #[test]
    fn a_read_that_failed_is_repeated_a_write_is_looked_at() {
        let both = |stage, status, code: &str| {
            let word = |call: Call| {
                let text = kind(call, stage, status, code, "");
                text.split('`').nth(2).unwrap().split(':').next().unwrap().trim().to_owned()
            };
            (word(READ), word(WRITE))
        };
        let same = |word: &str| (word.to_owned(), word.to_owned());
        let differ = |read: &str, write: &str| (read.to_owned(), write.to_owned());
        assert_eq!(both(Stage::Unsent, 0, ""), same("unreachable"));
        assert_eq!(both(Stage::Credentials, 0, ""), same("denied"));
        assert_eq!(both(Stage::Unbuilt, 0, ""), same("refused"));
        assert_eq!(both(Stage::Sent, 0, ""), differ("unreachable", "unconfirmed"));
        assert_eq!(both(Stage::Answered, 500, ""), differ("unreachable", "unconfirmed"));
        assert_eq!(both(Stage::Answered, 200, ""), differ("unreadable", "unconfirmed"));
        assert_eq!(READ.timed_out().kind, FaultKind::TimedOut);
        assert_eq!(WRITE.timed_out().kind, FaultKind::Unconfirmed);
    }

    /// An error in the words of the SDK, whose types are its own.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Words(&'static str, #[source] Option<io::Error>);

    #[test]
    fn a_sign_in_that_has_ended_says_how_to_sign_in_again() {
        let no_file = || Some(io::Error::from(io::ErrorKind::NotFound));
        let told = |words: &'static str, file: Option<io::Error>| {
            READ.keyless(&CredentialsError::provider_error(Words(words, file)))
        };
        for (words, file, command) in [
            ("the SSO token has expired and cannot be refreshed", None, "aws sso login"),
            ("failed to load the cached SSO token", no_file(), "aws sso login"),
            ("missing field `accessToken` in cached SSO token file", None, "aws sso login"),
            ("UnauthorizedException: Session token not found or invalid", None, "aws sso login"),
            ("failed to read `.aws/sso/cache/a51.json`", no_file(), "aws sso login"),
            ("cached Login token is expired", None, "aws login"),
            ("failed to load cached Login token: none", no_file(), "aws login"),
        ] {
            let fault = told(words, file);
            assert_eq!(fault.kind, FaultKind::Denied { permission: None }, "{words}");
            let expected = format!("sign in with `{command} --profile ");
            assert!(fault.detail.starts_with(&expected), "{}", fault.detail);
            assert!(fault.detail.contains(words), "{}", fault.detail);
        }
        let other = told("failed to read the file", no_file());
        assert_eq!(other.kind, FaultKind::Unreachable);
        assert!(!other.detail.contains("sign in"), "{}", other.detail);
    }

    #[test]
    fn details_are_one_line_of_bounded_length() {
        let fault = READ.fault(FaultKind::Refused, format!("a\n  b {}", "é".repeat(400)));
        assert!(fault.detail.starts_with("a b é"));
        assert_eq!(fault.detail.chars().count(), 300);
    }
}
