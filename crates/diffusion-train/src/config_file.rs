//! Reading a configuration: from TOML text and `key=value` overrides, with errors that name file, line and key.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::{InvalidValue, RunConfig};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The text is not a configuration; the reason shows the line.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, key, value and what is allowed.
        reason: String,
    },
    /// An override is not `key.path=value`, or does not fit.
    #[error("--set {given}: {reason}")]
    Override {
        /// The override as given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that the types allow and the field does not.
    #[error("{place}: {invalid}")]
    Invalid {
        /// File and line, or the override that set it.
        place: String,
        /// Key, value and what is allowed.
        invalid: InvalidValue,
    },
}

impl RunConfig {
    /// Reads `path` and applies `overrides`, each `key.path=value` with a TOML value (a bare word is a string).
    ///
    /// # Errors
    /// Where the file is absent, is not TOML, has an unknown key, a wrong type or a value that is not allowed.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        };
        let mut table: Table = toml::from_str(&text).map_err(syntax)?;
        for given in overrides {
            apply(&mut table, given)?;
        }
        let config = match overrides {
            // Straight from the text, so that an error shows the line.
            [] => toml::from_str(&text).map_err(syntax)?,
            _ => Self::deserialize(Value::Table(table)).map_err(|error| {
                // The fault may be the file's own: then it is there without the overrides too, and has a line.
                let own: Result<Self, _> = toml::from_str(&text);
                match own {
                    Err(own) if own.message() == error.message() => syntax(own),
                    _ => ConfigError::Override {
                        given: overrides.join(" --set "),
                        reason: error.to_string().trim_end().to_owned(),
                    },
                }
            })?,
        };
        config.validate().map_err(|invalid| {
            // The last override counts, of the key itself or of one in or around its section.
            let concerns = |given: &&String| {
                let set = given.split('=').next().unwrap_or_default().trim().to_owned();
                let within = |inner: &str, outer: &str| {
                    inner == outer
                        || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
                };
                within(&set, &invalid.key) || within(&invalid.key, &set)
            };
            let set = overrides.iter().rfind(concerns);
            let place = match (set, line_of(&text, &invalid.key)) {
                (Some(given), _) => format!("--set {given}"),
                (None, Some(line)) => format!("{}:{line}", path.display()),
                (None, None) => path.display().to_string(),
            };
            ConfigError::Invalid { place, invalid }
        })?;
        Ok(config)
    }

    /// The configuration as TOML, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }
}

fn apply(table: &mut Table, given: &str) -> Result<(), ConfigError> {
    let refuse = |reason: String| ConfigError::Override { given: given.to_owned(), reason };
    let (path, text) =
        given.split_once('=').ok_or_else(|| refuse("expected key.path=value".into()))?;
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.split('.').map(str::trim).collect();
    let last = keys
        .pop()
        .filter(|key| !key.is_empty())
        .ok_or_else(|| refuse("the key is empty".into()))?;
    let mut place = table;
    for key in keys {
        let entry = place.entry(key).or_insert_with(|| Value::Table(Table::new()));
        place = entry
            .as_table_mut()
            .ok_or_else(|| refuse(format!("{key} is a value, not a section")))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

/// The line, from 1, on which a key stands; else that of its section.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for name in key.split('.') {
        let (spanned, value) = table.iter().find(|(k, _)| k.get_ref() == name)?;
        found = Some(spanned.span().start);
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    found.map(|offset| text[..offset].matches('\n').count() + 1)
}
