//! `config.json` as diffusers writes it: a class name, keys of the class, and keys with an underscore that mean nothing
//! to the network.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ModelError;

/// The version of diffusers whose layout this crate reads and writes.
pub const DIFFUSERS_VERSION: &str = "0.42.1";

/// A `config.json`, parsed as far as its class name.
#[derive(Debug)]
pub struct ConfigFile {
    path: std::path::PathBuf,
    class_name: String,
    keys: Map<String, Value>,
}

impl ConfigFile {
    /// Reads `config.json` of a model directory.
    ///
    /// # Errors
    /// Where the file is absent, is not a JSON object, or names no `_class_name`.
    pub fn read(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| ModelError::io("read", &path, e))?;
        let fail = |reason: String| ModelError::Config { path: path.clone(), reason };
        let value: Value =
            serde_json::from_str(&text).map_err(|e| fail(format!("not JSON: {e}")))?;
        let Value::Object(mut keys) = value else { return Err(fail("not a JSON object".into())) };
        let class_name = match keys.get("_class_name") {
            Some(Value::String(name)) => name.clone(),
            Some(other) => return Err(fail(format!("_class_name = {other}: expected a string"))),
            None => {
                return Err(fail(
                    "no _class_name: this is not a model that diffusers saved".into(),
                ));
            }
        };
        keys.retain(|key, _| !key.starts_with('_'));
        Ok(Self { path, class_name, keys })
    }

    /// The class that wrote the file.
    pub fn class_name(&self) -> &str {
        &self.class_name
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys as a configuration.
    ///
    /// # Errors
    /// Where a key is unknown or a value is not allowed; the message names them.
    pub fn parse<C: DeserializeOwned>(self) -> Result<C, ModelError> {
        // One key at a time, so that an error can name it: serde_json's own message has neither key nor line here.
        let path = self.path;
        serde_json::from_value(Value::Object(self.keys.clone())).map_err(|error| {
            let culprit = self.keys.iter().find(|(key, value)| {
                let alone = Map::from_iter([((*key).clone(), (*value).clone())]);
                serde_json::from_value::<C>(Value::Object(alone)).is_err()
            });
            let reason = match culprit {
                Some((key, value)) => format!("{key} = {value}: {error}"),
                None => error.to_string(),
            };
            ModelError::Config { path, reason }
        })
    }
}

/// Writes `config.json` into a model directory.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn write_config<C: Serialize>(
    directory: &Path,
    class_name: &str,
    config: &C,
) -> Result<(), ModelError> {
    let path = directory.join("config.json");
    let mut keys = Map::from_iter([
        ("_class_name".to_owned(), Value::from(class_name)),
        ("_diffusers_version".to_owned(), Value::from(DIFFUSERS_VERSION)),
    ]);
    match serde_json::to_value(config) {
        Ok(Value::Object(own)) => keys.extend(own),
        other => {
            unreachable!("a configuration is a struct of numbers, strings and lists: {other:?}")
        }
    }
    let text = format!("{:#}\n", Value::Object(keys));
    std::fs::write(&path, text).map_err(|e| ModelError::io("write", &path, e))
}
