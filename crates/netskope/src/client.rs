//! Pages of violations over HTTPS: at most four requests a second, with retries where another try can help.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use futures::Stream;
use futures::stream::try_unfold;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::{Host, Url};

use crate::{Error, InvalidItem, PageError, Violation};

/// The largest `limit` that the API takes: a positive integer below 10,000.
pub const MAX_PAGE_SIZE: u32 = 9_999;
/// The most bytes that a page may have: seven times what 10,000 rows with every field need.
const MAX_PAGE_BYTES: usize = 256 * 1024 * 1024;
/// The longest time between two requests that a server's Retry-After can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The most of a server's message that an error repeats, in characters.
const MAX_MESSAGE: usize = 300;
/// Four requests a second, evenly spread: the API takes four in the first second and queues the rest.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(250);

/// Where the API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

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
        if is_domain { Ok(Self(url)) } else { Err(invalid("give the tenant's domain name alone: example.goskope.com")) }
    }

    /// The API at another address, such as a proxy or a stand-in.
    ///
    /// # Errors
    ///
    /// The text is no URL, or one over which the token would travel in clear to another machine.
    pub fn url(address: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Endpoint { address: address.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(address).map_err(|error| invalid(&error.to_string()))?;
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if loopback => Ok(Self(url)),
            _ => Err(invalid("the token is in the URL, so it must be https (http only to a loopback address)")),
        }
    }
}

/// How the client asks.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows a page: 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u32,
    /// How long a whole request may take.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// The first wait before another try; it doubles from try to try, up to 30 seconds.
    pub retry_delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (timeout, retry_delay) = (Duration::from_secs(60), Duration::from_secs(1));
        Self { page_size: 1_000, timeout, retries: 5, retry_delay }
    }
}

/// A client for one tenant. Clones share the connections and the rate limit.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    token: SecretString,
    limiter: Arc<DefaultDirectRateLimiter>,
    options: Options,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint.0.as_str()).finish_non_exhaustive()
    }
}

/// One page of violations.
#[derive(Debug)]
pub struct Page {
    /// Its number, from 1.
    pub number: usize,
    /// How many rows it holds, invalid ones included.
    pub received: usize,
    /// The rows that can be used.
    pub violations: Vec<Violation>,
    /// The rows that cannot.
    pub invalid: Vec<InvalidItem>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    status: Option<String>,
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
    msg: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
}

impl Client {
    /// A client for the API at `endpoint`.
    ///
    /// # Errors
    ///
    /// The page size is out of range, or there is no TLS to be had.
    pub fn new(endpoint: Endpoint, token: SecretString, options: Options) -> Result<Self, Error> {
        if !(1..=MAX_PAGE_SIZE).contains(&options.page_size) {
            return Err(Error::PageSize(options.page_size));
        }
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(options.timeout)
            .build()
            .map_err(|error| Error::Http(chain(&error)))?;
        let quota = Quota::with_period(BETWEEN_REQUESTS).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        Ok(Self { http, endpoint, token, limiter: Arc::new(RateLimiter::direct(quota)), options })
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        Self { token, ..self.clone() }
    }

    /// The violations of a control at the moment `as_of` (seconds since 1970), page after page from `first_page` (1
    /// is the first). After an error the stream ends, and what came before is not the whole list.
    pub fn violations(
        &self,
        rule_name: &str,
        as_of: i64,
        first_page: usize,
    ) -> impl Stream<Item = Result<Page, Error>> + Send + use<> {
        let (client, rule_name) = (self.clone(), rule_name.to_owned());
        try_unfold(Some(first_page.max(1)), move |next| {
            let (client, rule_name) = (client.clone(), rule_name.clone());
            async move {
                let Some(number) = next else { return Ok(None) };
                let page = client.page(&rule_name, as_of, number).await;
                let page = page.map_err(|source| Error::Page { page: number, rule_name, source })?;
                let last = page.received < client.options.page_size as usize;
                Ok(Some((page, (!last).then_some(number + 1))))
            }
        })
    }

    async fn page(&self, rule_name: &str, as_of: i64, number: usize) -> Result<Page, PageError> {
        let skip = (number - 1) * self.options.page_size as usize;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.options.retry_delay)
            .with_max_delay(Duration::from_secs(30))
            .with_max_times(self.options.retries)
            .with_jitter();
        let body = (|| self.request(rule_name, as_of, skip))
            .retry(backoff)
            .when(PageError::is_transient)
            .adjust(|error, wait| wait.map(|wait| error.retry_after().map_or(wait, |asked| asked.min(MAX_RETRY_AFTER))))
            .notify(|error, wait| tracing::warn!(page = number, %error, ?wait, "Netskope's API: trying again"))
            .await?;
        self.read_page(&body, number, skip)
    }

    /// Netskope, "View Security Assessment Violations": the parameters and where the token goes.
    async fn request(&self, rule_name: &str, as_of: i64, skip: usize) -> Result<Vec<u8>, PageError> {
        self.limiter.until_ready().await;
        let mut url = self.endpoint.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "security_assessment"]);
        }
        let (as_of, limit, skip) = (as_of.to_string(), self.options.page_size.to_string(), skip.to_string());
        let query = [
            ("token", self.token.expose_secret()),
            ("cloud_provider", "aws"),
            ("status", "Failed"),
            ("muted", "No"),
            ("rule_name", rule_name),
            ("as_of", &as_of),
            ("limit", &limit),
            ("skip", &skip),
        ];
        let answer = self.http.get(url).query(&query).send().await.map_err(|error| self.transport(error))?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        if status.is_redirection() {
            return Err(PageError::Redirect(status.as_u16()));
        }
        let body = self.body(answer).await?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(PageError::Refused(self.message(status, &body))),
            _ => Err(PageError::Status { status: status.as_u16(), message: self.message(status, &body), retry_after }),
        }
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, PageError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > MAX_PAGE_BYTES {
                return Err(PageError::TooLarge(MAX_PAGE_BYTES));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn read_page(&self, body: &[u8], number: usize, skip: usize) -> Result<Page, PageError> {
        let malformed = |error: serde_json::Error| {
            let what = if error.is_eof() { "it ends early" } else { "it is not the documented JSON" };
            PageError::Malformed(self.redact(&format!("{what} ({error})")))
        };
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(malformed)?;
        if envelope.status.as_deref() != Some("success") {
            return Err(self.api_error(&envelope));
        }
        let rows = envelope.data.ok_or_else(|| PageError::Malformed("it has no `data`".into()))?;
        let mut page =
            Page { number, received: rows.len(), violations: Vec::with_capacity(rows.len()), invalid: vec![] };
        for (position, row) in (skip + 1..).zip(rows) {
            match Violation::from_json(row.get(), position) {
                Ok(violation) => page.violations.push(violation),
                Err(reason) => page.invalid.push(InvalidItem { position, reason: self.redact(&reason) }),
            }
        }
        Ok(page)
    }

    fn api_error(&self, envelope: &Envelope<'_>) -> PageError {
        let code = envelope.error_code.as_deref();
        let said = code.into_iter().chain(envelope.msg.as_deref()).chain(envelope.errors.iter().map(String::as_str));
        let said = said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        let said = self.redact(if said.is_empty() { "it names no reason" } else { &said });
        let refused = code.is_some_and(|code| code.starts_with("Auth"));
        if refused { PageError::Refused(said) } else { PageError::Api(said) }
    }

    /// What the server said with an error status: the API's own words where the body has them.
    fn message(&self, status: StatusCode, body: &[u8]) -> String {
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(body).ok();
        let said = envelope.map(|envelope| {
            let code = envelope.error_code.into_iter();
            code.chain(envelope.errors).collect::<Vec<_>>().join(": ")
        });
        let reason = status.canonical_reason().unwrap_or("no reason given");
        self.redact(said.as_deref().filter(|said| !said.is_empty()).unwrap_or(reason))
    }

    fn transport(&self, error: reqwest::Error) -> PageError {
        PageError::Transport(self.redact(&chain(&error.without_url())))
    }

    /// The text, shortened, without the token in any form in which it could come back.
    fn redact(&self, text: &str) -> String {
        let token = self.token.expose_secret();
        let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let forms = [token, encoded.as_str()].into_iter().filter(|form| !form.is_empty());
        let clean = forms.fold(text.to_owned(), |text, form| text.replace(form, "[token]"));
        clean.chars().take(MAX_MESSAGE).collect()
    }
}

/// The seconds or the date of a Retry-After header.
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok())
}

/// An error with its causes, which reqwest leaves out of its own text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
