//! Requests in the vendor's V3 style (`ACS3-HMAC-SHA256`): pure, the same input makes the same bytes.
//!
//! As the official SDKs of 2026 send them: RPC calls are `POST /?parameters` with an empty body,
//! action and version travel in headers, and every header that is set is signed.
//! [alibabacloud-tea-openapi 0.4.6; "V3 version request body & signature mechanism"]

use std::borrow::Cow;
use std::fmt;

use fleet::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";
/// RFC 3986's unreserved characters stay as they are.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A pair of keys, with the token that belongs to it where it is temporary.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Names the pair; no secret.
    pub access_key_id: String,
    /// What requests are signed with.
    pub access_key_secret: SecretString,
    /// Goes along where the pair is temporary.
    pub security_token: Option<SecretString>,
    /// How the pair was come by, in the vendor's words, such as `ecs_ram_role`.
    pub provider: Cow<'static, str>,
}

/// A request before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `POST` for RPC calls.
    pub method: &'static str,
    /// Where it goes, without a scheme; with a port where that is not the scheme's own.
    pub host: String,
    /// `/` for RPC calls, the resource for ROA calls, percent-encoded.
    pub path: String,
    /// The API's version, such as `2014-05-26`.
    pub version: &'static str,
    /// The operation, such as `DescribeInstances`.
    pub action: String,
    /// Parameters, not encoded, in the order they are to be sent.
    pub query: Vec<(String, String)>,
    /// The body and its type; RPC calls have none.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// What makes two equal requests different: passed in, so that the same input gives the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// The time that the server compares with its own.
    pub date: Timestamp,
    /// A word that is never used twice.
    pub nonce: &'a str,
    /// Who asks.
    pub user_agent: &'a str,
}

/// A request as it goes over the wire. Debug output leaves out what is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// All headers to be sent, `authorization` last.
    pub headers: Vec<(&'static str, String)>,
    /// The body, often empty.
    pub body: Vec<u8>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Signed")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A call in RPC style.
    pub fn rpc(
        host: &str,
        version: &'static str,
        action: &str,
        query: Vec<(String, String)>,
    ) -> Request {
        Request {
            method: "POST",
            host: host.to_owned(),
            path: "/".to_owned(),
            version,
            action: action.to_owned(),
            query,
            body: None,
        }
    }

    /// The headers that are sent, in the order the official SDK sends them, without the signature.
    fn headers(&self, keys: &Keys, once: Once<'_>) -> Vec<(&'static str, String)> {
        let body = self.body.as_ref().map_or(&[][..], |(_, body)| body);
        let mut headers = vec![
            ("host", self.host.clone()),
            ("x-acs-version", self.version.to_owned()),
            ("x-acs-action", self.action.clone()),
            ("user-agent", once.user_agent.to_owned()),
            ("x-acs-date", once.date.to_string()),
            ("x-acs-signature-nonce", once.nonce.to_owned()),
            ("accept", "application/json".to_owned()),
        ];
        headers.extend(self.body.as_ref().map(|(kind, _)| ("content-type", (*kind).to_owned())));
        headers.push(("x-acs-content-sha256", hex::encode(Sha256::digest(body))));
        if let Some(token) = &keys.security_token {
            headers.push(("x-acs-accesskey-id", keys.access_key_id.clone()));
            headers.push(("x-acs-security-token", token.expose_secret().to_owned()));
        }
        headers.push(("x-acs-credentials-provider", keys.provider.clone().into_owned()));
        headers
    }

    /// The text that is hashed and signed, and the list of headers in it.
    fn canonical(&self, headers: &[(&'static str, String)]) -> (String, String) {
        let mut query: Vec<(&str, &str)> =
            self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        query.sort_unstable();
        let mut sorted: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sorted.sort_unstable();
        let names: Vec<&str> = sorted.iter().map(|(name, _)| *name).collect();
        let signed_headers = names.join(";");
        let mut text = format!("{}\n{}\n", self.method, self.path);
        for (index, (name, value)) in query.into_iter().enumerate() {
            if index > 0 {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.extend(encoded(value));
        }
        text.push('\n');
        for (name, value) in sorted {
            text.push_str(name);
            text.push(':');
            text.push_str(value.trim());
            text.push('\n');
        }
        let hash = headers.iter().find(|(name, _)| *name == "x-acs-content-sha256");
        text.push('\n');
        text.push_str(&signed_headers);
        text.push('\n');
        text.push_str(hash.map_or("", |(_, hash)| hash));
        (text, signed_headers)
    }

    /// The text that is hashed and signed.
    pub fn canonical_request(&self, keys: &Keys, once: Once<'_>) -> String {
        self.canonical(&self.headers(keys, once)).0
    }

    /// Signs it.
    pub fn sign(self, keys: &Keys, once: Once<'_>) -> Signed {
        let mut headers = self.headers(keys, once);
        let (canonical, names) = self.canonical(&headers);
        let to_sign = format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(&canonical)));
        let secret = keys.access_key_secret.expose_secret().as_bytes();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length makes a MAC");
        mac.update(to_sign.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        headers.push((
            "authorization",
            format!(
                "{ALGORITHM} Credential={},SignedHeaders={names},Signature={signature}",
                keys.access_key_id
            ),
        ));
        Signed {
            method: self.method,
            target: target(&self.path, &self.query),
            headers,
            body: self.body.map(|(_, body)| body).unwrap_or_default(),
        }
    }
}

/// Path and query as they go over the wire: spaces as `+`, which the server decodes before it
/// computes the signature.
pub(super) fn target(path: &str, query: &[(String, String)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let mut target = format!("{path}?");
    for (index, (name, value)) in query.iter().enumerate() {
        if index > 0 {
            target.push('&');
        }
        let plus = |part| if part == "%20" { "+" } else { part };
        target.extend(encoded(name).map(plus));
        target.push('=');
        target.extend(encoded(value).map(plus));
    }
    target
}

fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(token: Option<&str>) -> Keys {
        Keys {
            access_key_id: "test-key".to_owned(),
            access_key_secret: "not so secret".into(),
            security_token: token.map(SecretString::from),
            provider: Cow::Borrowed("static_ak"),
        }
    }

    fn once(nonce: &str) -> Once<'_> {
        Once { date: Timestamp(1_772_452_800), nonce, user_agent: "neap" }
    }

    fn request(query: &[(&str, &str)]) -> Request {
        let query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request::rpc("ecs.eu-west-1.aliyuncs.com", "2014-05-26", "DescribeInstances", query)
    }

    fn signature(signed: &Signed) -> &str {
        let (name, value) = signed.headers.last().unwrap();
        assert_eq!(*name, "authorization");
        value.rsplit_once("Signature=").unwrap().1
    }

    #[test]
    fn the_canonical_text_is_as_documented() {
        let request = request(&[("Tag.2.Key", "a b*~"), ("Tag.10.Key", ""), ("A", "ü+/")]);
        let text = request.canonical_request(&keys(None), once("n1"));
        insta::assert_snapshot!(text, @r"
        POST
        /
        A=%C3%BC%2B%2F&Tag.10.Key=&Tag.2.Key=a%20b%2A~
        accept:application/json
        host:ecs.eu-west-1.aliyuncs.com
        user-agent:neap
        x-acs-action:DescribeInstances
        x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        x-acs-credentials-provider:static_ak
        x-acs-date:2026-03-02T12:00:00Z
        x-acs-signature-nonce:n1
        x-acs-version:2014-05-26

        accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        ");
    }

    #[test]
    fn the_wire_spells_spaces_as_plus_and_keeps_the_order() {
        let signed = request(&[("B", "x y"), ("A", "100%+1")]).sign(&keys(None), once("n"));
        assert_eq!(signed.target, "/?B=x+y&A=100%25%2B1");
        let bare = request(&[]).sign(&keys(None), once("n"));
        assert_eq!(bare.target, "/");
    }

    #[test]
    fn all_that_matters_changes_the_signature() {
        let base = || request(&[("RegionId", "eu-west-1")]);
        let plain = base().sign(&keys(None), once("n"));
        assert_eq!(plain, base().sign(&keys(None), once("n")), "the same input, the same bytes");
        let mut with_body = base();
        with_body.body = Some(("application/json", b"{}".to_vec()));
        let other_host = Request { host: "ecs.aliyuncs.com".to_owned(), ..base() };
        let others = [
            base().sign(&keys(None), once("m")),
            base().sign(&keys(Some("token")), once("n")),
            base().sign(&keys(None), Once { date: Timestamp(0), ..once("n") }),
            request(&[("RegionId", "eu-west-2")]).sign(&keys(None), once("n")),
            with_body.sign(&keys(None), once("n")),
            other_host.sign(&keys(None), once("n")),
        ];
        for other in &others {
            assert_ne!(signature(&plain), signature(other), "{other:?}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let keys = keys(Some("a-token"));
        let printed = format!("{keys:?} {:?}", request(&[]).sign(&keys, once("n")));
        assert!(!printed.contains("not so secret") && !printed.contains("a-token"), "{printed}");
    }
}
