//! Names and counts: things that must not be mistaken for each other.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// What stands for the account and the region of a source that has neither.
pub const NOWHERE: &str = "default";
/// The account of the simulated cloud.
pub const SIMULATED_ACCOUNT: &str = "default";
/// The region of the simulated cloud.
pub const SIMULATED_REGION: &str = "sim-1";

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// `None` for an empty name or one with control characters or surrounding blanks.
            pub fn new(text: impl Into<String>) -> Option<$name> {
                let text = text.into();
                let sound = !text.is_empty()
                    && text.trim() == text
                    && !text.chars().any(char::is_control);
                sound.then(|| $name(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<$name, &'static str> {
                $name::new(text).ok_or("a name is not empty and has no control characters or blanks around it")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A workload as the operator named it in the configuration.
    ///
    /// ```
    /// use fleet::ServiceName;
    ///
    /// let name = ServiceName::new("checkout").expect("a name");
    /// assert_eq!(name.as_str(), "checkout");
    /// // Nothing that a table or a log would break over is a name.
    /// for none in ["", " checkout", "check\nout"] {
    ///     assert_eq!(ServiceName::new(none), None);
    /// }
    /// ```
    ServiceName
}
name! {
    /// A configured provider, the `NAME` of `[provider.NAME]`.
    ProviderName
}
name! {
    /// A cloud account (AWS account id, Alibaba Cloud uid), `default` where the credentials decide.
    AccountId
}
name! {
    /// A cloud region, as the cloud spells it.
    Region
}

/// A rule's or a schedule's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleName(pub String);

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account of a provider: what budgets of an account are kept under. It is written, and sorts, as
/// `provider/account`.
///
/// ```
/// use fleet::{AccountId, AccountKey, ProviderName};
///
/// let (provider, account) = (ProviderName::new("aws"), AccountId::new("123456789012"));
/// let key = AccountKey::of(&provider.expect("a name"), &account.expect("a name"));
/// assert_eq!(key.to_string(), "aws/123456789012");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountKey(String);

impl AccountKey {
    /// The account of a provider.
    pub fn of(provider: &ProviderName, account: &AccountId) -> AccountKey {
        AccountKey(format!("{provider}/{account}"))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to look for a group, as the configuration names it.
///
/// ```
/// use fleet::names::{NOWHERE, SIMULATED_REGION};
/// use fleet::{AccountId, GroupRef, ProviderName, Region};
///
/// let group = GroupRef {
///     provider: ProviderName::new("sim").expect("a name"),
///     account: AccountId::new(NOWHERE).expect("a name"),
///     region: Region::new(SIMULATED_REGION).expect("a name"),
///     name: "checkout-asg".to_owned(),
/// };
/// // People are shown no account: the provider they configured stands for it.
/// assert_eq!(group.to_string(), "sim/sim-1/checkout-asg");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupRef {
    /// The provider that holds it.
    pub provider: ProviderName,
    /// The account it lives in.
    pub account: AccountId,
    /// The region it lives in.
    pub region: Region,
    /// Its name (AWS) or scaling-group id (Alibaba Cloud) within account and region.
    pub name: String,
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.region, self.name)
    }
}

/// An account of a provider in a region: what groups are looked for in.
///
/// ```
/// use fleet::names::NOWHERE;
/// use fleet::{AccountId, Place, ProviderName, Region};
///
/// let of = |account: &str| Place {
///     provider: ProviderName::new("aws").expect("a name"),
///     account: AccountId::new(account).expect("a name"),
///     region: Region::new("eu-west-1").expect("a name"),
/// };
/// assert_eq!(of("111122223333").to_string(), "aws/111122223333/eu-west-1");
/// // Where the credentials decide the account, nobody needs to read that.
/// assert_eq!(of(NOWHERE).to_string(), "aws/eu-west-1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub provider: ProviderName,
    /// The account as its provider's configuration calls it.
    pub account: AccountId,
    pub region: Region,
}

impl Place {
    /// Where a group is.
    pub fn of(group: &GroupRef) -> Place {
        let GroupRef { provider, account, region, .. } = group.clone();
        Place { provider, account, region }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account.as_str() {
            NOWHERE => write!(f, "{}/{}", self.provider, self.region),
            account => write!(f, "{}/{account}/{}", self.provider, self.region),
        }
    }
}

/// One group and no other: a group made anew under the same name has another `id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// The provider that holds it.
    pub provider: ProviderName,
    /// The account it lives in.
    pub account: AccountId,
    /// The region it lives in.
    pub region: Region,
    /// What the cloud never gives twice: the ARN or the scaling-group id.
    pub id: String,
}

impl GroupId {
    /// How ids of simulated groups begin.
    pub const SIMULATED: &'static str = "arn:sim:";

    /// Whether both are one group to the cloud, by whichever provider and under whichever name of its
    /// account it was reached: no cloud gives an id twice.
    ///
    /// ```
    /// use fleet::{AccountId, GroupId, ProviderName, Region};
    ///
    /// let group = |provider: &str, account: &str, id: &str| GroupId {
    ///     provider: ProviderName::new(provider).expect("a name"),
    ///     account: AccountId::new(account).expect("a name"),
    ///     region: Region::new("cn-hangzhou").expect("a name"),
    ///     id: id.to_owned(),
    /// };
    /// let web = group("a", "default", "asg-1");
    /// assert!(web.is_same_group(&group("b", "111122223333", "asg-1")));
    /// assert!(!web.is_same_group(&group("a", "default", "asg-2")));
    /// // Each simulated cloud is a world of its own.
    /// let made = |provider| group(provider, "default", "arn:sim:web");
    /// assert!(!made("a").is_same_group(&made("b")));
    /// ```
    pub fn is_same_group(&self, other: &GroupId) -> bool {
        self.identity() == other.identity()
    }

    /// What makes a group one and no other to its cloud; see [`GroupId::is_same_group`].
    pub fn identity(&self) -> (Option<&ProviderName>, &Region, &str) {
        let simulated = self.id.starts_with(GroupId::SIMULATED);
        (simulated.then_some(&self.provider), &self.region, &self.id)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.id)
    }
}

/// An amount of capacity in the group's own units: the weight of its instances, 1 each unless
/// the group says otherwise. Not a count of instances.
///
/// ```
/// use fleet::Units;
///
/// assert_eq!([Units(1), Units(12)].map(|units| units.to_string()), ["1 unit", "12 units"]);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Units(pub u32);

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("1 unit") } else { write!(f, "{} units", self.0) }
    }
}
