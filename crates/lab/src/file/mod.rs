//! Lab files: [`format`] is the file as written, [`plan`] what it means once every name is known to exist, [`resolve`]
//! leads from one to the other and [`expand`] turns the short forms into REST objects.

pub(crate) mod expand;
pub mod format;
pub mod plan;
mod resolve;
mod steps;

use std::path::Path;

use plan::Plan;

/// A lab file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Unreadable.
    #[error("{file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML, an unknown or missing field, a value of the wrong form. The text names line and column and shows the place.
    #[error("{file}: {text}")]
    Form {
        /// The file.
        file: String,
        /// The reader's report.
        text: String,
    },
    /// Well formed, but it names something that does not exist or contradicts itself.
    #[error("{file}: line {line}: {text}")]
    Meaning {
        /// The file.
        file: String,
        /// 1-based line.
        line: u64,
        /// What is wrong.
        text: String,
    },
}

/// Reads a lab file and checks everything that can be checked without starting anything.
///
/// # Errors
/// See [`FileError`]; every error names the line where there is one.
pub fn load(path: &Path) -> Result<Plan, FileError> {
    let file = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| FileError::Read { file: file.clone(), source })?;
    let default_name =
        path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "lab".into());
    parse(&text, &file, &default_name)
}

/// The same from a text; `file` names it in errors and `default_name` is the lab's name if the text gives none.
///
/// # Errors
/// See [`FileError`].
pub fn parse(text: &str, file: &str, default_name: &str) -> Result<Plan, FileError> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let written: format::LabFile = serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| FileError::Form { file: file.to_owned(), text: e.to_string() })?;
    resolve::plan(&written, default_name).map_err(|resolve::Mistake { line, text }| FileError::Meaning {
        file: file.to_owned(),
        line,
        text,
    })
}

#[cfg(test)]
mod tests;
