//! Bringing objects to a wanted state: carrying out a [`Plan`].

use std::fmt;

use serde_json::{Map, Value};
use weft_model::{FqName, ObjectType};

pub use crate::order::order;

use crate::documents::Document;
use crate::plan::{Options, Plan, Step, Verb, decide};
use crate::{Api, ClientError};

/// What was done, or in a dry run would be done, with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It did not exist.
    Created,
    /// Some fields differed.
    Updated,
    /// Nothing to do.
    Unchanged,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        })
    }
}

/// The outcome for one object.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Type of the object.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its uuid; none in a dry run that would create it.
    pub uuid: Option<String>,
    /// What was done.
    pub action: Action,
    /// The difference, one line each: `+ path: value`, `- path: value`, `~ path: old -> new`.
    pub changes: Vec<String>,
}

/// Applies one object; it becomes no member of any set.
///
/// # Errors
/// As the server answers.
pub async fn apply_one(api: &Api, document: &Document, dry_run: bool) -> Result<Applied, ClientError> {
    let found = api.find(document.kind, &FqName(document.fq_name.clone())).await?;
    let present = match &found {
        Some(uuid) => Some(api.read(document.kind, uuid).await?),
        None => None,
    };
    let step = decide(document.clone(), present.as_ref(), &Options::default())
        .map_err(|m| ClientError::Mistakes(vec![m]))?;
    let uuid = if dry_run { found } else { write(api, &step).await? };
    let action = match step.verb {
        Verb::Create => Action::Created,
        Verb::Update => Action::Updated,
        Verb::Keep | Verb::Delete => Action::Unchanged,
    };
    Ok(Applied { kind: step.kind, fq_name: step.fq_name, uuid, action, changes: step.changes })
}

/// How one step ended.
#[derive(Debug)]
pub enum Outcome {
    /// As planned.
    Done,
    /// The server refused; the error names the place in the file where that can be told.
    Failed(ClientError),
    /// Not tried, for this reason.
    Skipped(String),
}

/// How many steps ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects made.
    pub created: usize,
    /// Objects changed.
    pub updated: usize,
    /// Objects that were as they should be.
    pub unchanged: usize,
    /// Objects taken away.
    pub deleted: usize,
    /// Steps the server refused.
    pub failed: usize,
    /// Steps not tried because of others that failed.
    pub skipped: usize,
}

impl Summary {
    /// Whether everything was done.
    pub fn complete(&self) -> bool {
        self.failed + self.skipped == 0
    }

    /// Counts a step that was done, or in a dry run would be.
    pub fn count(&mut self, verb: Verb) {
        match verb {
            Verb::Create => self.created += 1,
            Verb::Update => self.updated += 1,
            Verb::Keep => self.unchanged += 1,
            Verb::Delete => self.deleted += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, updated, unchanged, deleted, failed, skipped } = self;
        write!(f, "{created} created, {updated} updated, {unchanged} unchanged, {deleted} deleted")?;
        if self.complete() { Ok(()) } else { write!(f, ", {failed} failed, {skipped} skipped") }
    }
}

/// Carries out a plan and goes on after failures, except with what needs what failed. Nothing is deleted unless everything
/// else was done. `told` hears of every step when it has ended.
pub async fn run(api: &Api, plan: &mut Plan, mut told: impl FnMut(&Step, &Outcome)) -> Summary {
    let mut summary = Summary::default();
    let mut ended: Vec<bool> = Vec::with_capacity(plan.steps.len());
    let (mut later, mut made_all) = (Vec::new(), true);
    let first_delete = plan.steps.iter().position(|s| s.verb == Verb::Delete).unwrap_or(plan.steps.len());
    for own in 0..plan.steps.len() {
        if own == first_delete {
            made_all &= complete(api, &plan.steps, &later, &mut summary, &mut told).await;
            later.clear();
        }
        let step = &plan.steps[own];
        let outcome = match hindrance(plan, own, &ended, made_all) {
            Some(reason) => Outcome::Skipped(reason),
            None => match write(api, step).await {
                Ok(_) => Outcome::Done,
                Err(e) => Outcome::Failed(blame(step, e)),
            },
        };
        let done = matches!(outcome, Outcome::Done);
        made_all &= done || step.verb == Verb::Delete;
        ended.push(done);
        match &outcome {
            Outcome::Done => summary.count(step.verb),
            Outcome::Failed(_) => summary.failed += 1,
            Outcome::Skipped(_) => summary.skipped += 1,
        }
        if done && !step.later.is_empty() {
            later.push(own);
        }
        told(step, &outcome);
    }
    complete(api, &plan.steps, &later, &mut summary, &mut told).await;
    summary
}

/// References that had to wait until everything was there.
async fn complete(
    api: &Api,
    steps: &[Step],
    later: &[usize],
    summary: &mut Summary,
    told: &mut impl FnMut(&Step, &Outcome),
) -> bool {
    let mut all = true;
    for step in later.iter().map(|i| &steps[*i]) {
        let result = match api.find(step.kind, &FqName(step.fq_name.clone())).await {
            Ok(Some(uuid)) => api.update(step.kind, &uuid, &step.later).await,
            Ok(None) => Err(ClientError::NoSuchObject {
                object_type: step.kind.name().to_owned(),
                name: step.fq_name.join(":"),
            }),
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            all = false;
            summary.failed += 1;
            told(step, &Outcome::Failed(blame(step, e)));
        }
    }
    all
}

/// Why a step is not tried, if so.
fn hindrance(plan: &Plan, own: usize, ended: &[bool], made_all: bool) -> Option<String> {
    let step = &plan.steps[own];
    if step.verb == Verb::Delete && !made_all {
        return Some("nothing is deleted until everything else is applied".into());
    }
    let failed = step.needs.iter().find(|n| !ended.get(**n).copied().unwrap_or(false))?;
    let other = plan.steps[*failed].title();
    Some(match step.verb {
        Verb::Delete => format!("{other} is still there"),
        _ => format!("it needs {other}"),
    })
}

fn blame(step: &Step, error: ClientError) -> ClientError {
    match &step.document {
        Some(document) => document.blame(error),
        None => error,
    }
}

/// Does one step; the uuid of the object, if it has one then.
async fn write(api: &Api, step: &Step) -> Result<Option<String>, ClientError> {
    match (step.verb, &step.uuid) {
        (Verb::Create, _) => {
            let answer = api.create(step.kind, &step.fields).await?;
            return Ok(answer.get("uuid").and_then(Value::as_str).map(str::to_owned));
        }
        (Verb::Update, Some(uuid)) => api.update(step.kind, uuid, &step.fields).await?,
        (Verb::Delete, Some(uuid)) => delete(api, step, uuid).await?,
        (Verb::Keep, _) | (_, None) => {}
    }
    Ok(step.uuid.clone())
}

async fn delete(api: &Api, step: &Step, uuid: &str) -> Result<(), ClientError> {
    for (kind, referrer) in &step.release {
        api.ref_update("DELETE", (*kind, referrer), (step.kind, uuid)).await?;
    }
    match api.delete(step.kind, uuid).await {
        // Somebody else was faster.
        Err(ClientError::Status { status: 404, .. }) => Ok(()),
        other => other,
    }
}

/// Sends fields that a user changed in an object.
///
/// # Errors
/// As the server answers, at the place in the text.
pub async fn update(
    api: &Api,
    document: &Document,
    uuid: &str,
    fields: &Map<String, Value>,
) -> Result<(), ClientError> {
    api.update(document.kind, uuid, fields).await.map_err(|e| document.blame(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;

    fn plan() -> Plan {
        let text =
            "- project: {fq_name: d:p}\n- virtual-network: {fq_name: d:p:n}\n- project: {fq_name: d:q}\n";
        let documents = parse(text, "t").unwrap();
        let mut steps: Vec<Step> =
            documents.into_iter().map(|d| decide(d, None, &Options::default()).unwrap()).collect();
        steps[1].needs = vec![0];
        steps[2].verb = Verb::Delete;
        Plan { steps }
    }

    #[test]
    fn what_needs_something_that_failed_is_not_tried() {
        let plan = plan();
        assert_eq!(hindrance(&plan, 1, &[false], false).unwrap(), "it needs project d:p");
        assert_eq!(hindrance(&plan, 1, &[true], true), None);
    }

    #[test]
    fn nothing_is_deleted_after_a_failure() {
        let plan = plan();
        assert!(hindrance(&plan, 2, &[true, false], false).unwrap().starts_with("nothing is deleted"));
        assert_eq!(hindrance(&plan, 2, &[true, true], true), None);
    }
}
