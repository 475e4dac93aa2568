//! One HTTP client for all of AWS: connections and trusted certificates are held once.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

use crate::body::BODY_BYTES_MAX;

/// Where a machine's or a container's own credentials and facts come from, which no proxy can reach:
/// EC2's metadata, ECS, EKS pod identity.
const METADATA: [&str; 5] =
    ["169.254.169.254", "[fd00:ec2::254]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// The SDK's own default client, made once instead of once a service, account and region.
///
/// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured, but for [`METADATA`].
pub(super) fn client() -> SharedHttpClient {
    let client = |proxy: fn() -> ProxyConfig| {
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector =
                ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector.set_proxy_config(Some(proxy()));
            connector.build()
        })
    };
    let (proxied, direct) = (client(ProxyConfig::from_env), client(ProxyConfig::disabled));
    SharedHttpClient::new(Bounded { proxied, direct })
}

/// Whether this is asked of the machine itself.
fn is_metadata(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    METADATA.iter().any(|host| {
        let port = authority.strip_prefix(host);
        port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })
}

/// A client that reads answers up to a size: the SDK holds the whole of each in memory, however
/// long it is. What is asked of the machine itself goes past any proxy.
#[derive(Debug)]
struct Bounded {
    proxied: SharedHttpClient,
    direct: SharedHttpClient,
}

impl HttpClient for Bounded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector {
            proxied: self.proxied.http_connector(settings, components),
            direct: self.direct.http_connector(settings, components),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.proxied.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.proxied.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.proxied.connector_metadata()
    }
}

/// The same of one connection.
#[derive(Debug)]
struct BoundedConnector {
    proxied: SharedHttpConnector,
    direct: SharedHttpConnector,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = if is_metadata(request.uri()) { &self.direct } else { &self.proxied };
        let answer = way.call(request);
        HttpConnectorFuture::new(async move {
            let bounded =
                |body: SdkBody| SdkBody::from_body_1_x(Limited::new(body, BODY_BYTES_MAX));
            Ok(answer.await?.map(bounded))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// A way that remembers what went over it and lets nothing through.
    #[derive(Clone, Debug, Default)]
    struct Recording(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Recording {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            self.0.lock().unwrap().push(request.uri().to_owned());
            HttpConnectorFuture::ready(Err(ConnectorError::io("nobody is here".into())))
        }
    }

    #[tokio::test]
    async fn credentials_of_the_machine_itself_are_never_asked_of_a_proxy() {
        let [proxied, direct] = [Recording::default(), Recording::default()];
        let connector = BoundedConnector {
            proxied: SharedHttpConnector::new(proxied.clone()),
            direct: SharedHttpConnector::new(direct.clone()),
        };
        let own = [
            "http://169.254.169.254/latest/api/token",
            "http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials/",
            "http://169.254.170.2/v2/credentials/0a",
            "http://169.254.170.23/v1/credentials",
            "http://169.254.170.23:80/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ];
        let others = [
            "https://ec2.eu-west-1.amazonaws.com/",
            "http://169.254.170.234/v1/credentials",
            "http://169.254.169.254.example.com/",
            "http://example.com/169.254.169.254",
            "http://127.0.0.1:5000/",
        ];
        for uri in own.iter().chain(&others) {
            let request = HttpRequest::get(*uri).unwrap();
            assert!(connector.call(request).await.is_err());
        }
        assert_eq!(*direct.0.lock().unwrap(), own);
        assert_eq!(*proxied.0.lock().unwrap(), others);
    }
}
