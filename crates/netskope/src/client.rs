//! Requests over HTTPS: at most four a second, with retries where another try can help.

use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use escape::brief;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use network::{Failure, Network, Proxies, Proxy};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Method, Request, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};
use url::{Host, Url};

use crate::list::Asked;
use crate::page::{Envelope, Place};
use crate::redact::Forms;
use crate::text::readable;
use crate::{Error, Filter, Pace, PageError, Violations};

/// The largest `limit` that the API takes: a positive integer below 10,000.
pub const MAX_PAGE_SIZE: u32 = 9_999;
/// How far apart a client's requests are, unless something else says when they may be sent. The API accepts four a second.
const APART: Duration = Duration::from_millis(250);
/// The longest wait that a server's Retry-After can impose.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How often the first connection is attempted. Retrying does not correct a wrong name, and each attempt can take
/// [`CONNECT_TIMEOUT`].
const CONNECT_TRIES: usize = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where the API is, and what carries requests to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: Url,
    transport: Option<Arc<dyn Transport>>,
}

/// Carries requests in place of the network.
pub trait Transport: fmt::Debug + Send + Sync {
    /// The answer to a request; or why none came.
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, String>> + Send + '_>>;
}

impl Endpoint {
    /// The API of a tenant, by the tenant's fully qualified domain name.
    ///
    /// # Errors
    ///
    /// The text is not a domain name.
    pub fn tenant(fqdn: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Endpoint { address: fqdn.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(&format!("https://{fqdn}/")).map_err(|error| invalid(&error.to_string()))?;
        let is_domain = url.host_str() == Some(&fqdn.to_ascii_lowercase()) && fqdn.contains('.');
        if is_domain {
            Ok(Self { url, transport: None })
        } else {
            Err(invalid("give only the tenant's domain name, such as example.goskope.com"))
        }
    }

    /// The API at another address, such as a proxy or a stand-in.
    ///
    /// # Errors
    ///
    /// The text is not a URL, or the token would travel unencrypted to another machine.
    pub fn url(address: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Endpoint { address: address.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(address).map_err(|error| invalid(&error.to_string()))?;
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        match url.scheme() {
            "https" => Ok(Self { url, transport: None }),
            "http" if loopback => Ok(Self { url, transport: None }),
            _ => {
                Err(invalid("the URL holds the token, so it must be https; http is allowed to a loopback address only"))
            }
        }
    }

    /// The same API, to which `transport` carries the requests.
    #[must_use]
    pub fn over(self, transport: Arc<dyn Transport>) -> Self {
        Self { transport: Some(transport), ..self }
    }
}

/// How the client asks.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows a page: 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u32,
    /// How long one request may take, from connection to the last byte.
    pub timeout: Duration,
    /// How often a failed request is retried.
    pub retries: usize,
    /// The wait before the first retry. It doubles with each retry, up to 30 seconds.
    pub retry_delay: Duration,
    /// The most bytes that a page may have. While a page is read that holds no valid text, it takes six times its size,
    /// which must fit into half of the 256 MiB of the poller's Lambda.
    pub max_page_bytes: usize,
    /// The most pages that a list may have.
    pub max_pages: usize,
    /// The most rows that a list may have.
    pub max_rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: 1_000,
            timeout: Duration::from_secs(60),
            retries: 5,
            retry_delay: Duration::from_secs(1),
            max_page_bytes: 8 * 1024 * 1024,
            max_pages: 2_000,
            max_rows: 250_000,
        }
    }
}

/// What carries the requests.
#[derive(Clone)]
enum Carrier {
    Network { http: reqwest::Client, proxies: Arc<Proxies> },
    InItsPlace(Arc<dyn Transport>),
}

/// What an answer has at most: bytes that are read of it, and rows that were asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) bytes: usize,
    pub(crate) rows: u32,
}

/// Holds requests to a rate.
type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// Tokio's clock, for the rate limit: the one by which everything here waits.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A client for one tenant. Clones share the connections and the rate limit.
#[derive(Clone)]
pub struct Client {
    url: Url,
    carrier: Carrier,
    token: SecretString,
    limiter: Arc<Limiter>,
    pace: Option<Arc<dyn Pace>>,
    options: Options,
    /// Whether the API has ever answered.
    reached: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the API at `endpoint`.
    ///
    /// # Errors
    ///
    /// The page size is out of range, a proxy or a file of certificates of the environment cannot be used, or TLS is
    /// not available.
    pub fn new(endpoint: Endpoint, token: SecretString, options: Options) -> Result<Self, Error> {
        if !(1..=MAX_PAGE_SIZE).contains(&options.page_size) {
            return Err(Error::PageSize(options.page_size));
        }
        let Endpoint { url, transport } = endpoint;
        let carrier = match transport {
            Some(transport) => Carrier::InItsPlace(transport),
            None => {
                let network = Network::from_env(None)?;
                let http = http(&network, options.timeout).map_err(|error| Error::Http(chain(&error)))?;
                Carrier::Network { http, proxies: Arc::new(network.proxies) }
            }
        };
        let quota = Quota::with_period(APART).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let (limiter, reached) =
            (Arc::new(Limiter::direct_with_clock(quota, TokioClock(Instant::now()))), Arc::default());
        Ok(Self { url, carrier, token, limiter, pace: None, options, reached })
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        Self { token, ..self.clone() }
    }

    /// The same client, which sends when `pace` says so, and no more by a rate of its own.
    #[must_use]
    pub fn paced_by(self, pace: Arc<dyn Pace>) -> Self {
        Self { pace: Some(pace), ..self }
    }

    /// The violations of a control at the moment `as_of` (seconds since 1970), to be read until `until`.
    #[must_use]
    pub fn violations(&self, rule_name: &str, as_of: i64, until: Instant) -> Violations {
        Violations::new(self.clone(), Asked::failed(rule_name), as_of, until)
    }

    /// What passes a control in one account, by its twelve digits, at the moment `as_of` (seconds since 1970), to be read
    /// until `until`.
    #[must_use]
    pub fn passed(&self, rule_name: &str, account: &str, as_of: i64, until: Instant) -> Violations {
        let asked = Asked { passed_in: Some(account.to_owned()), ..Asked::failed(rule_name) };
        Violations::new(self.clone(), asked, as_of, until)
    }

    /// The same client, which tries nothing a second time.
    pub(crate) fn without_retries(&self) -> Self {
        Self { options: Options { retries: 0, ..self.options }, ..self.clone() }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// The body of one page of at most `limit` rows, with retries.
    pub(crate) async fn page(
        &self,
        asked: &Asked,
        filter: &Filter,
        as_of: i64,
        place: Place,
        limit: u32,
    ) -> Result<Vec<u8>, PageError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.options.retry_delay)
            .with_max_delay(Duration::from_secs(30))
            .with_max_times(self.options.retries)
            .with_jitter();
        let mut unreached = 0;
        (|| self.request(asked, filter, as_of, place.skip, limit))
            .retry(backoff)
            .when(|error| {
                unreached += usize::from(error.is_unreachable());
                error.is_transient() && unreached < CONNECT_TRIES
            })
            .adjust(|error, wait| wait.map(|wait| error.retry_after().map_or(wait, |asked| asked.min(MAX_RETRY_AFTER))))
            .notify(|error, wait| {
                tracing::warn!(page = place.number, %error, ?wait, "Netskope's API failed; the request is retried");
            })
            .await
    }

    /// Waits until a request may be sent.
    async fn wait_for_a_turn(&self) -> Result<(), PageError> {
        if let Some(pace) = &self.pace {
            return pace.turn().await.map_err(PageError::NoTurn);
        }
        while let Err(early) = self.limiter.check() {
            sleep(early.wait_time_from(self.limiter.clock().now())).await;
        }
        Ok(())
    }

    /// Netskope, "View Security Assessment Violations": the parameters and where the token goes.
    async fn request(
        &self,
        Asked { rule_name, passed_in }: &Asked,
        filter: &Filter,
        as_of: i64,
        skip: usize,
        limit: u32,
    ) -> Result<Vec<u8>, PageError> {
        let (as_of, rows, skip) = (as_of.to_string(), limit.to_string(), skip.to_string());
        // What somebody has muted passes all the same.
        let of_status = match passed_in {
            None => [("status", "Failed"), ("muted", "No")],
            Some(account) => [("status", "Passed"), ("account_id", account.as_str())],
        };
        let query =
            [("cloud_provider", "aws"), ("rule_name", rule_name), ("as_of", &as_of), ("limit", &rows), ("skip", &skip)];
        let names = [("profile_name", &filter.profile), ("policy_name", &filter.policy)];
        let names = names.into_iter().filter_map(|(key, name)| Some((key, name.as_deref()?)));
        let query: Vec<_> = query.into_iter().chain(of_status).chain(names).collect();
        let most = Most { bytes: self.options.max_page_bytes, rows: limit };
        self.get("security_assessment", &query, most).await
    }

    /// One request, when there is a turn for it, and the body of the answer.
    pub(crate) async fn get(&self, call: &str, query: &[(&str, &str)], most: Most) -> Result<Vec<u8>, PageError> {
        self.wait_for_a_turn().await?;
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", call]);
        }
        url.query_pairs_mut().append_pair("token", self.token.expose_secret()).extend_pairs(query);
        let request = Request::new(Method::GET, url);
        let answer = match &self.carrier {
            Carrier::Network { http, .. } => http.execute(request).await.map_err(|error| self.transport(error))?,
            Carrier::InItsPlace(transport) => transport.send(request).await.map_err(PageError::Transport)?,
        };
        self.reached.store(true, Ordering::Relaxed);
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        if status.is_redirection() {
            return Err(PageError::Redirect(status.as_u16()));
        }
        let body = self.body(answer, most).await?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(PageError::Refused(self.message(status, body))),
            _ => Err(PageError::Status { status: status.as_u16(), message: self.message(status, body), retry_after }),
        }
    }

    async fn body(&self, mut answer: Response, most: Most) -> Result<Vec<u8>, PageError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.transport(error))? {
            if body.len().saturating_add(chunk.len()) > most.bytes {
                return Err(PageError::TooLarge { most: most.bytes, rows: most.rows });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What the server said with an error status, in the API's own words where the body has them.
    fn message(&self, status: StatusCode, body: Vec<u8>) -> String {
        let text = readable(body);
        let said = Envelope::from_json(&text).ok().and_then(|envelope| envelope.said());
        self.redact(said.as_deref().or(status.canonical_reason()).unwrap_or("it gave no reason"))
    }

    fn transport(&self, error: reqwest::Error) -> PageError {
        let is_connect = error.is_connect();
        let error = error.without_url();
        let reason = self.redact(&chain(&error));
        if is_connect && !self.reached.load(Ordering::Relaxed) {
            let host = self.url.host_str().unwrap_or_default().to_owned();
            match Failure::of(&error, &host, self.proxy()) {
                // Most likely the tenant's name is wrong.
                None | Some(Failure::UnknownHost { .. }) => {}
                Some(failure) => return PageError::Unconnected(failure),
            }
            return PageError::Unreachable { host, reason };
        }
        PageError::Transport(reason)
    }

    /// The proxy by which the API is reached.
    fn proxy(&self) -> Option<&Proxy> {
        let Carrier::Network { proxies, .. } = &self.carrier else { return None };
        proxy_of(proxies, &self.url)
    }

    /// The text, shortened and fit to be shown, without the token in any form in which it could come back.
    pub(crate) fn redact(&self, text: &str) -> String {
        brief(&self.forms().redact(text))
    }

    /// The forms in which the token could come back.
    pub(crate) fn forms(&self) -> Forms {
        Forms::of(&self.token)
    }
}

/// What reaches the network. It follows no redirect, which could lead the token elsewhere.
fn http(network: &Network, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let proxies = network.proxies.clone();
    // The rules for proxies are those of the AWS clients, and not the HTTP client's own.
    let proxy = reqwest::Proxy::custom(move |url| Some(proxy_of(&proxies, url)?.url().clone()));
    let http =
        reqwest::Client::builder().redirect(redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT).proxy(proxy);
    let http = match &network.ca_bundle {
        Some(bundle) => {
            http.tls_certs_merge(bundle.der().map(Certificate::from_der).collect::<reqwest::Result<Vec<_>>>()?)
        }
        None => http,
    };
    http.timeout(timeout).build()
}

/// The proxy for a URL. A proxy sees only the host of an `https` URL (CONNECT); it would see the whole of an `http`
/// one, which holds the token, so that one is reached directly. It is a loopback address.
fn proxy_of<'a>(proxies: &'a Proxies, url: &Url) -> Option<&'a Proxy> {
    if url.scheme() == "https" { proxies.of_address("https", url.host_str()?, url.port()) } else { None }
}

/// The seconds or the date of a Retry-After header.
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| httpdate::parse_http_date(value).ok()?.duration_since(ambient::system_time()).ok())
}

/// An error with its causes, which reqwest leaves out of its own text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
