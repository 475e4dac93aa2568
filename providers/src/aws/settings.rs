//! What the operator says about AWS, and how it writes roles.

use crate::{CloudSettings, RoleSyntax};

/// Everything an [`super::Aws`] is made from: AWS asks nothing that other clouds do not.
pub type Settings = CloudSettings<IamRoles>;

/// How AWS writes the ARN of an IAM role, in any partition:
/// `arn:PARTITION:iam::TWELVE DIGITS:role/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IamRoles {}

impl RoleSyntax for IamRoles {
    const EXAMPLE: &'static str = "arn:aws:iam::111122223333:role/neap";

    fn account(text: &str) -> Option<&str> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, iam, region, account, role] = parts[..] else { return None };
        let sound = arn == "arn"
            && partition.starts_with("aws")
            && iam == "iam"
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty());
        sound.then_some(account)
    }
}

/// The ARN of an IAM role, such as `arn:aws:iam::111122223333:role/neap`.
pub type RoleArn = crate::RoleArn<IamRoles>;
/// An account that is entered by assuming an IAM role in it.
pub type RoleAccount = crate::RoleAccount<IamRoles>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NotARoleArn;

    #[test]
    fn only_role_arns_are_role_arns() {
        let account = |text| RoleArn::parse(text).map(|arn| arn.account().to_string());
        assert_eq!(account("arn:aws:iam::111122223333:role/neap").unwrap(), "111122223333");
        assert_eq!(account("arn:aws-cn:iam::111122223333:role/a/b").unwrap(), "111122223333");
        for wrong in [
            "",
            "neap",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::1111:role/neap",
            "arn:aws:iam::111122223333:user/neap",
            "arn:aws:iam:eu-west-1:111122223333:role/neap",
            "arn:aws:s3:::bucket",
        ] {
            let fault = NotARoleArn { found: wrong.into(), example: IamRoles::EXAMPLE };
            assert_eq!(account(wrong), Err(fault), "{wrong}");
        }
    }
}
