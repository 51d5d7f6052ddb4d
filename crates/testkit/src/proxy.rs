//! A proxy between a program and the network, as companies have them: it connects to what CONNECT names
//! (<https://www.rfc-editor.org/rfc/rfc9110#name-connect>), and to nothing in another way.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Result;

/// The most bytes of a request's head.
const MOST_OF_HEAD: usize = 8 * 1024;

/// What a proxy does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It connects everybody.
    Connects,
    /// It connects whoever sends this value of Proxy-Authorization, and asks all others for it (407).
    AsksFor(String),
    /// It connects nobody (403).
    Refuses,
}

/// A proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub async fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, heads) = (listener.local_addr()?.to_string(), Arc::<Mutex<Vec<String>>>::default());
        let heard = Arc::clone(&heads);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, manner.clone(), Arc::clone(&heard)));
            }
        });
        Ok(Self { address, heads, serving })
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What has been asked of it so far: the head of each request.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host and port of each CONNECT so far.
    pub fn connects(&self) -> Vec<String> {
        self.heads().iter().filter_map(|head| target(head)).map(str::to_owned).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The host and port that a CONNECT names.
fn target(head: &str) -> Option<&str> {
    head.strip_prefix("CONNECT ")?.split(' ').next()
}

async fn serve(mut client: TcpStream, manner: Manner, heads: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let head = read_head(&mut client).await?;
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let asked = |value: &str| head.lines().any(|line| line == format!("Proxy-Authorization: {value}"));
    let status = match (target(&head), &manner) {
        (None, _) => "405 Method Not Allowed",
        (_, Manner::Refuses) => "403 Forbidden",
        (_, Manner::AsksFor(value)) if !asked(value) => "407 Proxy Authentication Required",
        (Some(target), _) => {
            let mut server = TcpStream::connect(target).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return copy_bidirectional(&mut client, &mut server).await.map(drop);
        }
    };
    client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// The lines before the first empty one.
async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") && bytes.len() < MOST_OF_HEAD {
        bytes.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
