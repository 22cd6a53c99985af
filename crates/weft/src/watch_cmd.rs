//! `weft watch`: changes as they happen, over broken connections and restarts of the server.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weft_client::http::Streaming;
use weft_client::watch::{Change, Happened, Mirror, Parser};
use weft_client::{ClientError, HttpClient};
use weft_model::ObjectType;

use crate::cli::{Format, TargetArgs};
use crate::object_args::WatchArgs;
use crate::output::Paint;
use crate::target::Target;

/// Silence after which a connection is given up; servers send something every 15 s.
const PATIENCE: Duration = Duration::from_secs(45);
/// Time before another try to connect, at first ..
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// .. and at most.
const MAX_PAUSE: Duration = Duration::from_secs(10);

pub(crate) async fn run(target: &TargetArgs, args: &WatchArgs, format: Format) -> anyhow::Result<ExitCode> {
    if let Some(named) = args.kinds.iter().find(|k| k.name.is_some()) {
        let kind = named.kind;
        anyhow::bail!("whole types are watched; `weft get {kind} NAME --watch` follows one object");
    }
    let target = Target::new(target)?;
    let mut kinds: Vec<ObjectType> = args.kinds.iter().map(|k| k.kind).collect();
    if kinds.is_empty() {
        kinds = ObjectType::ALL.iter().copied().filter(|k| !k.info().derived).collect();
    }
    follow(target.api.http(), &kinds, args.present, format, |_| true).await
}

/// Shows changes until the output is closed; ends with an error only if watching cannot begin or is refused.
pub(crate) async fn follow(
    http: &HttpClient,
    kinds: &[ObjectType],
    present: bool,
    format: Format,
    wanted: impl Fn(&Change) -> bool,
) -> anyhow::Result<ExitCode> {
    let types: Vec<&str> = kinds.iter().map(|k| k.name()).collect();
    let types = types.join(",");
    let mut mirror = Mirror::default();
    let mut stream = connect(http, &types).await?;
    loop {
        let shown = |change: &Change| (present || change.happened != Happened::Present) && wanted(change);
        let lost =
            match pass(
                &mut stream,
                &mut mirror,
                |change| {
                    if shown(change) { show(change, format) } else { Ok(()) }
                },
            )
            .await
            {
                Ok(reason) => reason,
                // Nobody reads any more.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                Err(e) => return Err(e.into()),
            };
        eprintln!("weft: the connection to {} is lost ({lost}), connecting again", http.endpoint());
        stream = reconnect(http, &types).await?;
        eprintln!("weft: connected again; what was missed follows");
    }
}

async fn connect(http: &HttpClient, types: &str) -> Result<Streaming, ClientError> {
    http.stream("/watch", &[("resource_type", types)]).await
}

/// Tries until the server is back; a server that is there and refuses ends it.
async fn reconnect(http: &HttpClient, types: &str) -> anyhow::Result<Streaming> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match connect(http, types).await {
            Ok(stream) => return Ok(stream),
            Err(e @ ClientError::Status { status: 400..=499, .. }) => return Err(e.into()),
            Err(_) => pause = (pause * 2).min(MAX_PAUSE),
        }
    }
}

/// Shows what arrives until the connection ends; the reason why it did.
async fn pass(
    stream: &mut Streaming,
    mirror: &mut Mirror,
    mut show: impl FnMut(&Change) -> std::io::Result<()>,
) -> std::io::Result<String> {
    let mut parser = Parser::default();
    loop {
        let bytes = match stream.next(PATIENCE).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok("closed by the server".into()),
            Err(ClientError::Unreachable { reason, .. }) => return Ok(reason),
            Err(other) => return Ok(other.to_string()),
        };
        let events = match parser.feed(&bytes) {
            Ok(events) => events,
            Err(e) => return Ok(e.to_string()),
        };
        for event in events {
            match mirror.take(&event) {
                Ok(changes) => changes.iter().try_for_each(&mut show)?,
                Err(e) => return Ok(e.to_string()),
            }
        }
    }
}

fn show(change: &Change, format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => format!("{}\n", record(change)),
        Format::Yaml => {
            let text = serde_saphyr::to_string(&record(change)).map_err(std::io::Error::other)?;
            format!("---\n{text}")
        }
        Format::Name => format!("{} {}/{}\n", change.happened.word(), change.kind, change.fq_name.join(":")),
        Format::Table | Format::Wide => line(change, format),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn record(change: &Change) -> Value {
    json!({"event": change.happened.word(), "type": change.kind.name(), "uuid": change.uuid, "fq_name": change.fq_name,
        "fields": change.fields, "object": change.object})
}

fn line(change: &Change, format: Format) -> String {
    let paint = Paint::stdout();
    let word = format!("{:<8}", change.happened.word());
    let word = match change.happened {
        Happened::Present => word,
        Happened::Created => paint.green(&word),
        Happened::Updated => paint.yellow(&word),
        Happened::Deleted => paint.red(&word),
    };
    let uuid = if format == Format::Wide { format!("  {}", change.uuid) } else { String::new() };
    let fields =
        if change.fields.is_empty() { String::new() } else { format!("  {}", change.fields.join(", ")) };
    format!("{} {word} {} {}{uuid}{fields}\n", time_of_day(), change.kind, change.fq_name.join(":"))
}

/// The time of day, UTC.
fn time_of_day() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
