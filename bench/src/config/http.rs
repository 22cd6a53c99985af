//! A small HTTP client: one connection, one request at a time, kept alive. The load generator shares the machine with
//! what it measures, so it must cost little.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub(super) struct Connection {
    reader: BufReader<UnixStream>,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    /// Connects to a unix socket.
    pub(super) fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, stream), request: Vec::new(), body: Vec::new() })
    }

    /// Sends a request and reads its answer: status and body.
    pub(super) fn send(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, &[u8])> {
        self.request.clear();
        let length = body.len();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )?;
        self.reader.get_mut().write_all(&self.request)?;
        let (status, length) = self.head()?;
        self.body.clear();
        match length {
            Some(length) => {
                self.body.resize(length, 0);
                self.reader.read_exact(&mut self.body)?;
            }
            None => while self.chunk()? {},
        }
        Ok((status, &self.body))
    }

    /// A request that must succeed.
    pub(super) fn ok(&mut self, method: &str, path: &str, body: &str) -> Result<&[u8]> {
        let (status, answer) = self.send(method, path, body)?;
        if status != 200 {
            let text = String::from_utf8_lossy(answer).chars().take(300).collect::<String>();
            bail!("{method} {path}: {status} {text}");
        }
        Ok(answer)
    }

    /// Creates an object; its uuid.
    pub(super) fn create(&mut self, object_type: &str, fields: &Value) -> Result<String> {
        let body = serde_json::json!({object_type: fields}).to_string();
        let answer = self.ok("POST", &format!("/{object_type}s"), &body)?;
        let answer: Value = serde_json::from_slice(answer)?;
        let uuid = answer.get(object_type).and_then(|o| o.get("uuid")).and_then(Value::as_str);
        uuid.map(str::to_owned).context("an answer without uuid")
    }

    /// Starts a streamed request; the lines of its body follow with [`Self::line`].
    pub(super) fn stream(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (status, _) = self.head()?;
        if status == 200 { Ok(()) } else { bail!("GET {path}: {status}") }
    }

    /// The next line of a stream, chunk boundaries and all.
    pub(super) fn line(&mut self) -> Result<&[u8]> {
        self.body.clear();
        if self.reader.read_until(b'\n', &mut self.body)? == 0 {
            bail!("the stream ended");
        }
        Ok(&self.body)
    }

    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status line")?;
        let mut length = None;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        Ok((status, length))
    }

    fn chunk(&mut self) -> Result<bool> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).context("bad chunk")?;
        let start = self.body.len();
        self.body.resize(start + size, 0);
        self.reader.read_exact(self.body.get_mut(start..).unwrap_or_default())?;
        line.clear();
        self.reader.read_line(&mut line)?;
        Ok(size > 0)
    }
}
