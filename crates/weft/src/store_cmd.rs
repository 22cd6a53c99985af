//! `weft store`: backups, checks, export and import of a store nobody else writes to meanwhile.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::Value;
use weft_api::{ApiState, DerivedView};
use weft_auth::{SealedStore, plain_secrets};
use weft_model::Object;
use weft_model::secrets::each_secret;
use weft_store::backup::BackupError;
use weft_store::{Store, StoreError, backup, check, dump};

use crate::output;
use crate::store_files::{Output, input, text};

/// File of the sealing key in a controller's data directory.
pub(crate) const SEAL_FILE: &str = "seal.key";
/// Directory of the embedded store in a controller's data directory.
const EMBEDDED: &str = "weft.redb";

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Write everything, at one revision, to a file
    #[command(after_help = "\
Secrets in a backup stay sealed: keep the key, too (DATA_DIR/seal.key, or the controller's --seal-key). A backup that does not
come to its end leaves no file. It can be restored into either kind of store.")]
    Backup(FileArgs),
    /// Write a backup into an empty store
    #[command(after_help = "\
All controllers must be down. The file is checked before the first write; a restore that does not come to its end leaves a
store that no controller starts with, until it was run again with --force.")]
    Restore {
        #[command(flatten)]
        file: FileArgs,
        /// Delete what is in the store first
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        seal: SealArgs,
    },
    /// Check that objects, names, children, references and allotted numbers agree; fails if they do not
    Check {
        #[command(flatten)]
        store: StoreArgs,
        /// Mend what can be mended
        #[arg(long)]
        repair: bool,
    },
    /// Write all objects as JSON
    #[command(
        after_help = "Secrets in an export stay sealed: an import needs the key, too (DATA_DIR/seal.key)."
    )]
    Export(FileArgs),
    /// Write the objects of an export, or of the existing system's database dump, into an empty store
    #[command(after_help = "\
A dump is what db_json_exim --export-to writes (unpack it first: gunzip). Objects keep uuids, numbers, addresses and route
targets; what cannot be taken over is listed, and makes the command end with status 3. All controllers must be down.")]
    Import {
        #[command(flatten)]
        file: FileArgs,
        /// Delete what is in the store first
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        seal: SealArgs,
    },
}

/// How secrets are kept.
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// File of the key that secrets in the store are sealed with; made if the store has none yet [default: that of the
    /// controller in whose data directory the store is]
    #[arg(long, value_name = "FILE")]
    seal_key: Option<PathBuf>,
}

impl SealArgs {
    /// The store with its secrets sealed.
    async fn seal(&self, args: &StoreArgs, store: Arc<dyn Store>) -> anyhow::Result<SealedStore> {
        let location = Path::new(&args.store);
        let data = match location.join(EMBEDDED).is_dir() {
            true => Some(location),
            false => location.parent().filter(|_| location.ends_with(EMBEDDED)),
        };
        let own = || data.map(|directory| directory.join(SEAL_FILE));
        let path = self.seal_key.clone().or_else(own);
        let path = path.context("there are secrets: give --seal-key, the controllers' key file")?;
        SealedStore::open(store, &path).await.context("sealing secrets in the store")
    }
}

/// Which store.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The controller's data directory (the controller must be down), or etcd://HOST:PORT,...
    #[arg(long, value_name = "LOCATION", env = "WEFT_STORE")]
    store: String,
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// File; - is standard input or output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) async fn run(command: StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Backup(args) => save(&args).await,
        StoreCommand::Restore { file, force, seal } => restore(&file, force, &seal).await,
        StoreCommand::Check { store, repair } => verify(&store, repair).await,
        StoreCommand::Export(args) => export(&args).await,
        StoreCommand::Import { file, force, seal } => import(&file, force, &seal).await,
    }
}

/// Opens the store a location names; one that is only read must be there.
async fn open(args: &StoreArgs, existing: bool) -> anyhow::Result<Arc<dyn Store>> {
    let mut location = args.store.clone();
    if !location.contains("://") {
        let inner = Path::new(&location).join(EMBEDDED);
        // The store's own directory holds a file of that name, a controller's data directory a directory.
        if !inner.is_file() {
            location = inner.to_string_lossy().into_owned();
        }
        if existing && !Path::new(&location).is_dir() {
            bail!(
                "there is no store in {}: give the controller's data directory, or etcd://HOST:PORT",
                args.store
            );
        }
    }
    match weft_store::open(&location).await {
        Err(error @ StoreError::Locked { .. }) => bail!("{error}: stop the controller first"),
        other => other.with_context(|| format!("cannot open the store {}", args.store)),
    }
}

async fn save(args: &FileArgs) -> anyhow::Result<ExitCode> {
    let store = open(&args.store, true).await?;
    let file = args.file.display();
    let mut output = Output::new(&args.file)?;
    let summary = backup::write(&*store, &mut output).await.map_err(told)?;
    output.done()?;
    if args.file != Path::new("-") {
        eprintln!("{} entries at revision {} written to {file}", summary.entries, summary.revision);
    }
    Ok(ExitCode::SUCCESS)
}

/// With what to do about it.
fn told(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::NotEmpty(_) => anyhow::anyhow!("{error}; --force deletes what it holds"),
        other => other.into(),
    }
}

async fn restore(args: &FileArgs, force: bool, seal: &SealArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    if args.file == Path::new("-") {
        bail!("a backup is read twice, so it must be a file");
    }
    // Whole before the first write.
    backup::read(input(&args.file)?, |_, _| Ok(())).with_context(|| format!("{file}"))?;
    let store = open(&args.store, false).await?;
    let summary = backup::restore(&*store, input(&args.file)?, force).await.map_err(told)?;
    eprintln!("{} entries restored from {file}", summary.entries);
    if plain_secrets(&*store).await? > 0 {
        let sealed = seal.seal(&args.store, store).await?.seal_what_is_plain().await?;
        eprintln!("secrets of {sealed} objects sealed: they were not in the backup");
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(args: &StoreArgs, repair: bool) -> anyhow::Result<ExitCode> {
    let store = open(args, true).await?;
    let findings = if repair {
        let (writes, left) = check::repair(&*store).await?;
        eprintln!("{writes} rows mended");
        left
    } else {
        check::check(&check::rows(&*store).await?)
    };
    for finding in &findings {
        let hint = if finding.repair.is_some() { "" } else { " (not to be mended by this command)" };
        output::print(&format!("{}: {}{hint}\n", finding.key, finding.what));
    }
    eprintln!("{} findings", findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn export(args: &FileArgs) -> anyhow::Result<ExitCode> {
    let store = open(&args.store, true).await?;
    backup::whole(&*store).await.map_err(told)?;
    let mut out = Output::new(&args.file)?;
    let (revision, mut pages) = store.snapshot().await?;
    write!(out, "{{\"weft-export\": 1, \"revision\": {revision}, \"objects\": [")?;
    let mut objects = 0usize;
    while let Some(page) = pages.next().await {
        for entry in page? {
            if weft_store::layout::parse_object_key(&entry.key).is_none() {
                continue;
            }
            // As stored, which is the JSON of one object.
            let object = std::str::from_utf8(&entry.value).with_context(|| entry.key.clone())?;
            write!(out, "{}\n{object}", if objects == 0 { "" } else { "," })?;
            objects += 1;
        }
    }
    writeln!(out, "\n]}}")?;
    out.done()?;
    eprintln!("{objects} objects at revision {revision} exported");
    Ok(ExitCode::SUCCESS)
}

async fn import(args: &FileArgs, force: bool, seal: &SealArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    let text = text(&args.file)?;
    let json: Value = serde_json::from_slice(&text).with_context(|| format!("{file} is not JSON"))?;
    drop(text);
    let mut found = read_objects(json).with_context(|| format!("{file}"))?;
    let raw = open(&args.store, false).await?;
    backup::begin(&*raw, "an import", force).await.map_err(told)?;
    let mut store = Arc::clone(&raw);
    if found.objects.iter().any(has_secrets) {
        let sealed = seal.seal(&args.store, store).await?;
        let objects = std::mem::take(&mut found.objects).into_iter().map(|object| sealed.opened(object));
        found.objects = objects.collect::<Result<_, _>>().with_context(|| {
            format!("{file} is the export of an installation with another key: copy it, and name it with --seal-key")
        })?;
        store = Arc::new(sealed);
    }
    let state = ApiState::new(Arc::clone(&store), DerivedView::start(Arc::clone(&store)));
    let imported = weft_api::import(&state, found.objects).await.map_err(|e| anyhow::anyhow!("{e}"))?;
    for (object_type, count) in &found.derived {
        eprintln!("{count} of type {object_type} are made anew by the controller");
    }
    let left: Vec<String> = found.left.into_iter().chain(imported.left).collect();
    left.iter().for_each(|line| output::print(&format!("{line}\n")));
    eprintln!("{} objects imported, {} things left out", imported.objects, left.len());
    backup::finish(&*raw).await?;
    // The dump's own rows must agree; ours are checked as for any store.
    let findings = check::check(&check::rows(&*raw).await?);
    findings.iter().for_each(|f| output::print(&format!("{}: {}\n", f.key, f.what)));
    Ok(if left.is_empty() && findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Whether an object holds secrets, sealed or not.
fn has_secrets(object: &Object) -> bool {
    let mut found = false;
    each_secret(&mut object.to_json(), &mut |_| found = true);
    found
}

/// The objects of either kind of file.
fn read_objects(mut json: Value) -> anyhow::Result<dump::Dump> {
    if json.get("cassandra").is_some() {
        return Ok(dump::from_json(&json)?);
    }
    let Some(Value::Array(list)) = json.get_mut("objects").map(Value::take) else {
        bail!("it is neither an export (no \"objects\") nor a database dump (no \"cassandra\")");
    };
    let mut objects = Vec::with_capacity(list.len());
    for (index, object) in list.into_iter().enumerate() {
        objects.push(Object::from_json(&object).with_context(|| format!("object {index}"))?);
    }
    Ok(dump::Dump { objects, ..dump::Dump::default() })
}
