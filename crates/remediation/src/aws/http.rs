//! The HTTP client of the AWS SDK: it goes by the proxies and the certificates of the environment.
//!
//! There are up to three clients of the SDK's own behind it: one that connects directly, one for each proxy. Which of
//! them takes a request is decided here, by the request's address, since the SDK's rules for NO_PROXY know no ports.
//! Each makes its connector, and reads the certificates for it, when the first request needs it.

use std::sync::{Arc, Once};

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use network::{CaBundle, Failure, Network, Proxies, Proxy};

use super::traffic;

/// Status of a proxy that wants credentials. <https://www.rfc-editor.org/rfc/rfc9110#status.407>
const PROXY_CREDENTIALS: u16 = 407;

/// A client that reaches AWS by `network`.
pub(super) fn http_client(network: Network) -> SharedHttpClient {
    let Network { proxies, ca_bundle } = network;
    let context = tls_context(ca_bundle.as_ref());
    let by = |proxy: Option<&Proxy>, config: fn(&str) -> Option<ProxyConfig>| {
        proxy.and_then(|proxy| config(proxy.url().as_str())).map(|config| client(context.clone(), Some(config)))
    };
    let https = by(proxies.https(), |url| ProxyConfig::https(url).ok());
    let http = by(proxies.http(), |url| ProxyConfig::http(url).ok());
    let (direct, proxies, warmed_up) = (client(context, None), Arc::new(proxies), Once::new());
    SharedHttpClient::new(Routes { proxies, direct, https, http, warmed_up })
}

/// The system's certificates, and those of the bundle.
fn tls_context(bundle: Option<&CaBundle>) -> TlsContext {
    let store = TrustStore::default();
    let store = match bundle {
        Some(bundle) => store.with_pem_certificate(bundle.pem()),
        None => store,
    };
    TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
}

fn client(context: TlsContext, proxy: Option<ProxyConfig>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(proxy.clone());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context.clone()).build()
    })
}

#[derive(Debug)]
struct Routes {
    proxies: Arc<Proxies>,
    direct: SharedHttpClient,
    https: Option<SharedHttpClient>,
    http: Option<SharedHttpClient>,
    warmed_up: Once,
}

impl HttpClient for Routes {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Route {
            proxies: Arc::clone(&self.proxies),
            direct: self.direct.clone(),
            https: self.https.clone(),
            http: self.http.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }

    /// Reads the certificates before the first request, and once: every service's client asks for it, and the SDK's own
    /// would parse some hundred certificates each time.
    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let mut validated = Ok(());
        self.warmed_up.call_once(|| {
            validated = self.https.as_ref().unwrap_or(&self.direct).validate_base_client_config(components, config);
        });
        validated
    }
}

/// Where the requests of one call go.
#[derive(Debug)]
struct Route {
    proxies: Arc<Proxies>,
    direct: SharedHttpClient,
    https: Option<SharedHttpClient>,
    http: Option<SharedHttpClient>,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl Route {
    /// The client for a proxy's scheme, or the direct one.
    fn client(&self, scheme: &str, proxy: Option<&Proxy>) -> &SharedHttpClient {
        let by_proxy = if scheme == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.and(by_proxy).unwrap_or(&self.direct)
    }
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Ok(uri) = request.uri().parse::<http::Uri>() else {
            return HttpConnectorFuture::ready(Err(ConnectorError::user("the address of the request is none".into())));
        };
        let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default().to_owned());
        let proxy = self.proxies.of_address(scheme, &host, uri.port_u16()).cloned();
        let connector = self.client(scheme, proxy.as_ref()).http_connector(&self.settings, &self.components);
        traffic::count_request();
        let answer = connector.call(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(answer) => match refused(&answer, &host, proxy.as_ref()) {
                    Some(error) => Err(explained(error)),
                    None => traffic::count_answer(answer).await,
                },
                Err(error) => Err(told(error, &host, proxy.as_ref())),
            }
        })
    }
}

/// What a proxy says that carries requests itself, as those to `http` addresses.
fn refused(answer: &HttpResponse, host: &str, proxy: Option<&Proxy>) -> Option<Failure> {
    let proxy = proxy.filter(|_| answer.status().as_u16() == PROXY_CREDENTIALS)?;
    Some(Failure::ProxyCredentials { proxy: proxy.to_string(), variable: proxy.variable(), host: host.to_owned() })
}

/// The error with what to look at, where that can be told.
fn told(error: ConnectorError, host: &str, proxy: Option<&Proxy>) -> ConnectorError {
    match Failure::of(&error, host, proxy) {
        Some(failure) => explained(failure),
        None => error,
    }
}

/// The SDK tries again what is an I/O error, and nothing of what is not told apart.
fn explained(failure: Failure) -> ConnectorError {
    if failure.is_permanent() {
        ConnectorError::other(failure.into(), None)
    } else {
        ConnectorError::io(failure.into())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::sync::Mutex;
    use std::time::Duration;

    use aws_config::retry::RetryConfig;
    use aws_config::timeout::TimeoutConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Error, ErrorKind};

    /// A proxy that answers every request with this; gives its host and port, and what it is asked.
    async fn proxy(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<_>>>::default());
        let heard = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = client.read(&mut head).await.unwrap_or_default();
                heard.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
                drop(client.write_all(answer.as_bytes()).await);
            }
        });
        (address, heads)
    }

    fn proxies(environment: &[(&str, String)]) -> Proxies {
        Proxies::of(|name| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| OsString::from(value)))
            .unwrap()
    }

    fn config(environment: &[(&str, String)]) -> SdkConfig {
        let network = Network { proxies: proxies(environment), ca_bundle: None };
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_millis(300)).build())
            .http_client(http_client(network))
            .build()
    }

    async fn failure(config: &SdkConfig) -> Error {
        let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
        Error::api("sts:GetCallerIdentity", answer.unwrap_err())
    }

    const STS: &str = "sts.eu-west-3.amazonaws.com";

    #[tokio::test]
    async fn a_proxy_that_wants_other_credentials_is_named_without_them_and_asked_once() {
        let (address, heads) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
        let error = failure(&config(&[("HTTPS_PROXY", format!("http://me:hunter%402@{address}"))])).await;
        assert_eq!(error.kind, ErrorKind::Transient);
        for part in [&*address, STS, "HTTP 407", "HTTPS_PROXY"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
        let heads = heads.lock().unwrap();
        let [head] = &heads[..] else { panic!("{heads:?}") };
        assert!(head.starts_with(&format!("CONNECT {STS}:443 HTTP/1.1\r\n")), "{head}");
        // me:hunter@2
        assert!(head.contains("Proxy-Authorization: Basic bWU6aHVudGVyQDI=\r\n"), "{head}");
        assert!(!head.contains("GetCallerIdentity") && !head.contains("AWS4"), "{head}");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_a_host_is_named_with_it() {
        let (address, heads) = proxy("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        let error = failure(&config(&[("https_proxy", address.clone())])).await;
        for part in [&*format!("the proxy http://{address} did not connect to {STS}"), "NO_PROXY"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
        assert_eq!(heads.lock().unwrap().len(), 3, "it may be over in a moment");
    }

    #[tokio::test]
    async fn a_proxy_that_nobody_answers_at_is_named_with_its_variable() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = failure(&config(&[("https_proxy", format!("http://{free}"))])).await;
        assert!(
            error.message.contains(&format!("the proxy http://{free} cannot be reached (Connection refused")),
            "{error}"
        );
        assert!(error.message.contains("Check https_proxy"), "{error}");
        // It takes the connection, and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let error = failure(&config(&[("HTTPS_PROXY", format!("http://{address}"))])).await;
        assert!(error.message.contains("it does not answer in time"), "{error}");
    }

    #[tokio::test]
    async fn a_plain_address_goes_through_the_proxy_for_http_alone_and_not_if_it_is_an_exception() {
        let (address, heads) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
        let plain = |environment: &[(&str, String)]| {
            config(environment).to_builder().endpoint_url("http://127.0.0.1:9").build()
        };
        let http = ("HTTP_PROXY", address.clone());
        let error = failure(&plain(std::slice::from_ref(&http))).await;
        assert!(error.message.contains("HTTP_PROXY") && error.message.contains("HTTP 407"), "{error}");
        assert!(heads.lock().unwrap()[0].starts_with("POST http://127.0.0.1:9/ HTTP/1.1\r\n"), "{heads:?}");

        heads.lock().unwrap().clear();
        for environment in [&[("HTTPS_PROXY", address)][..], &[http, ("NO_PROXY", "127.0.0.1:9".to_owned())]] {
            let error = failure(&plain(environment)).await;
            assert!(error.message.contains("Connection refused") && !error.message.contains("proxy"), "{error}");
        }
        assert!(heads.lock().unwrap().is_empty(), "{heads:?}");
    }

    #[tokio::test]
    async fn a_host_without_an_address_is_named() {
        let config = config(&[]).to_builder().endpoint_url("https://sts.example.invalid").build();
        let error = failure(&config).await;
        assert!(error.message.contains("the name sts.example.invalid cannot be resolved"), "{error}");
        assert!(error.message.contains("HTTPS_PROXY"), "{error}");
    }

    #[tokio::test]
    async fn other_failures_stay_what_they_are() {
        let broken = http_client_fn(|_, _| {
            #[derive(Debug)]
            struct Broken;
            impl HttpConnector for Broken {
                fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
                    HttpConnectorFuture::ready(Err(told(ConnectorError::io("it broke".into()), "host", None)))
                }
            }
            SharedHttpConnector::new(Broken)
        });
        let error = failure(&config(&[]).to_builder().http_client(broken).build()).await;
        assert!(error.message.contains("it broke"), "{error}");
    }
}
