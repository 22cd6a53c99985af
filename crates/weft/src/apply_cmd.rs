//! `weft apply` and `weft diff`: files against what the server has.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use weft_client::apply::{self as applying, Outcome, Summary};
use weft_client::plan::{Options, Plan, Step, Verb};
use weft_client::{documents, plan, unified};

use crate::cli::{Format, TargetArgs};
use crate::object_args::{ApplyArgs, SourceArgs};
use crate::output::{self, Paint};
use crate::target::Target;

/// Deepest directories that are looked into.
const MAX_DEPTH: usize = 32;

pub(crate) async fn apply(target: &TargetArgs, args: &ApplyArgs, format: Format) -> anyhow::Result<ExitCode> {
    let (target, mut plan) = prepare(target, &args.source).await?;
    let mut report = Report::new(format, args.dry_run);
    let summary = if args.dry_run {
        let mut summary = Summary::default();
        for step in &plan.steps {
            report.step(step, &Outcome::Done);
            summary.count(step.verb);
        }
        summary
    } else {
        applying::run(&target.api, &mut plan, |step, outcome| report.step(step, outcome)).await
    };
    report.end(&summary)?;
    let differs = args.exit_code && plan.is_change();
    Ok(if differs || !summary.complete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(crate) async fn diff(target: &TargetArgs, args: &SourceArgs, format: Format) -> anyhow::Result<ExitCode> {
    let (_, plan) = prepare(target, args).await?;
    let changed: Vec<&Step> = plan.steps.iter().filter(|s| s.verb != Verb::Keep).collect();
    match format {
        Format::Json | Format::Yaml => {
            let rows: Vec<Value> = changed.iter().map(|s| row(s, &Outcome::Done, true)).collect();
            output::value(format, &rows)?;
        }
        Format::Name => changed.iter().for_each(|s| output::print(&name_line(s))),
        Format::Table | Format::Wide => {
            for step in &changed {
                output::print(&coloured(&unified::step(step)?));
            }
        }
    }
    Ok(if changed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A unified difference with colours, in a terminal.
fn coloured(text: &str) -> String {
    let paint = Paint::stdout();
    let line = |line: &str| match line.as_bytes().first() {
        Some(b'+') => paint.green(line),
        Some(b'-') => paint.red(line),
        Some(b'@') => paint.cyan(line),
        _ => line.to_owned(),
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

async fn prepare(target: &TargetArgs, args: &SourceArgs) -> anyhow::Result<(Target, Plan)> {
    let set = set_name(args)?;
    let wanted = documents::parse_all(&read_all(&args.file)?)?;
    let all_gone = args.prune && args.set.is_some();
    anyhow::ensure!(
        !wanted.is_empty() || all_gone,
        "no objects in the input; write {{virtual-network: {{fq_name: a:b:c}}}}, or name the --set with --prune to delete all of it"
    );
    let target = Target::new(target)?;
    let options = Options { set, prune: args.prune, adopt: args.adopt };
    let plan = plan::plan(&target.api, wanted, &options).await?;
    Ok((target, plan))
}

/// The set: as given, else the name of the directory, if that is all there is.
fn set_name(args: &SourceArgs) -> anyhow::Result<Option<String>> {
    let set = match (&args.set, args.file.as_slice()) {
        (Some(name), _) => Some(name.clone()),
        (None, [one]) if one.is_dir() => {
            let path = one.canonicalize().with_context(|| one.display().to_string())?;
            path.file_name().map(|name| name.to_string_lossy().into_owned())
        }
        _ => None,
    };
    anyhow::ensure!(set.as_deref() != Some(""), "--set: the name is empty");
    let wants = args.prune || args.adopt;
    anyhow::ensure!(
        !wants || set.is_some(),
        "--prune and --adopt need the name of a set: give a directory alone, or --set NAME"
    );
    Ok(set)
}

/// All texts with the names of their files, in order.
fn read_all(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for file in files {
        if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            texts.push(("standard input".to_owned(), text));
            continue;
        }
        let mut found = Vec::new();
        if file.is_dir() {
            walk(file, 0, &mut found)?
        } else {
            found.push(file.clone())
        }
        for path in found {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| place.clone())?;
            texts.push((place, text));
        }
    }
    Ok(texts)
}

/// The files of a directory and those below it, in the order of their names. Hidden ones are left out.
fn walk(directory: &Path, depth: usize, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    anyhow::ensure!(depth < MAX_DEPTH, "{}: too deep", directory.display());
    let failed = || directory.display().to_string();
    let mut entries: Vec<_> =
        std::fs::read_dir(directory).with_context(failed)?.collect::<Result<_, _>>().with_context(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries.iter().filter(|e| !e.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        let kind = entry.file_type().with_context(failed)?;
        let ours = path.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known));
        if kind.is_dir() {
            walk(&path, depth + 1, into)?;
        } else if ours && path.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

/// Tells what was done, step by step, or as a list at the end.
struct Report {
    format: Format,
    dry_run: bool,
    rows: Vec<Value>,
}

impl Report {
    fn new(format: Format, dry_run: bool) -> Self {
        Self { format, dry_run, rows: Vec::new() }
    }

    fn step(&mut self, step: &Step, outcome: &Outcome) {
        match outcome {
            Outcome::Done => {}
            Outcome::Failed(e) => eprintln!("{}", Paint::stderr().red(&failure(step, e))),
            Outcome::Skipped(reason) => eprintln!("{} skipped: {reason}", step.title()),
        }
        match self.format {
            Format::Json | Format::Yaml => self.rows.push(row(step, outcome, self.dry_run)),
            Format::Name if matches!(outcome, Outcome::Done) => output::print(&name_line(step)),
            Format::Table | Format::Wide if matches!(outcome, Outcome::Done) => self.lines(step),
            _ => {}
        }
    }

    fn lines(&self, step: &Step) {
        let paint = Paint::stdout();
        let word = step.verb.done();
        let word = match step.verb {
            Verb::Create => paint.green(word),
            Verb::Update => paint.yellow(word),
            Verb::Delete => paint.red(word),
            Verb::Keep => word.to_owned(),
        };
        let note = if self.dry_run { " (dry run)" } else { "" };
        output::print(&format!("{} {word}{note}\n", step.title()));
        if self.dry_run || step.verb == Verb::Update {
            step.changes.iter().for_each(|c| output::print(&format!("  {c}\n")));
        }
    }

    fn end(&self, summary: &Summary) -> anyhow::Result<()> {
        if matches!(self.format, Format::Json | Format::Yaml) {
            output::value(self.format, &self.rows)?;
        }
        let note = if self.dry_run { " (dry run: nothing was changed)" } else { "" };
        eprintln!("{summary}{note}");
        if !summary.complete() {
            eprintln!("run the same command again when that is mended: what is done stays done");
        }
        Ok(())
    }
}

/// Mistakes have their place in front, as editors want it.
fn failure(step: &Step, error: &weft_client::ClientError) -> String {
    match error {
        weft_client::ClientError::Mistakes(_) => error.to_string(),
        other => format!("{} failed: {other}", step.title()),
    }
}

fn name_line(step: &Step) -> String {
    format!("{}/{}\n", step.kind, step.fq_name.join(":"))
}

fn row(step: &Step, outcome: &Outcome, dry_run: bool) -> Value {
    let (action, error) = match outcome {
        Outcome::Done => (step.verb.done(), None),
        Outcome::Failed(e) => ("failed", Some(e.to_string())),
        Outcome::Skipped(reason) => ("skipped", Some(reason.clone())),
    };
    json!({"type": step.kind.name(), "fq_name": step.fq_name, "uuid": step.uuid, "action": action, "dry_run": dry_run,
        "changes": step.changes, "error": error})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["b.yaml", "a.yml", "sub/c.json", "sub/.hidden.yaml", "notes.txt", ".git/x.yaml", "z.yaml"]
        {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
        }
        let texts = read_all(&[directory.path().to_owned()]).unwrap();
        let strip =
            |file: &str| Path::new(file).strip_prefix(directory.path()).unwrap().display().to_string();
        let names: Vec<String> = texts.iter().map(|(file, _)| strip(file)).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "sub/c.json", "z.yaml"]);
    }

    #[test]
    fn the_set_is_that_of_a_single_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("prod");
        std::fs::create_dir(&path).unwrap();
        let args = |file: &[&Path], set: Option<&str>, prune| SourceArgs {
            file: file.iter().map(|f| (*f).to_owned()).collect(),
            set: set.map(str::to_owned),
            prune,
            adopt: false,
        };
        assert_eq!(set_name(&args(&[&path], None, true)).unwrap().as_deref(), Some("prod"));
        assert_eq!(set_name(&args(&[&path, &path], Some("x"), true)).unwrap().as_deref(), Some("x"));
        assert_eq!(set_name(&args(&[Path::new("f.yaml")], None, false)).unwrap(), None);
        assert!(set_name(&args(&[Path::new("f.yaml")], None, true)).is_err());
    }
}
