//! Where the services are that are called without an SDK of their own: by the SDK's rules, of which
//! those of EC2 are here, and by what the operator's environment and profile say.

use aws_config::SdkConfig;
use aws_sdk_ec2::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_types::service_config::ServiceConfigKey;
use fleet::Region;

use super::thin::Service;

/// The variable by which an endpoint is set; that of one service has the service's name behind it.
const ENV: &str = "AWS_ENDPOINT_URL";
/// The same in a profile.
const PROFILE: &str = "endpoint_url";
/// How EC2 is called in its endpoints, and where FIPS 140 is asked for.
const EC2: &str = "ec2";
const EC2_FIPS: &str = "ec2-fips";
/// What the domain of the commercial partition and of GovCloud is called.
const COMMERCIAL: &str = "amazonaws.com";
/// The domain of the regions in China.
const CHINA: &str = "amazonaws.com.cn";
/// How regions of GovCloud begin.
const GOVCLOUD: &str = "us-gov-";

/// Why a service has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoEndpoint {
    #[error("the SDK knows no endpoint of region `{region}`: {why}")]
    Unresolved { region: Region, why: String },
    #[error("the SDK's endpoint `{url}` is not of the form that is known")]
    Strange { url: String },
}

/// What the operator says of endpoints, by the SDK's own order.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    /// URLs that were set, by service.
    set: Vec<(Service, String)>,
    fips: bool,
    dual_stack: bool,
}

impl Endpoints {
    /// What the SDK's own clients go by: the program's configuration first, then the variable or the
    /// profile's section for the service, then those for all services.
    pub(super) fn of(config: &SdkConfig) -> Endpoints {
        let set =
            Service::ALL.into_iter().filter_map(|service| Some((service, url(config, service)?)));
        Endpoints {
            set: set.collect(),
            fips: config.use_fips().unwrap_or(false),
            dual_stack: config.use_dual_stack().unwrap_or(false),
        }
    }

    /// Scheme and host of a service in a region.
    pub(super) async fn base(
        &self,
        service: Service,
        region: &Region,
    ) -> Result<String, NoEndpoint> {
        if let Some((_, url)) = self.set.iter().find(|(of, _)| *of == service) {
            return Ok(url.clone());
        }
        let like = resolved(region, self.fips, self.dual_stack).await?;
        let found = match service {
            Service::Identity => of_identity(region, &like, self.fips, self.dual_stack),
            _ => of_service(service, &like, self.fips),
        };
        found.ok_or(NoEndpoint::Strange { url: like })
    }
}

fn url(config: &SdkConfig, service: Service) -> Option<String> {
    let all = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return all;
    }
    let key = ServiceConfigKey::builder();
    let key = key.service_id(service.id()).env(ENV).profile(PROFILE).build().ok()?;
    config.service_config().and_then(|loaded| loaded.load_config(key)).or(all)
}

/// EC2's own endpoint. Its rules have every partition, its domains and what FIPS 140 is called there.
async fn resolved(region: &Region, fips: bool, dual_stack: bool) -> Result<String, NoEndpoint> {
    let unresolved = |why: String| NoEndpoint::Unresolved { region: region.clone(), why };
    let params = Params::builder().region(region.as_str()).use_fips(fips);
    let params = params.use_dual_stack(dual_stack).build();
    let params = params.map_err(|error| unresolved(error.to_string()))?;
    let found = DefaultResolver::new().resolve_endpoint(&params).await;
    found.map(|found| found.url().to_owned()).map_err(|error| unresolved(error.to_string()))
}

/// The endpoint of a service by that of EC2: only the first word of the host differs.
fn of_service(service: Service, ec2: &str, fips: bool) -> Option<String> {
    let (word, rest) = ec2.strip_prefix("https://")?.split_once('.')?;
    let name = service.host();
    let marked = match word {
        EC2_FIPS => true,
        // In GovCloud every endpoint of these is one of FIPS 140, and called as elsewhere without it.
        EC2 => fips && (service == Service::Keys || service == Service::Quotas && is_dual(rest)),
        _ => return None,
    };
    let mark = if marked { "-fips" } else { "" };
    Some(format!("https://{name}{mark}.{rest}"))
}

/// Whether an endpoint's domain is one for both kinds of addresses.
fn is_dual(domain: &str) -> bool {
    domain.ends_with(".api.aws")
}

/// Users and roles have one endpoint a partition, of a form of its own. Beyond the two large partitions
/// only the plain one is known.
fn of_identity(region: &Region, ec2: &str, fips: bool, dual_stack: bool) -> Option<String> {
    let (_, rest) = ec2.strip_prefix("https://")?.split_once('.')?;
    let mark = if fips { "-fips" } else { "" };
    let domain = if dual_stack { "api.aws" } else { COMMERCIAL };
    if rest != format!("{region}.{domain}") {
        let home = identity_home(region);
        let rest = rest.replacen(region.as_str(), home.as_str(), 1);
        return (!fips && !dual_stack).then(|| format!("https://iam.{rest}"));
    }
    Some(match (region.as_str().starts_with(GOVCLOUD), dual_stack) {
        (true, _) => format!("https://iam.us-gov.{domain}"),
        (false, true) => format!("https://iam{mark}.global.{domain}"),
        (false, false) => format!("https://iam{mark}.{domain}"),
    })
}

/// The region that requests about users and roles are signed for.
pub(super) fn identity_home(region: &Region) -> Region {
    let name = region.as_str();
    let home = match name {
        _ if name.starts_with(GOVCLOUD) => "us-gov-west-1",
        _ if name.starts_with("cn-") => "cn-north-1",
        // The small partitions have one region so far.
        _ if name.starts_with("eusc-") || name.contains("-iso") => name,
        _ => "us-east-1",
    };
    Region::new(home).expect("the name is sound")
}

/// The region whose price list has the prices of this one, signed for with the keys of its partition;
/// `None` in partitions that have none.
pub(super) async fn price_list(region: &Region) -> Option<Region> {
    let plain = resolved(region, false, false).await.ok()?;
    let (_, domain) = plain.split_once(&format!(".{region}."))?;
    let home = match domain {
        COMMERCIAL if !region.as_str().starts_with(GOVCLOUD) => "us-east-1",
        CHINA => "cn-northwest-1",
        _ => return None,
    };
    Region::new(home)
}

#[cfg(test)]
mod tests {
    use aws_types::origin::Origin;
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// By botocore 1.44.8, whose rules are the service teams' own: service, region, then the endpoint
    /// plain, with FIPS, with dual-stack, and with both.
    const VECTORS: &str = include_str!("endpoint/vectors.txt");

    fn region(name: &str) -> Region {
        Region::new(name).unwrap()
    }

    #[tokio::test]
    async fn endpoints_are_those_of_the_official_rules_in_every_partition() {
        let mut seen = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, place, expected @ ..] = words.as_slice() else { panic!("{line}") };
            let service = Service::ALL.into_iter().find(|one| one.id().replace(' ', "_") == *name);
            let service = service.unwrap_or_else(|| panic!("{line}"));
            let modes = [(false, false), (true, false), (false, true), (true, true)];
            for ((fips, dual_stack), expected) in modes.into_iter().zip(expected) {
                let endpoints = Endpoints { set: Vec::new(), fips, dual_stack };
                let found = endpoints.base(service, &region(place)).await.unwrap();
                assert_eq!(
                    found,
                    format!("https://{expected}"),
                    "{name} {place} {fips} {dual_stack}"
                );
                seen += 1;
            }
        }
        assert!(seen >= 170, "{seen} vectors");
    }

    /// What an operator says for one service, by variable and section of the profile.
    #[derive(Debug)]
    struct Says(&'static str, &'static str);

    impl LoadServiceConfig for Says {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            assert_eq!((key.env(), key.profile()), ("AWS_ENDPOINT_URL", "endpoint_url"));
            (key.service_id() == self.0).then(|| self.1.to_owned())
        }
    }

    async fn rds_and_elb(config: &SdkConfig) -> [String; 2] {
        let (endpoints, place) = (Endpoints::of(config), region("eu-west-1"));
        let base = |service| endpoints.base(service, &place);
        [base(Service::Rds).await.unwrap(), base(Service::LoadBalancing).await.unwrap()]
    }

    #[tokio::test]
    async fn what_is_said_for_one_service_goes_before_what_is_said_for_all() {
        let says = || SdkConfig::builder().service_config(Says("RDS", "https://vpce.example"));
        let rules = "https://elasticloadbalancing.eu-west-1.amazonaws.com";
        assert_eq!(rds_and_elb(&says().build()).await, ["https://vpce.example", rules]);
        let all = says().endpoint_url("https://all.example").build();
        assert_eq!(rds_and_elb(&all).await, ["https://vpce.example", "https://all.example"]);
        // The configuration of neap itself is the nearest.
        let mut own = says().endpoint_url("http://127.0.0.1:5000");
        own.insert_origin("endpoint_url", Origin::shared_config());
        assert_eq!(rds_and_elb(&own.build()).await, ["http://127.0.0.1:5000"; 2]);
        let fips = SdkConfig::builder().use_fips(true).use_dual_stack(true).build();
        let [rds, _] = rds_and_elb(&fips).await;
        assert_eq!(rds, "https://rds-fips.eu-west-1.api.aws");
    }

    /// By botocore, too: one endpoint a partition, signed for in its home.
    #[tokio::test]
    async fn users_and_roles_have_one_endpoint_in_each_partition() {
        for (place, home, host) in [
            ("ap-southeast-7", "us-east-1", "iam.amazonaws.com"),
            ("us-gov-east-1", "us-gov-west-1", "iam.us-gov.amazonaws.com"),
            ("cn-northwest-1", "cn-north-1", "iam.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "eusc-de-east-1", "iam.eusc-de-east-1.amazonaws.eu"),
            ("us-isob-east-1", "us-isob-east-1", "iam.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(identity_home(&region(place)), region(home), "{place}");
            let plain = Endpoints::default();
            let found = plain.base(Service::Identity, &region(place)).await.unwrap();
            assert_eq!(found, format!("https://{host}"), "{place}");
        }
        let fips = Endpoints { set: Vec::new(), fips: true, dual_stack: false };
        let found = fips.base(Service::Identity, &region("cn-north-1")).await;
        assert!(matches!(found, Err(NoEndpoint::Strange { .. })), "{found:?}");
    }

    #[tokio::test]
    async fn price_lists_are_of_their_own_partition() {
        for (place, home) in [
            ("eu-west-1", Some("us-east-1")),
            ("eu-newplace-9", Some("us-east-1")),
            ("cn-north-1", Some("cn-northwest-1")),
            ("us-gov-west-1", None),
            ("eusc-de-east-1", None),
            ("us-iso-east-1", None),
            ("us-isob-east-1", None),
            ("eu-isoe-west-1", None),
            ("us-isof-south-1", None),
        ] {
            assert_eq!(price_list(&region(place)).await, home.map(region), "{place}");
        }
    }
}
