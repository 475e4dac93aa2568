//! How the cloud's calls are spelled: a request taken apart, its parameters, and refusals.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use fleet::Timestamp;
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::peers::door::plain;
use crate::peers::http::{Answer, form_of};

/// What the query of the older kind of signature holds besides the operation's own parameters.
const COMMON: [&str; 11] = [
    "Action",
    "Format",
    "Version",
    "Timestamp",
    "SignatureNonce",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureType",
    "AccessKeyId",
    "SecurityToken",
    "Signature",
];

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `ACS3-HMAC-SHA256`, in headers.
    V3,
    /// `HMAC-SHA1`, in the query; also what is not signed at all.
    V1,
}

/// A call, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub style: Style,
    /// `ecs`, `ess`, `cms`, `sts`, `vpc`, `slb`, `alb`, `nlb` or `metadata`; empty for a version that nobody knows.
    pub product: String,
    pub operation: String,
    pub access_key: String,
    /// All of the query and a form, as it is signed.
    pub query: BTreeMap<String, String>,
    /// The operation's own parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Request {
    pub fn parse(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = form_of(query);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let style = if header("authorization").is_some() { Style::V3 } else { Style::V1 };
        let either = |in_header: &str, in_query: &str| {
            let said = match style {
                Style::V3 => header(in_header),
                Style::V1 => query.get(in_query).map(String::as_str),
            };
            said.unwrap_or_default().to_owned()
        };
        let credential = header("authorization").and_then(|text| text.split("Credential=").nth(1));
        let access_key = match style {
            Style::V3 => credential.unwrap_or_default().split(',').next().unwrap_or_default(),
            Style::V1 => query.get("AccessKeyId").map_or("", String::as_str),
        };
        let product = match either("x-acs-version", "Version").as_str() {
            "2014-05-26" => "ecs",
            "2022-02-22" => "ess",
            "2019-01-01" => "cms",
            "2015-04-01" => "sts",
            "2016-04-28" => "vpc",
            "2014-05-15" => "slb",
            "2020-06-16" => "alb",
            "2022-04-30" => "nlb",
            _ if path.starts_with("/latest/") => "metadata",
            _ => "",
        };
        let mut parameters = query.clone();
        let form = header("content-type").is_some_and(|kind| kind.contains("form-urlencoded"));
        if let (true, Ok(text)) = (form, std::str::from_utf8(&body)) {
            parameters.extend(form_of(text));
        }
        let signed = if style == Style::V1 { parameters.clone() } else { query.clone() };
        if style == Style::V1 {
            parameters.retain(|name, _| !COMMON.contains(&name.as_str()));
        }
        Request {
            operation: match product {
                "metadata" if method == Method::PUT => "GetToken".to_owned(),
                "metadata" => "GetCredentials".to_owned(),
                _ => either("x-acs-action", "Action"),
            },
            access_key: access_key.to_owned(),
            product: product.to_owned(),
            query: signed,
            method,
            path: path.to_owned(),
            style,
            parameters,
            headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The permission that it needs.
    pub fn action(&self) -> String {
        format!("{}:{}", self.product, self.operation)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| {
            let message = format!(
                "The input parameter \"{name}\" that is mandatory for processing this request is \
                 not supplied."
            );
            Refusal::new(400, "MissingParameter", message)
        })
    }

    /// A whole number within its documented range.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.invalid(name, &format!("is not in {range:?}")))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "is neither true nor false")),
        }
    }

    /// The values of a list, `Name.1` and on.
    pub fn list(&self, name: &str, most: usize) -> Result<Vec<String>, Refusal> {
        let numbered = (1..).map_while(|n| self.parameters.get(&format!("{name}.{n}")));
        let values: Vec<String> = numbered.cloned().collect();
        let prefix = format!("{name}.");
        if self.parameters.keys().filter(|key| key.starts_with(&prefix)).count() != values.len() {
            return Err(self.invalid(name, "is not numbered from 1 on"));
        }
        if values.len() > most {
            return Err(self.invalid(name, &format!("has more than {most} values")));
        }
        Ok(values)
    }

    /// The pairs of `Name.N.Key` and `Name.N.Value`.
    pub fn tags(&self, name: &str) -> Vec<(String, Option<String>)> {
        let field = |n: u32, field: &str| self.parameters.get(&format!("{name}.{n}.{field}"));
        let numbered = (1..).map_while(|n| Some((field(n, "Key")?, field(n, "Value"))));
        numbered.map(|(key, value)| (key.clone(), value.cloned())).collect()
    }

    /// One of a few words.
    pub fn word(&self, name: &str, words: &[&str]) -> Result<Option<&str>, Refusal> {
        let word = self.text(name);
        match word.is_none_or(|word| words.contains(&word)) {
            true => Ok(word),
            false => Err(self.invalid(name, &format!("is none of {words:?}"))),
        }
    }

    /// The page asked for by `PageNumber` and `PageSize`, with what else the answer says of it.
    ///
    /// `cap` makes pages smaller than asked, to see paging at work.
    pub fn page(
        &self,
        field: &str,
        all: Vec<Value>,
        most: i64,
        cap: Option<usize>,
    ) -> Result<Value, Refusal> {
        let number = self.number("PageNumber", 1..=i64::from(i32::MAX))?.unwrap_or(1) as usize;
        let size = self.number("PageSize", 1..=most)?.unwrap_or(10) as usize;
        let size = cap.map_or(size, |cap| cap.min(size));
        let total = all.len();
        let shown: Vec<Value> = all.into_iter().skip((number - 1) * size).take(size).collect();
        Ok(json!({ "PageNumber": number, "PageSize": size, "TotalCount": total, field: shown }))
    }

    /// The part of `all` that a token and a length ask for, and the token of the rest.
    pub fn slice<T>(
        &self,
        all: Vec<T>,
        length: usize,
    ) -> Result<(Vec<T>, Option<String>), Refusal> {
        let token = self.text("NextToken").filter(|token| !token.is_empty());
        let from = token.map_or(Ok(0), |token| token.strip_prefix("token-").unwrap_or("").parse());
        let from: usize = from.map_err(|_| self.invalid("NextToken", "is not one of ours"))?;
        let rest = (from + length < all.len()).then(|| format!("token-{}", from + length));
        Ok((all.into_iter().skip(from).take(length).collect(), rest))
    }

    /// A parameter that is refused, and why.
    pub fn invalid(&self, name: &str, why: &str) -> Refusal {
        let code = if self.product == "cms" { "ParameterInvalid" } else { "InvalidParameter" };
        Refusal::new(400, code, format!("The specified parameter {name} {why}."))
    }
}

/// A refusal in the cloud's words.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    code: String,
    message: String,
    denied: Option<Value>,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, code: code.into(), message: message.into(), denied: None }
    }

    pub fn no_such_operation() -> Refusal {
        let message = "Specified api is not found, please check your url and method.";
        Refusal::new(404, "InvalidAction.NotFound", message)
    }

    pub fn throttled(request: &Request) -> Refusal {
        if request.product == "ecs" {
            let message = "Request was denied due to request throttling.";
            Refusal::new(400, "Throttling", message)
        } else {
            let message = "Request was denied due to user flow control.";
            Refusal::new(400, "Throttling.User", message)
        }
    }

    pub fn broken() -> Refusal {
        let message = "The request processing has failed due to some unknown error.";
        Refusal::new(500, "InternalError", message)
    }

    pub fn denied(request: &Request, principal: &str) -> Refusal {
        let code = if request.product == "sts" { "NoPermission" } else { "Forbidden.RAM" };
        let message = "User not authorized to operate on the specified resource, or this API \
                       doesn't support RAM.";
        let detail = json!({
            "AuthAction": request.action(),
            "AuthPrincipalDisplayName": principal,
            "AuthPrincipalType": "SubUser",
            "NoPermissionType": "ImplicitDeny",
            "PolicyType": "AccountLevelIdentityBasedPolicy",
        });
        Refusal { denied: Some(detail), ..Refusal::new(403, code, message) }
    }

    pub fn answer(&self) -> Answer {
        let mut body = json!({
            "RequestId": "7F3C09AA-0000-4000-8000-000000000000",
            "HostId": "stand-in.aliyuncs.com",
            "Code": self.code,
            "Message": self.message,
            "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}", self.code),
        });
        if let Some(detail) = &self.denied {
            body["AccessDeniedDetail"] = detail.clone();
        }
        json_answer(self.status, &body)
    }
}

pub(crate) fn json_answer(status: u16, body: &Value) -> Answer {
    plain(status, "application/json;charset=utf-8", body.to_string().into())
}

/// An instant in UTC, to the second.
pub(crate) fn timestamp_of(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_second()))
}

/// An instant to the minute, as the cloud shows most of them.
pub(crate) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", &text[..text.len() - 4])
}
