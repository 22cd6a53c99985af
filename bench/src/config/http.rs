//! A small HTTP client: one connection, one request at a time, kept alive. The load generator shares the machine with
//! what it measures, so it must cost little: many connections are served by one thread, as those to etcd are.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
    request: Vec<u8>,
    line: String,
    body: Vec<u8>,
}

async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.context("no answer")?
}

impl Connection {
    /// Connects to a unix socket.
    pub(super) async fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).await.with_context(|| socket.display().to_string())?;
        let stream = BufReader::with_capacity(1 << 16, stream);
        Ok(Self { stream, request: Vec::new(), line: String::new(), body: Vec::new() })
    }

    /// Sends a request and reads its answer: status and body.
    async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<u16> {
        use std::io::Write;
        self.request.clear();
        let length = body.len();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )?;
        self.stream.get_mut().write_all(&self.request).await?;
        let (status, length) = self.head().await?;
        self.body.clear();
        match length {
            Some(length) => {
                self.body.resize(length, 0);
                self.stream.read_exact(&mut self.body).await?;
            }
            None => while self.chunk().await? {},
        }
        Ok(status)
    }

    /// A request that must succeed.
    pub(super) async fn ok(&mut self, method: &str, path: &str, body: &str) -> Result<&[u8]> {
        let status = patiently(self.send(method, path, body)).await?;
        if status != 200 {
            let text = String::from_utf8_lossy(&self.body).chars().take(300).collect::<String>();
            bail!("{method} {path}: {status} {text}");
        }
        Ok(&self.body)
    }

    /// Creates an object; its uuid.
    pub(super) async fn create(&mut self, object_type: &str, fields: &Value) -> Result<String> {
        let body = serde_json::json!({object_type: fields}).to_string();
        let answer = self.ok("POST", &format!("/{object_type}s"), &body).await?;
        let answer: Value = serde_json::from_slice(answer)?;
        let uuid = answer.get(object_type).and_then(|o| o.get("uuid")).and_then(Value::as_str);
        uuid.map(str::to_owned).context("an answer without uuid")
    }

    async fn stream(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let (status, _) = self.head().await?;
        if status == 200 { Ok(()) } else { bail!("GET {path}: {status}") }
    }

    async fn event_line(&mut self) -> Result<()> {
        self.body.clear();
        if self.stream.read_until(b'\n', &mut self.body).await? == 0 {
            bail!("the stream ended");
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<(u16, Option<usize>)> {
        self.line.clear();
        self.stream.read_line(&mut self.line).await?;
        let status = self.line.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status line")?;
        let mut length = None;
        loop {
            self.line.clear();
            self.stream.read_line(&mut self.line).await?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        Ok((status, length))
    }

    async fn chunk(&mut self) -> Result<bool> {
        self.line.clear();
        self.stream.read_line(&mut self.line).await?;
        let size = usize::from_str_radix(self.line.trim_end(), 16).context("bad chunk")?;
        let start = self.body.len();
        self.body.resize(start + size, 0);
        self.stream.read_exact(self.body.get_mut(start..).unwrap_or_default()).await?;
        self.line.clear();
        self.stream.read_line(&mut self.line).await?;
        Ok(size > 0)
    }
}

/// A connection for one who waits.
pub(super) struct Waiting {
    connection: Connection,
    runtime: Runtime,
}

impl Waiting {
    /// See [`Connection::open`].
    pub(super) fn open(socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(Connection::open(socket))?;
        Ok(Self { connection, runtime })
    }

    /// See [`Connection::ok`].
    pub(super) fn ok(&mut self, method: &str, path: &str, body: &str) -> Result<&[u8]> {
        self.runtime.block_on(self.connection.ok(method, path, body))
    }

    /// See [`Connection::create`].
    pub(super) fn create(&mut self, object_type: &str, fields: &Value) -> Result<String> {
        self.runtime.block_on(self.connection.create(object_type, fields))
    }

    /// Starts a streamed request; the lines of its body follow with [`Self::line`].
    pub(super) fn stream(&mut self, path: &str) -> Result<()> {
        self.runtime.block_on(patiently(self.connection.stream(path)))
    }

    /// The next line of a stream, chunk boundaries and all.
    pub(super) fn line(&mut self) -> Result<&[u8]> {
        self.runtime.block_on(patiently(self.connection.event_line()))?;
        Ok(&self.connection.body)
    }
}
