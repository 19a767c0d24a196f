//! A small HTTP server in this process, for the API backend.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dfab_client::connector::{Connector, Stream};
use dfab_client::error::Source;
use dfab_client::{ApiBackend, ApiOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// Notes what it is asked, and answers as it is told.
pub struct Server {
    /// Connections so far.
    pub connections: AtomicUsize,
    /// First line of each request.
    pub requests: Mutex<Vec<String>>,
    /// Head and body of each request.
    pub whole: Mutex<Vec<(String, String)>>,
    /// Requests that are answered late: a part of their first lines, and the time before the head of an answer, and
    /// again before its body.
    pub slow: Mutex<Option<(&'static str, Duration)>>,
    version: &'static str,
    answer: Answer,
}

/// Returns status and body of the answer to a request's first line; `None` is no answer at all.
pub type Answer = fn(&str) -> Option<(u16, String)>;

impl Server {
    pub fn new(version: &'static str, answer: Answer) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            whole: Mutex::default(),
            slow: Mutex::default(),
            version,
            answer,
        })
    }

    async fn serve(self: Arc<Self>, stream: DuplexStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut request, mut length, mut head) = (String::new(), 0, String::new());
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if request.is_empty() {
                    request = line.trim().to_owned();
                }
                head.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            if head.to_lowercase().contains("transfer-encoding: chunked") {
                let mut line = String::new();
                while line != "0\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                stream.read_line(&mut line).await.unwrap();
            }
            self.requests.lock().unwrap().push(request.clone());
            self.whole.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
            let answer = match request.split(' ').nth(1) {
                Some("/_ping") => Some((200, "OK".to_owned())),
                Some("/version") => {
                    Some((200, format!(r#"{{"ApiVersion": "{}", "Version": "test"}}"#, self.version)))
                }
                _ => (self.answer)(&request),
            };
            let Some((status, body)) = answer else {
                return std::future::pending().await;
            };
            // A moment, so that requests sent at once are under way at once.
            let slow = self.slow.lock().unwrap().filter(|(part, _)| request.contains(part));
            let pause = slow.map_or(Duration::from_millis(5), |(_, time)| time);
            tokio::time::sleep(pause).await;
            let head = format!(
                "HTTP/1.1 {status} X\r\nApi-Version: {}\r\nServer: Docker/test (linux)\r\nContent-Length: {}\r\n\r\n",
                self.version,
                body.len()
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            if slow.is_some() {
                tokio::time::sleep(pause).await;
            }
            if stream.write_all(body.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

struct ToServer(Arc<Server>);

#[async_trait]
impl Connector for ToServer {
    fn host(&self) -> &str {
        "test"
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(Arc::clone(&self.0).serve(theirs));
        Ok(Box::new(ours))
    }
}

/// The API backend over a server.
pub fn backend(server: &Arc<Server>, options: ApiOptions) -> ApiBackend {
    ApiBackend::new(connector(server), options)
}

/// What leads to a server.
pub fn connector(server: &Arc<Server>) -> Arc<dyn Connector> {
    Arc::new(ToServer(Arc::clone(server)))
}
