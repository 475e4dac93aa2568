//! What went wrong in a call, sorted by what the caller does next.
//!
//! By the codes of the vendor's error tables. The status alone does not tell: throttling comes as
//! 400, a missing permission as 403, and a shortage of machines as 403, too.

use fleet::{Fault, FaultKind, Seconds};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::call::{Call, Effect};
use crate::http::first_words;

/// Milliseconds after which the server would like to be asked again.
const RETRY_AFTER: &str = "x-acs-retry-after";

/// An answer that is no success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    pub(super) code: Option<String>,
    message: String,
    request_id: Option<String>,
    missing_action: Option<String>,
    retry_after: Option<Seconds>,
}

/// The body of an error, in both spellings that products use.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Body {
    #[serde(alias = "code")]
    code: Option<serde_json::Value>,
    #[serde(alias = "message")]
    message: Option<String>,
    #[serde(alias = "requestId")]
    request_id: Option<String>,
    access_denied_detail: Option<AccessDenied>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AccessDenied {
    auth_action: Option<String>,
}

impl Refusal {
    /// Reads it; a body in another language (a proxy's page) leaves no code.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
        let milliseconds = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .filter(|milliseconds| *milliseconds > 0);
        let read: Option<Body> = serde_json::from_slice(body).ok();
        let known = read.is_some();
        let read = read.unwrap_or_default();
        let code = match read.code {
            Some(serde_json::Value::String(code)) if !code.is_empty() => Some(code),
            Some(serde_json::Value::Number(code)) => Some(code.to_string()),
            _ => None,
        };
        let message = match read.message {
            Some(message) => message,
            None if known => String::new(),
            None => format!("not JSON: {}", first_words(body)),
        };
        Refusal {
            status: status.as_u16(),
            code,
            message,
            request_id: read.request_id,
            missing_action: read.access_denied_detail.and_then(|detail| detail.auth_action),
            retry_after: milliseconds.map(|milliseconds| Seconds(milliseconds.div_ceil(1000))),
        }
    }

    /// The server holds our clock for wrong.
    pub(super) fn is_of_clock(&self) -> bool {
        self.code_starts(&["InvalidTimeStamp", "IllegalTimestamp"])
    }

    fn code_starts(&self, starts: &[&str]) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        starts.iter().any(|start| code.starts_with(start))
    }

    /// What it means for this call.
    pub(super) fn fault(&self, call: Call) -> Fault {
        let detail = match &self.code {
            Some(code) => format!("{code}: {} (status {})", self.message, self.status),
            None => format!("status {}: {}", self.status, self.message),
        };
        Fault { request_id: self.request_id.clone(), ..call.fault(self.kind(call), detail) }
    }

    fn kind(&self, call: Call) -> FaultKind {
        if let Some(kind) = self.code.as_deref().and_then(|code| self.by_code(call, code)) {
            return kind;
        }
        match self.status {
            429 => FaultKind::Throttled { retry_after: self.retry_after },
            // Internal errors and gateways' timeouts say nothing about whether it was done.
            408 | 500.. => call.unanswered(),
            401 | 403 if self.code.is_none() => FaultKind::Denied { permission: None },
            400.. => FaultKind::Refused,
            // A success that says otherwise, or a page where an answer should be.
            _ if call.effect == Effect::Write => FaultKind::Unconfirmed,
            _ => FaultKind::Unreadable,
        }
    }

    fn by_code(&self, call: Call, code: &str) -> Option<FaultKind> {
        if self.code_starts(&["Throttling"]) || self.retry_after.is_some() {
            return Some(FaultKind::Throttled { retry_after: self.retry_after });
        }
        // Nothing has happened: something else is being done, and it will be taken a little later.
        if matches!(code, "ScalingActivityInProgress" | "LastTokenProcessing")
            || self.code_starts(&["OperationConflict"])
        {
            return Some(FaultKind::Throttled { retry_after: None });
        }
        // Before `…NotFound`: keys that are not found are no missing group.
        if self.code_starts(&[
            "InvalidAccessKeyId",
            "IncompleteSignature",
            "SignatureDoesNotMatch",
            "InvalidSecurityToken",
            "MissingSecurityToken",
            "InvalidTimeStamp",
            "IllegalTimestamp",
            "Forbidden.AccessKeyDisabled",
        ]) {
            return Some(FaultKind::Denied { permission: None });
        }
        // Somebody between us and the cloud sent it again: the first one may have been heard.
        if self.code_starts(&["SignatureNonceUsed"]) {
            return Some(call.unanswered());
        }
        if self.code_starts(&["Forbidden", "NoPermission", "Unauthorized", "AccessForbidden"])
            || code.ends_with("Forbidden")
        {
            let permission = self.missing_action.clone().unwrap_or_else(|| call.permission());
            return Some(FaultKind::Denied { permission: Some(permission) });
        }
        if code.ends_with("NoStock")
            || self.code_starts(&["OutOfStock", "ResourceNotAvailable", "Zone.NotOnSale"])
        {
            return Some(FaultKind::OutOfCapacity);
        }
        if code.ends_with(".NotFound") && !self.code_starts(&["InvalidRegionId"])
            || matches!(code, "ResourceNotFound" | "ScalingGroupNotFound")
        {
            return Some(FaultKind::Missing);
        }
        if self.code_starts(&["ServiceUnavailable", "InternalError", "UnknownError"]) {
            return Some(call.unanswered());
        }
        None
    }
}

/// What a code in the midst of a success means for the call.
pub(super) fn of_code(call: Call, code: &str, message: &str) -> Fault {
    let (code, message) = (Some(code.to_owned()), message.to_owned());
    Refusal { status: 400, code, message, ..Refusal::default() }.fault(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Call = Call::read("ess", "DescribeScalingGroups");
    const WRITE: Call = Call::write("ess", "ScaleWithAdjustment");

    fn sorted(call: Call, status: u16, code: &str) -> String {
        let body = serde_json::json!({
            "RequestId": "r-1", "HostId": "ess.aliyuncs.com", "Code": code, "Message": "why"
        });
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = Refusal::read(status, &HeaderMap::new(), body.to_string().as_bytes());
        let fault = refusal.fault(call);
        assert_eq!(fault.request_id.as_deref(), Some("r-1"));
        fault.kind.word().to_owned()
    }

    #[test]
    fn codes_tell_what_to_do_next() {
        let table = [
            (400, "Throttling", "throttled", "throttled"),
            (400, "Throttling.User", "throttled", "throttled"),
            (429, "Throttling.Api", "throttled", "throttled"),
            (503, "ServiceUnavailable", "unreachable", "unconfirmed"),
            (500, "InternalError", "unreachable", "unconfirmed"),
            (403, "Forbidden.RAM", "denied", "denied"),
            (403, "Forbidden", "denied", "denied"),
            (403, "NoPermission", "denied", "denied"),
            (404, "InvalidAccessKeyId.NotFound", "denied", "denied"),
            (403, "SignatureDoesNotMatch", "denied", "denied"),
            (400, "InvalidSecurityToken.Expired", "denied", "denied"),
            (400, "InvalidTimeStamp.Expired", "denied", "denied"),
            (400, "SignatureNonceUsed", "unreachable", "unconfirmed"),
            (400, "IncorrectScalingGroupStatus", "refused", "refused"),
            (403, "ScalingActivityInProgress", "throttled", "throttled"),
            (403, "OperationDenied.NoStock", "out of capacity", "out of capacity"),
            (400, "IdempotentParameterMismatch", "refused", "refused"),
            (404, "InvalidScalingGroupId.NotFound", "missing", "missing"),
            (404, "InvalidRegionId.NotFound", "refused", "refused"),
            (403, "IncorrectInstanceStatus", "refused", "refused"),
            (400, "NeverHeardOf", "refused", "refused"),
            (500, "NeverHeardOf", "unreachable", "unconfirmed"),
        ];
        for (status, code, read, write) in table {
            assert_eq!(sorted(READ, status, code), read, "{code}, reading");
            assert_eq!(sorted(WRITE, status, code), write, "{code}, writing");
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_no_answer() {
        let page = b"<html><body>Bad gateway</body></html>";
        let read = |status: u16, call| {
            let status = StatusCode::from_u16(status).unwrap();
            Refusal::read(status, &HeaderMap::new(), page).fault(call)
        };
        let fault = read(502, READ);
        assert_eq!(fault.kind, FaultKind::Unreachable);
        assert_eq!(fault.detail, "status 502: not JSON: <html><body>Bad gateway</body></html>");
        assert_eq!(read(502, WRITE).kind, FaultKind::Unconfirmed);
        assert_eq!(read(407, READ).kind, FaultKind::Refused);
        assert_eq!(read(200, READ).kind, FaultKind::Unreadable);
        assert_eq!(read(200, WRITE).kind, FaultKind::Unconfirmed);
    }

    #[test]
    fn the_missing_permission_is_named() {
        let body = br#"{"Code":"Forbidden.RAM","Message":"no","RequestId":"r",
            "AccessDeniedDetail":{"AuthAction":"ess:ModifyScalingGroup"}}"#;
        let fault = Refusal::read(StatusCode::FORBIDDEN, &HeaderMap::new(), body).fault(WRITE);
        let permission = Some("ess:ModifyScalingGroup".to_owned());
        assert_eq!(fault.kind, FaultKind::Denied { permission });
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "1500".parse().unwrap());
        let body = br#"{"Code":"Throttling.User","Message":"slow down","RequestId":"r"}"#;
        let fault = Refusal::read(StatusCode::BAD_REQUEST, &headers, body).fault(READ);
        assert_eq!(fault.kind, FaultKind::Throttled { retry_after: Some(Seconds(2)) });
    }
}
