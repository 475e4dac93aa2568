//! Who may do what: keys, roles and the sessions that they give.

use std::collections::{BTreeMap, BTreeSet};

use fleet::Timestamp;
use serde_json::{Value, json};

use super::wire::{Refusal, Request};
use super::{ACCOUNT, Ids, KEY, SECRET};

/// What is known of keys and roles.
#[derive(Debug)]
pub(crate) struct Access {
    pub keys: BTreeMap<String, Key>,
    /// By ARN, with the external id that they want.
    pub roles: BTreeMap<String, Option<String>>,
    /// What a key or role may do, where it is not everything.
    pub allowed: BTreeMap<String, Vec<String>>,
    pub nonces: BTreeSet<String>,
    pub oidc_token: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub secret: String,
    pub account: String,
    /// The key itself, or the ARN of the role that it is a session of.
    pub principal: String,
    pub token: Option<String>,
    pub expires: Option<Timestamp>,
}

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub account: String,
    /// A key, or the ARN of a role.
    pub name: String,
    pub session: bool,
}

impl Access {
    pub fn new() -> Access {
        let mut access = Access {
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
            allowed: BTreeMap::new(),
            nonces: BTreeSet::new(),
            oidc_token: None,
        };
        access.add_key(KEY);
        access
    }

    /// Makes a key with the secret of all of them.
    pub fn add_key(&mut self, key: &str) {
        let (secret, account) = (SECRET.to_owned(), ACCOUNT.to_owned());
        let principal = key.to_owned();
        let made = Key { secret, account, principal, token: None, expires: None };
        self.keys.insert(key.to_owned(), made);
    }

    /// Whether a principal may do something.
    pub fn permits(&self, principal: &str, action: &str) -> bool {
        let Some(allowed) = self.allowed.get(principal) else { return true };
        allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => action.starts_with(start),
            None => action == pattern,
        })
    }

    /// Opens a session of a role; what it needs to sign, as the cloud shows it.
    pub fn session(&mut self, role: &str, expires: Timestamp, ids: &mut Ids) -> Value {
        let id = ids.next("STS.");
        let (secret, token) = (format!("secret-of-{id}"), format!("token-of-{id}"));
        let key = Key {
            secret: secret.clone(),
            account: account_of(role).unwrap_or_default().to_owned(),
            principal: role.to_owned(),
            token: Some(token.clone()),
            expires: Some(expires),
        };
        self.keys.insert(id.clone(), key);
        json!({
            "AccessKeyId": id,
            "AccessKeySecret": secret,
            "SecurityToken": token,
            "Expiration": expires.to_string(),
        })
    }
}

/// The account in a role's ARN, `acs:ram::ACCOUNT:role/NAME`.
pub(crate) fn account_of(role: &str) -> Option<&str> {
    let (account, name) = role.strip_prefix("acs:ram::")?.split_once(":role/")?;
    (!account.is_empty() && !name.is_empty()).then_some(account)
}

/// Answers a call; `who` is nobody where it is not signed.
pub(super) fn answer(
    request: &Request,
    access: &mut Access,
    who: Option<&Principal>,
    ids: &mut Ids,
    now: Timestamp,
) -> Result<Value, Refusal> {
    match (request.operation.as_str(), who) {
        ("AssumeRole", Some(_)) => {
            let role = request.required("RoleArn")?;
            if account_of(role).is_none() {
                return Err(invalid("RoleArn"));
            }
            let wanted = access.roles.get(role).ok_or_else(|| {
                let message = "The specified Role not exists .";
                Refusal::new(404, "EntityNotExist.Role", message)
            })?;
            if wanted.as_deref().is_some_and(|id| request.text("ExternalId") != Some(id)) {
                let message = "You are not authorized to do this action. You should be authorized \
                               by RAM.";
                return Err(Refusal::new(403, "NoPermission", message));
            }
            assumed(request, access, ids, now)
        }
        ("AssumeRoleWithOIDC", _) => {
            request.required("OIDCProviderArn")?;
            let token = Some(request.required("OIDCToken")?.to_owned());
            if access.oidc_token != token {
                let message = "This JWT Token has an illegal signature.";
                return Err(Refusal::new(400, "AuthenticationFail.OIDCToken.Invalid", message));
            }
            let mut answer = assumed(request, access, ids, now)?;
            answer["OIDCTokenInfo"] =
                json!({ "Subject": "tests", "VerificationInfo": "Success", "ClientIds": "tests" });
            Ok(answer)
        }
        ("GetCallerIdentity", Some(who)) => {
            let kind = if who.session { "AssumedRoleUser" } else { "RAMUser" };
            let arn = match who.session {
                true => format!("{}/session", who.name.replace(":role/", ":assumed-role/")),
                false => format!("acs:ram::{}:user/neap", who.account),
            };
            Ok(json!({
                "IdentityType": kind,
                "AccountId": who.account,
                "PrincipalId": "28000000000000001",
                "UserId": "21000000000000001",
                "Arn": arn,
            }))
        }
        _ => Err(Refusal::no_such_operation()),
    }
}

fn invalid(name: &str) -> Refusal {
    let code = format!("InvalidParameter.{name}");
    Refusal::new(400, &code, format!("The parameter {name} is wrongly formed."))
}

fn assumed(
    request: &Request,
    access: &mut Access,
    ids: &mut Ids,
    now: Timestamp,
) -> Result<Value, Refusal> {
    let role = request.required("RoleArn")?;
    let session = request.required("RoleSessionName")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(plain) {
        return Err(invalid("RoleSessionName"));
    }
    let lasts = request.number("DurationSeconds", 900..=3600);
    let lasts = lasts.map_err(|_| invalid("DurationSeconds"))?.unwrap_or(3600);
    let credentials = access.session(role, Timestamp(now.0 + lasts), ids);
    Ok(json!({
        "AssumedRoleUser": {
            "AssumedRoleId": format!("33000000000000001:{session}"),
            "Arn": format!("{role}/{session}"),
        },
        "Credentials": credentials,
    }))
}
