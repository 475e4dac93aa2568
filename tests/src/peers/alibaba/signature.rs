//! Every request's signature, recomputed by the vendor's own packages in a process of their own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use fleet::Timestamp;
use serde_json::{Value, json};

use super::wire::{Refusal, Request, Style, timestamp_of};
use super::{Access, Principal};
use crate::clock::locked;
use crate::peers::python;

/// How far a request's date may be off.
const PATIENCE: i64 = 900;

struct Official {
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    names: BTreeMap<(String, String), Value>,
}

/// The one process that answers for all stand-ins of this test process, and ends with it.
fn official() -> &'static Mutex<Official> {
    static OFFICIAL: OnceLock<Mutex<Official>> = OnceLock::new();
    OFFICIAL.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("signature.py");
        let mut child = Command::new(python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("signature.py: {error}"));
        let to = child.stdin.take().expect("its input is ours");
        let from = BufReader::new(child.stdout.take().expect("its output is ours"));
        let mut official = Official { _child: child, to, from, names: BTreeMap::new() };
        for product in ["ecs", "ess", "cms", "sts", "vpc", "slb", "alb", "nlb"] {
            official.ask(&json!({ "names": "", "product": product }));
        }
        Mutex::new(official)
    })
}

/// Installs, starts and loads all of it before the first call, which has a deadline.
pub(super) fn start() {
    official();
}

impl Official {
    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.to, "{question}").expect("signature.py listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("signature.py answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("signature.py: {error}: {line}"))
    }
}

/// What the vendor's package says to a question of `signature.py`, for requests that tests make.
///
/// # Panics
/// Where the package cannot answer.
pub fn official_signature(question: &Value) -> Value {
    locked(official()).ask(question)
}

/// Refuses an operation that the official package does not have, and parameters it does not take.
pub(super) fn check_names(request: &Request) -> Result<(), Refusal> {
    let key = (request.product.clone(), request.operation.clone());
    let mut official = locked(official());
    let known = official.names.get(&key).cloned().unwrap_or_else(|| {
        let question = json!({ "names": request.operation, "product": request.product });
        official.ask(&question)
    });
    official.names.insert(key, known.clone());
    let Some(known) = known.as_array() else { return Err(Refusal::no_such_operation()) };
    for name in request.parameters.keys().filter(|name| *name != "RegionId") {
        let parts =
            name.split('.').map(|part| if part.parse::<u32>().is_ok() { "N" } else { part });
        let general = parts.collect::<Vec<_>>().join(".");
        if !known.iter().any(|known| known == &general) {
            return Err(request.invalid(name, "is not known"));
        }
    }
    Ok(())
}

/// Whose request it is, where its signature is right.
pub(super) fn check(
    request: &Request,
    access: &mut Access,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let missing = || Refusal::new(400, "IncompleteSignature", "The signature is incomplete.");
    let key = access.keys.get(&request.access_key).cloned().ok_or_else(|| {
        let message = "Specified access key is not found.";
        Refusal::new(404, "InvalidAccessKeyId.NotFound", message)
    })?;
    let (date, nonce, token) = match request.style {
        Style::V3 => ("x-acs-date", "x-acs-signature-nonce", "x-acs-security-token"),
        Style::V1 => ("Timestamp", "SignatureNonce", "SecurityToken"),
    };
    let said = |name: &str| match request.style {
        Style::V3 => request.header(name),
        Style::V1 => request.query.get(name).map(String::as_str),
    };
    let date = said(date).and_then(timestamp_of).ok_or_else(|| {
        Refusal::new(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not \
                                                      well formatted.",
        )
    })?;
    if (date.0 - now.0).abs() > PATIENCE {
        let message = "Specified time stamp or date value is expired.";
        return Err(Refusal::new(400, "InvalidTimeStamp.Expired", message));
    }
    let right = match request.style {
        Style::V3 => v3(request, &key.secret).ok_or_else(missing)?,
        Style::V1 => v1(request, &key.secret).ok_or_else(missing)?,
    };
    if !right {
        let message = "Specified signature does not match our calculation.";
        return Err(Refusal::new(403, "SignatureDoesNotMatch", message));
    }
    let nonce = said(nonce).filter(|nonce| !nonce.is_empty()).ok_or_else(missing)?;
    if !access.nonces.insert(nonce.to_owned()) {
        let message = "Specified signature nonce was used already.";
        return Err(Refusal::new(400, "SignatureNonceUsed", message));
    }
    if said(token) != key.token.as_deref() {
        let message = "Specified SecurityToken mismatch with the AccessKey.";
        return Err(Refusal::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message));
    }
    if key.expires.is_some_and(|expires| expires <= now) {
        let message = "Specified SecurityToken is expired.";
        return Err(Refusal::new(400, "InvalidSecurityToken.Expired", message));
    }
    Ok(Principal { account: key.account, name: key.principal, session: key.token.is_some() })
}

/// Whether an ACS3 signature is right; `None` where it leaves out what it has to sign.
fn v3(request: &Request, secret: &str) -> Option<bool> {
    let authorization = request.header("authorization")?;
    let field = |name: &str| {
        let fields = authorization.strip_prefix("ACS3-HMAC-SHA256 ")?.split(',');
        fields.map(str::trim).find_map(|field| field.strip_prefix(name))
    };
    let signed: Vec<&str> = field("SignedHeaders=")?.split(';').collect();
    let due = |name: &str| name == "host" || name == "content-type" || name.starts_with("x-acs-");
    let left_out = |name: &str| due(name) && !signed.contains(&name);
    if request.headers.keys().any(|name| left_out(name.as_str())) {
        return None;
    }
    let headers: BTreeMap<&str, &str> =
        signed.iter().map(|name| Some((*name, request.header(name)?))).collect::<Option<_>>()?;
    for needed in ["x-acs-action", "x-acs-version", "x-acs-content-sha256"] {
        request.header(needed)?;
    }
    let answer = official_signature(&json!({
        "sign": "v3",
        "method": request.method.as_str(),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "body": std::str::from_utf8(&request.body).ok()?,
        "key": request.access_key,
        "secret": secret,
    }));
    let signature = format!("Signature={}", field("Signature=")?);
    let due = answer[0].as_str()?.rsplit(',').next()?;
    Some(due == signature && answer[1] == *request.header("x-acs-content-sha256")?)
}

/// Whether a signature of the older kind is right.
fn v1(request: &Request, secret: &str) -> Option<bool> {
    let mut query = request.query.clone();
    let signature = query.remove("Signature")?;
    let fixed = [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")];
    if fixed.iter().any(|(name, value)| query.get(*name).map(String::as_str) != Some(value)) {
        return None;
    }
    let method = request.method.as_str();
    let question = json!({ "sign": "v1", "method": method, "query": query, "secret": secret });
    Some(official_signature(&question) == signature)
}
