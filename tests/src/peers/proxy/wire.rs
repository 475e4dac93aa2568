//! The protocols of the cloud's services: taking a call apart, and putting answers and refusals together.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ciborium::Value as Cbor;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use crate::peers::aws::HARNESS_HEADER;
use crate::peers::http::{Answer, form_of, percent_encoded};

/// CloudWatch fields that are instants, which CBOR marks by tag 1.
const INSTANTS: [&str; 5] = [
    "Timestamp",
    "Timestamps",
    "StateUpdatedTimestamp",
    "AlarmConfigurationUpdatedTimestamp",
    "StateTransitionedTimestamp",
];

/// CloudWatch fields that are floats even where JSON shows a whole number.
const FLOATS: [&str; 8] =
    ["Value", "Values", "Threshold", "Average", "Sum", "Minimum", "Maximum", "SampleCount"];

/// How a call is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// A form in, XML out.
    Query,
    /// JSON both ways, the operation in a header.
    Json,
    /// CBOR both ways, the operation in the path.
    Cbor,
}

/// A call, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub wire: Wire,
    /// `autoscaling`, `ec2`, `monitoring` or `sts`, from the credential scope.
    pub service: String,
    pub region: String,
    pub access_key: String,
    pub operation: String,
    /// The parameters of a query call.
    pub form: BTreeMap<String, String>,
    /// The parameters of a JSON or CBOR call.
    pub json: Value,
    /// A call of the tests themselves.
    pub harness: bool,
}

impl Request {
    pub fn parse(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Result<Request> {
        let scope = headers.get("authorization").and_then(|value| value.to_str().ok());
        let scope = scope.and_then(|text| text.split("Credential=").nth(1)).unwrap_or("-////");
        let scope = scope.split([',', ' ']).next().unwrap_or_default();
        let mut parts = scope.split('/');
        let access_key = parts.next().unwrap_or_default().to_owned();
        let region = parts.nth(1).unwrap_or_default().to_owned();
        let service = parts.next().unwrap_or_default().to_owned();
        let mut request = Request {
            harness: headers.contains_key(HARNESS_HEADER),
            method,
            target: target.to_owned(),
            headers,
            wire: Wire::Query,
            service,
            region,
            access_key,
            operation: String::new(),
            form: BTreeMap::new(),
            json: Value::Null,
            body,
        };
        request.read_parameters()?;
        Ok(request)
    }

    fn read_parameters(&mut self) -> Result<()> {
        if let Some(path) = self.target.strip_prefix("/service/") {
            self.wire = Wire::Cbor;
            self.operation = path.split('/').nth(2).unwrap_or_default().to_owned();
            self.json = if self.body.is_empty() {
                Value::Object(Map::new())
            } else {
                json_of(ciborium::from_reader(self.body.as_ref()).context("not CBOR")?)?
            };
        } else if let Some(target) = self.headers.get("x-amz-target") {
            self.wire = Wire::Json;
            let target = target.to_str()?;
            self.operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            self.json = serde_json::from_slice(&self.body).context("not JSON")?;
        } else {
            self.form = form_of(std::str::from_utf8(&self.body).context("not a form")?);
            self.operation = self.form.get("Action").cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// The group a call is about, where it names one.
    pub fn group(&self) -> Option<&str> {
        let names = ["AutoScalingGroupName", "AutoScalingGroupNames.member.1"];
        names.iter().find_map(|name| self.form.get(*name)).map(String::as_str)
    }

    /// The same call with other parameters of the query protocol.
    pub fn with_form(&self, form: BTreeMap<String, String>) -> Request {
        let pairs: Vec<String> =
            form.iter().map(|(key, value)| format!("{key}={}", percent_encoded(value))).collect();
        let operation = form.get("Action").cloned().unwrap_or_default();
        Request { body: Bytes::from(pairs.join("&")), form, operation, ..self.clone() }
    }

    /// The same call in JSON, which the peer understands, with these parameters.
    pub fn as_json(&self, operation: &str, parameters: &Value) -> Request {
        let mut headers = self.headers.clone();
        for name in ["accept", "smithy-protocol", "x-amzn-query-mode", "content-encoding"] {
            headers.remove(name);
        }
        let target = format!("GraniteServiceVersion20100801.{operation}");
        headers.insert("x-amz-target", HeaderValue::from_str(&target).expect("plain text"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        Request {
            method: Method::POST,
            target: "/".into(),
            headers,
            body: Bytes::from(parameters.to_string()),
            operation: operation.to_owned(),
            wire: Wire::Json,
            json: parameters.clone(),
            ..self.clone()
        }
    }
}

/// A refusal in the cloud's words.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal { status, code: code.into(), message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "ValidationError", message)
    }

    /// How each service says "too many calls".
    pub fn throttled(service: &str) -> Refusal {
        match service {
            "ec2" => Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            "pricing" => Refusal::new(400, "ThrottlingException", "Rate exceeded"),
            _ => Refusal::new(400, "Throttling", "Rate exceeded"),
        }
    }

    /// How each service says "you may not".
    pub fn denied(service: &str, operation: &str) -> Refusal {
        let who = "arn:aws:iam::123456789012:user/neap";
        let action = if service == "monitoring" { "cloudwatch" } else { service };
        let message = format!(
            "User: {who} is not authorized to perform: {action}:{operation} because no \
             identity-based policy allows the {action}:{operation} action"
        );
        match service {
            "ec2" => Refusal::new(
                403,
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {message}"),
            ),
            _ => Refusal::new(403, "AccessDenied", message),
        }
    }

    pub fn broken() -> Refusal {
        Refusal::new(500, "InternalFailure", "The request processing has failed.")
    }

    /// The refusal as this call's protocol spells it.
    pub fn answer(&self, request: &Request) -> Answer {
        let side = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("plain text"));
        };
        set("x-amzn-requestid", "7f3c09aa-0000-4000-8000-000000000000");
        let body = match request.wire {
            Wire::Query => {
                set("content-type", "text/xml");
                Bytes::from(self.xml(&request.service, side))
            }
            Wire::Json | Wire::Cbor => {
                set("x-amzn-query-error", &format!("{};{side}", self.code));
                let body = serde_json::json!({ "__type": self.code, "message": self.message });
                if request.wire == Wire::Cbor {
                    set("content-type", "application/cbor");
                    set("smithy-protocol", "rpc-v2-cbor");
                    cbor_bytes(&body)
                } else {
                    set("content-type", "application/x-amz-json-1.0");
                    Bytes::from(body.to_string())
                }
            }
        };
        Answer { status: self.status, headers, body }
    }

    fn xml(&self, service: &str, side: &str) -> String {
        let (code, message) = (&self.code, escaped(&self.message));
        let id = "7f3c09aa-0000-4000-8000-000000000000";
        if service == "ec2" {
            return format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}\
                 </Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID>\
                 </Response>"
            );
        }
        format!(
            "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error>\
             <Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>"
        )
    }
}

/// A JSON answer of the peer (or of a stand-in) as this call's protocol spells it.
pub(super) fn translated(request: &Request, answer: Answer) -> Answer {
    if request.wire != Wire::Cbor {
        return answer;
    }
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&answer.body);
        if text.is_empty() {
            Value::Object(Map::new())
        } else {
            serde_json::json!({ "__type": "InternalFailure", "message": text })
        }
    });
    if let Some(fields) = body.as_object_mut()
        && let Some(message) = fields.remove("Message")
    {
        fields.insert("message".into(), message);
    }
    let mut headers = HeaderMap::new();
    for name in ["x-amzn-query-error", "x-amzn-requestid"] {
        if let Some(value) = answer.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
    headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    Answer { status: answer.status, headers, body: cbor_bytes(&body) }
}

/// An answer made here, in JSON or XML.
pub(super) fn made(kind: &'static str, body: String) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let id = HeaderValue::from_static("7f3c09aa-0000-4000-8000-000000000001");
    headers.insert("x-amzn-requestid", id);
    Answer { status: StatusCode::OK, headers, body: Bytes::from(body) }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn cbor_bytes(value: &Value) -> Bytes {
    let mut bytes = Vec::new();
    ciborium::into_writer(&cbor_of(value, ""), &mut bytes).expect("memory takes all");
    Bytes::from(bytes)
}

fn cbor_of(value: &Value, field: &str) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(yes) => Cbor::Bool(*yes),
        Value::Number(number) if INSTANTS.contains(&field) => {
            Cbor::Tag(1, Box::new(Cbor::Float(number.as_f64().unwrap_or_default())))
        }
        Value::Number(number) => match number.as_i64() {
            Some(whole) if !FLOATS.contains(&field) => Cbor::Integer(whole.into()),
            _ => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(|item| cbor_of(item, field)).collect()),
        Value::Object(fields) => {
            let pairs = fields.iter();
            Cbor::Map(pairs.map(|(key, v)| (Cbor::Text(key.clone()), cbor_of(v, key))).collect())
        }
    }
}

fn json_of(value: Cbor) -> Result<Value> {
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(yes) => Value::Bool(yes),
        Cbor::Integer(whole) => Value::from(i64::try_from(i128::from(whole))?),
        Cbor::Float(number) => Value::from(number),
        Cbor::Text(text) => Value::String(text),
        Cbor::Tag(_, inner) => json_of(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(json_of).collect::<Result<_>>()?),
        Cbor::Map(pairs) => {
            let mut fields = Map::new();
            for (key, value) in pairs {
                let Cbor::Text(key) = key else { bail!("a map's key is no text") };
                fields.insert(key, json_of(value)?);
            }
            Value::Object(fields)
        }
        other => bail!("no CloudWatch field holds {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_floats_keep_their_kind_in_cbor() {
        let json = serde_json::json!({ "Timestamps": [60], "Values": [3], "Count": 3 });
        let Cbor::Map(fields) = cbor_of(&json, "") else { panic!("a map") };
        let of = |name: &str| {
            fields.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, v)| v.clone())
        };
        let instant = Cbor::Tag(1, Box::new(Cbor::Float(60.0)));
        assert_eq!(of("Timestamps"), Some(Cbor::Array(vec![instant])));
        assert_eq!(of("Values"), Some(Cbor::Array(vec![Cbor::Float(3.0)])));
        assert_eq!(of("Count"), Some(Cbor::Integer(3.into())));
        assert_eq!(json_of(cbor_of(&json, "")).expect("reads")["Timestamps"][0], 60.0);
    }
}
