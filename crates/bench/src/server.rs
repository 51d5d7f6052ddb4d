//! HTTP/1.1 on this machine's loopback address, for the stand-ins and the Lambda Runtime API.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A server; it ends, with all of its connections, when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    accepts: JoinHandle<()>,
}

/// A request that has arrived as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// As it came, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Server {
    /// Answers every request by `answer`, at a port that is free.
    pub(crate) async fn start<H, F>(answer: H) -> io::Result<Self>
    where
        H: Fn(Request) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepts = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // Without it each answer of two parts waits for the peer's delayed acknowledgement.
                drop(stream.set_nodelay(true));
                let answer = answer.clone();
                let service = service_fn(move |request| serve(request, answer.clone()));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, accepts })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

async fn serve<H, F>(request: http::Request<Incoming>, answer: H) -> Result<http::Response<Full<Bytes>>, Infallible>
where
    H: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let answer = match body.collect().await {
        Ok(body) => {
            let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
            answer(Request { method: head.method, path, query, headers: head.headers, body: body.to_bytes() }).await
        }
        Err(_) => Answer::new(400, "the request broke off"),
    };
    Ok(answer.into_response())
}

impl Request {
    /// The value of a header; none where it is absent or no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a parameter of the query; empty where it has none.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(of, _)| of == name).map(|(_, value)| value.into_owned())
    }
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    fn into_response(self) -> http::Response<Full<Bytes>> {
        let mut response = http::Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
