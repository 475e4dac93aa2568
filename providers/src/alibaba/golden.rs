//! Requests recorded from the official SDKs, made anew byte for byte. The recordings lie beside the
//! repository where it is developed, and nowhere else.

use std::borrow::Cow;
use std::path::Path;

use fleet::Timestamp;
use serde_json::Value;

use super::credentials::oidc_target;
use super::params::Params;
use super::sign::{Keys, Once, Request};

fn recorded(name: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts/golden");
    let text = std::fs::read(folder.join(name)).ok()?;
    Some(serde_json::from_slice(&text).expect("a recording"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Headers as name and value; without those that any HTTP client adds by itself.
fn headers(wire: &Value) -> Vec<(String, String)> {
    let pairs = wire["headers"].as_array().expect("headers").iter();
    pairs
        .map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1])))
        .filter(|(name, _)| name != "accept-encoding" && name != "content-length")
        .collect()
}

/// The recordings spell booleans as Python does; ours are spelt as documented.
fn pythonic(value: &mut Value) {
    match value {
        Value::Bool(true) => *value = Value::from("True"),
        Value::Bool(false) => *value = Value::from("False"),
        Value::Array(items) => items.iter_mut().for_each(pythonic),
        Value::Object(fields) => fields.values_mut().for_each(pythonic),
        _ => {}
    }
}

#[test]
fn recorded_requests_are_made_byte_for_byte() {
    let Some(recording) = recorded("alibaba-acs3.json") else { return };
    let vectors = recording["vectors"].as_array().expect("vectors");
    assert!(vectors.len() >= 50, "{} vectors", vectors.len());
    for vector in vectors {
        let name = text(&vector["name"]);
        let wire = &vector["wire"];
        let sent = headers(wire);
        let header = |wanted: &str| {
            let found = sent.iter().find(|(name, _)| name == wanted);
            found.unwrap_or_else(|| panic!("{name}: no `{wanted}`")).1.clone()
        };
        let body = text(&wire["body"]);
        let mut parameters = vector["params"].clone();
        pythonic(&mut parameters);
        // Calls with a body have their parameters there.
        let query = match body.is_empty() {
            true => Params::from_json(&parameters).into_pairs(),
            false => Vec::new(),
        };
        let version: &'static str = text(&vector["version"]).leak();
        let request = Request {
            body: (!body.is_empty())
                .then(|| ("application/x-www-form-urlencoded", body.clone().into_bytes())),
            ..Request::rpc(&header("host"), version, &text(&vector["action"]), query)
        };
        let keys = Keys {
            access_key_id: text(&vector["access_key_id"]),
            access_key_secret: text(&vector["access_key_secret"]).into(),
            security_token: None,
            provider: Cow::Owned(header("x-acs-credentials-provider")),
        };
        let (nonce, user_agent) = (text(&vector["nonce"]), header("user-agent"));
        let date = Timestamp::parse(&text(&vector["date"])).expect("a date");
        let once = Once { date, nonce: &nonce, user_agent: &user_agent };
        let canonical = request.canonical_request(&keys, once);
        assert_eq!(canonical, text(&vector["canonical_request"]), "{name}");
        let signed = request.sign(&keys, once);
        assert_eq!(signed.method, text(&wire["method"]), "{name}");
        assert_eq!(signed.target, text(&wire["target"]), "{name}");
        assert_eq!(signed.body, body.into_bytes(), "{name}");
        let ours: Vec<(String, String)> =
            signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(ours, sent, "{name}");
    }
}

#[test]
fn the_recorded_trade_of_a_token_is_made_byte_for_byte() {
    let Some(recording) = recorded("alibaba-credential-flows.json") else { return };
    let flow = &recording["flows"]["oidc_role_arn"];
    let request = &flow["requests"][0];
    let query = request["query"].as_array().expect("a query");
    let parameter = |wanted: &str| {
        let found = query.iter().find(|pair| pair[0] == wanted);
        text(&found.unwrap_or_else(|| panic!("no `{wanted}`"))[1])
    };
    let made = oidc_target(
        &parameter("RoleArn"),
        &parameter("OIDCProviderArn"),
        &parameter("OIDCToken"),
        &parameter("RoleSessionName"),
        Timestamp::parse(&parameter("Timestamp")).expect("a date"),
    );
    assert_eq!(made, text(&request["target"]));
}
