//! Where a product of a region is reached, as the official SDKs of 2026 have it.

use fleet::Region;

/// A product and the version of its API that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// Instances.
    Ecs,
    /// Scaling groups.
    Ess,
    /// Metrics.
    Cms,
    /// Roles.
    Sts,
    /// Networks, their routes and addresses.
    Vpc,
    /// Classic load balancers (CLB).
    Slb,
    /// Application load balancers.
    Alb,
    /// Network load balancers.
    Nlb,
}

/// From where the endpoints are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// From anywhere.
    #[default]
    Public,
    /// From inside a VPC of the same region.
    Vpc,
}

/// Regions whose scaling groups are reached at the central endpoint.
const ESS_CENTRAL: &[&str] = &[
    "ap-southeast-1",
    "cn-beijing",
    "cn-beijing-finance-1",
    "cn-beijing-gov-1",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-hongkong",
    "cn-nanjing",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "us-east-1",
    "us-west-1",
];
/// Regions whose instances are reached at the central endpoint.
const ECS_CENTRAL: &[&str] = &["cn-beijing-gov-1", "cn-hangzhou-finance", "cn-north-2-gov-1"];
/// Regions whose instances are reached through Hangzhou.
const ECS_HANGZHOU: &[&str] = &["cn-hangzhou", "cn-shanghai-finance-1", "cn-shenzhen-finance-1"];
/// Regions whose roles are taken at the central endpoint.
const STS_CENTRAL: &[&str] = &["ap-south-1", "ap-southeast-2", "cn-beijing-gov-1"];
/// Regions whose networks are reached at the central endpoint.
const VPC_CENTRAL: &[&str] = &[
    "cn-beijing-gov-1",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-north-2-gov-1",
    "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1",
    "cn-wuhan",
];
/// Regions whose classic load balancers are reached at the central endpoint.
const SLB_CENTRAL: &[&str] = &[
    "ap-southeast-1",
    "cn-beijing",
    "cn-beijing-gov-1",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-hongkong",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wuhan",
    "us-east-1",
    "us-west-1",
];
/// The region whose application load balancers are reached through Hangzhou.
const ALB_HANGZHOU: &str = "cn-hangzhou-finance";

impl Product {
    /// The version of the API.
    pub fn version(self) -> &'static str {
        match self {
            Product::Ecs => "2014-05-26",
            Product::Ess => "2022-02-22",
            Product::Cms => "2019-01-01",
            Product::Sts => "2015-04-01",
            Product::Vpc => "2016-04-28",
            Product::Slb => "2014-05-15",
            Product::Alb => "2020-06-16",
            Product::Nlb => "2022-04-30",
        }
    }

    /// The first label of its host names.
    fn label(self) -> &'static str {
        match self {
            Product::Ecs => "ecs",
            Product::Ess => "ess",
            Product::Cms => "metrics",
            Product::Sts => "sts",
            Product::Vpc => "vpc",
            Product::Slb => "slb",
            Product::Alb => "alb",
            Product::Nlb => "nlb",
        }
    }

    /// The host that serves it in a region.
    pub fn host(self, region: &Region, network: Network) -> String {
        let (label, region) = (self.label(), region.as_str());
        let central = match self {
            Product::Ecs => ECS_CENTRAL,
            Product::Ess => ESS_CENTRAL,
            Product::Cms | Product::Alb | Product::Nlb => &[],
            Product::Sts => STS_CENTRAL,
            Product::Vpc => VPC_CENTRAL,
            Product::Slb => SLB_CENTRAL,
        };
        match network {
            // The one product that goes by another name inside. [CloudMonitor, "Endpoints"]
            Network::Vpc if self == Product::Cms => format!("cms-vpc.{region}.aliyuncs.com"),
            Network::Vpc => format!("{label}-vpc.{region}.aliyuncs.com"),
            Network::Public if self == Product::Ecs && ECS_HANGZHOU.contains(&region) => {
                "ecs-cn-hangzhou.aliyuncs.com".to_owned()
            }
            Network::Public if self == Product::Alb && region == ALB_HANGZHOU => {
                "alb.cn-hangzhou.aliyuncs.com".to_owned()
            }
            Network::Public if central.contains(&region) => format!("{label}.aliyuncs.com"),
            Network::Public => format!("{label}.{region}.aliyuncs.com"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_of_the_official_clients() {
        let table = [
            (Product::Ecs, "cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
            (Product::Ecs, "ap-southeast-1", "ecs.ap-southeast-1.aliyuncs.com"),
            (Product::Ecs, "cn-hangzhou-finance", "ecs.aliyuncs.com"),
            (Product::Vpc, "cn-hangzhou", "vpc.aliyuncs.com"),
            (Product::Vpc, "eu-central-1", "vpc.eu-central-1.aliyuncs.com"),
            (Product::Slb, "cn-beijing", "slb.aliyuncs.com"),
            (Product::Slb, "eu-central-1", "slb.eu-central-1.aliyuncs.com"),
            (Product::Alb, "cn-hangzhou", "alb.cn-hangzhou.aliyuncs.com"),
            (Product::Alb, "cn-hangzhou-finance", "alb.cn-hangzhou.aliyuncs.com"),
            (Product::Nlb, "cn-beijing", "nlb.cn-beijing.aliyuncs.com"),
            (Product::Ess, "ap-southeast-1", "ess.aliyuncs.com"),
            (Product::Ess, "eu-central-1", "ess.eu-central-1.aliyuncs.com"),
            (Product::Cms, "cn-hangzhou", "metrics.cn-hangzhou.aliyuncs.com"),
            (Product::Sts, "us-east-1", "sts.us-east-1.aliyuncs.com"),
            (Product::Sts, "ap-south-1", "sts.aliyuncs.com"),
        ];
        for (product, region, host) in table {
            let region = Region::new(region).unwrap();
            assert_eq!(product.host(&region, Network::Public), host);
        }
        let inside = [
            (Product::Cms, "cn-hangzhou", "cms-vpc.cn-hangzhou.aliyuncs.com"),
            (Product::Cms, "eu-central-1", "cms-vpc.eu-central-1.aliyuncs.com"),
            (Product::Ess, "cn-hangzhou", "ess-vpc.cn-hangzhou.aliyuncs.com"),
            (Product::Sts, "us-east-1", "sts-vpc.us-east-1.aliyuncs.com"),
        ];
        for (product, region, host) in inside {
            assert_eq!(product.host(&Region::new(region).unwrap(), Network::Vpc), host);
        }
    }
}
