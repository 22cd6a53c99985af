//! `weft edit`: one object in the user's editor.

use std::io::{Seek, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;
use tempfile::NamedTempFile;
use weft_client::documents::{self, Document};
use weft_client::{ClientError, Mistake, apply, edit, unified};
use weft_model::ObjectType;

use crate::cli::TargetArgs;
use crate::object_args::NameArgs;
use crate::objects::one;
use crate::output;
use crate::target::Target;

/// Lines of the comment above a text with mistakes, besides the mistakes.
const COMMENT_LINES: u64 = 2;

/// How one round with the editor ended.
enum Round {
    /// The object was changed.
    Written,
    /// There is nothing to do, for this reason.
    Nothing(&'static str),
    /// The text has mistakes.
    Again(Vec<Mistake>),
}

struct Session {
    target: Target,
    kind: ObjectType,
    uuid: String,
    original: Value,
}

pub(crate) async fn run(target: &TargetArgs, args: &NameArgs) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let (kind, uuid) = one(&target, &args.kind, args.name.as_deref()).await?;
    let original = target.api.read(kind, &uuid).await?;
    let name = weft_client::api::fq_name_of(&original).join(":");
    let session = Session { target, kind, uuid, original };
    let mut file = tempfile::Builder::new().prefix("weft-edit-").suffix(".yaml").tempfile()?;
    match session.rounds(&mut file).await {
        Ok(Round::Written) => output::print(&format!("{kind} {name} edited\n")),
        Ok(Round::Nothing(reason)) => eprintln!("{reason}: {kind} {name} is as it was"),
        Ok(Round::Again(mistakes)) => return Err(kept(file, ClientError::Mistakes(mistakes).into())),
        Err(e) => return Err(kept(file, e)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The error, with the place where the user's text is kept.
fn kept(file: NamedTempFile, error: anyhow::Error) -> anyhow::Error {
    match file.keep() {
        Ok((_, path)) => {
            let path = path.display();
            let advice = format!("`weft diff -f {path}` and `weft apply -f {path}` go on with it");
            anyhow::anyhow!("{error:#}\n  your text is kept in {path}; {advice}")
        }
        Err(e) => anyhow::anyhow!("{error:#}\n  and your text could not be kept: {e}"),
    }
}

impl Session {
    async fn rounds(&self, file: &mut NamedTempFile) -> anyhow::Result<Round> {
        let mut body = unified::yaml(self.kind, &self.original)?;
        let mut comment = String::from(
            "# Change the object and save it; an empty file changes nothing. Lines with # are ignored.\n",
        );
        let mut mistakes: Vec<Mistake> = Vec::new();
        loop {
            write(file, &format!("{comment}{body}"))?;
            let edited = without_comment(&edit_file(file.path())?);
            if edited.trim().is_empty() {
                return Ok(Round::Nothing("the file is empty"));
            }
            if edited == body {
                return Ok(match mistakes.is_empty() {
                    true => Round::Nothing("nothing was changed"),
                    false => Round::Again(mistakes),
                });
            }
            let found = match self.round(&edited).await? {
                Round::Again(found) => found,
                ended => return Ok(ended),
            };
            (comment, mistakes) = explain(found, file.path());
            body = edited;
        }
    }

    /// Judges a text and writes the object if it is right.
    async fn round(&self, text: &str) -> anyhow::Result<Round> {
        let document = match self.document(text) {
            Ok(document) => document,
            Err(mistakes) => return Ok(Round::Again(mistakes)),
        };
        let fields = match edit::changes(self.kind, &self.original, &document) {
            Ok(fields) if fields.is_empty() => return Ok(Round::Nothing("nothing was changed")),
            Ok(fields) => fields,
            Err(mistakes) => return Ok(Round::Again(mistakes)),
        };
        let now = self.target.api.read(self.kind, &self.uuid).await?;
        let meanwhile = edit::changed_meanwhile(self.kind, &self.original, &now);
        anyhow::ensure!(
            meanwhile.is_empty(),
            "somebody else changed the object meanwhile ({}), nothing was written",
            meanwhile.join(", ")
        );
        match apply::update(&self.target.api, &document, &self.uuid, &fields).await {
            Ok(()) => Ok(Round::Written),
            Err(ClientError::Mistakes(mistakes)) => Ok(Round::Again(mistakes)),
            Err(e) => Err(e.into()),
        }
    }

    fn document(&self, text: &str) -> Result<Document, Vec<Mistake>> {
        let mut found = match documents::parse(text, "edited") {
            Ok(found) => found,
            Err(ClientError::Mistakes(mistakes)) => return Err(mistakes),
            Err(other) => return Err(vec![general(other.to_string())]),
        };
        match (found.pop(), found.is_empty()) {
            (Some(document), true) => Ok(document),
            (None, _) => Err(vec![general("there is no object in it".into())]),
            (Some(_), false) => Err(vec![general("there is more than one object in it".into())]),
        }
    }
}

fn general(text: String) -> Mistake {
    Mistake { file: "edited".into(), position: None, text }
}

/// The comment that shows mistakes above a text, and the mistakes with their lines in the file as it is then.
fn explain(mistakes: Vec<Mistake>, path: &Path) -> (String, Vec<Mistake>) {
    let above = COMMENT_LINES + mistakes.len() as u64;
    let moved = mistakes.into_iter().map(|mut m| {
        m.file = path.display().to_string();
        m.text = m.text.replace('\n', " ");
        if let Some(position) = &mut m.position {
            position.line += above;
        }
        m
    });
    let moved: Vec<Mistake> = moved.collect();
    let mut comment = String::from("# This is not right yet (an empty file changes nothing):\n");
    for mistake in &moved {
        let place = mistake.position.map(|p| format!("line {}: ", p.line)).unwrap_or_default();
        comment.push_str(&format!("#   {place}{}\n", mistake.text));
    }
    comment.push_str("#\n");
    (comment, moved)
}

/// The text below the comment at its top.
fn without_comment(text: &str) -> String {
    text.split_inclusive('\n').skip_while(|line| line.starts_with('#')).collect()
}

fn write(file: &mut NamedTempFile, text: &str) -> anyhow::Result<()> {
    // Editors may have put another file in its place.
    let mut inner = std::fs::File::create(file.path()).context("file for the editor")?;
    inner.write_all(text.as_bytes())?;
    file.as_file_mut().rewind()?;
    Ok(())
}

/// Lets the user edit a file and reads it. `$VISUAL` and `$EDITOR` may have arguments.
fn edit_file(path: &Path) -> anyhow::Result<String> {
    let named = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("weft-edit").arg(path);
    let status = command.status().with_context(|| format!("cannot run the editor {editor}"))?;
    anyhow::ensure!(status.success(), "the editor {editor} ended with {status}");
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_client::source::Position;

    #[test]
    fn mistakes_are_shown_with_their_lines_below_the_comment() {
        let text = "virtual-network:\n  fq_name: a:b:c\n  is_sharde: true\n";
        let Err(ClientError::Mistakes(found)) = documents::parse(text, "t") else { panic!("mistakes") };
        let (comment, moved) = explain(found, Path::new("/f"));
        let file = format!("{comment}{text}");
        let Position { line, .. } = moved[0].position.unwrap();
        assert_eq!(file.lines().nth(usize::try_from(line).unwrap() - 1), Some("  is_sharde: true"));
        assert!(comment.contains(&format!("line {line}: ")) && comment.contains("did you mean is_shared?"));
        assert_eq!(without_comment(&file), text);
    }
}
