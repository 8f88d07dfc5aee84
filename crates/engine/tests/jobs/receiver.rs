//! An endpoint for webhooks: it listens on this machine, remembers what it was sent, and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What a receiver answers with: the status, or nothing at all.
pub type Answer = Option<&'static str>;

pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<Mutex<(Vec<Received>, VecDeque<Answer>)>>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Answers in this order, and then always with 204.
    pub async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let state = Arc::new(Mutex::new((Vec::new(), answers.iter().copied().collect::<VecDeque<_>>())));
        let ours = state.clone();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("connections come");
                let state = ours.clone();
                tokio::spawn(async move {
                    let Some((received, mut stream)) = read(stream).await else { return };
                    let answer = {
                        let mut state = state.lock().expect("nobody panics with the lock");
                        state.0.push(received);
                        state.1.pop_front().unwrap_or(Some("204 No Content"))
                    };
                    if let Some(answer) = answer {
                        let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                        let _ = stream.write_all(head.as_bytes()).await;
                    }
                });
            }
        });
        Self { address, state, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.lock().expect("nobody panics with the lock").0.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read(stream: TcpStream) -> Option<(Received, TcpStream)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    Some((Received { line: line.trim_end().to_owned(), headers, body }, reader.into_inner()))
}
