//! One HTTP client for all of AWS: connections and trusted certificates are held once.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// The SDK's own default client, made once instead of once a service, account and region.
///
/// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured; where a proxy is set, `NO_PROXY` must
/// name `169.254.169.254` and `169.254.170.2`, from which the machine's credentials come.
pub(super) fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}
