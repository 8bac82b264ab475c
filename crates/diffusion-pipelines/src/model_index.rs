//! `model_index.json`: the class of a pipeline and of each of its components.

use std::collections::BTreeMap;
use std::path::Path;

use diffusion_models::DIFFUSERS_VERSION;
use serde_json::{Map, Value, json};

use crate::PipelineError;

/// A component: the library and the class that wrote its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// `diffusers` or `transformers`.
    pub library: String,
    /// The class in it.
    pub class_name: String,
}

/// The contents of a `model_index.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIndex {
    /// The pipeline's class.
    pub class_name: String,
    /// Its components by folder; those that are null in the file are left out.
    pub components: BTreeMap<String, Component>,
}

impl ModelIndex {
    const FILE: &'static str = "model_index.json";

    /// The path of the file in a pipeline's directory.
    pub fn path(directory: &Path) -> std::path::PathBuf {
        directory.join(Self::FILE)
    }

    /// Reads the file of a pipeline's directory.
    ///
    /// # Errors
    /// Where it is absent or not of diffusers' form.
    pub fn read(directory: &Path) -> Result<Self, PipelineError> {
        let path = Self::path(directory);
        let text = std::fs::read_to_string(&path).map_err(|source| PipelineError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let fail = |reason: String| PipelineError::Index { path: path.clone(), reason };
        let keys: Map<String, Value> =
            serde_json::from_str(&text).map_err(|e| fail(format!("not a JSON object: {e}")))?;
        let class_name = match keys.get("_class_name") {
            Some(Value::String(name)) => name.clone(),
            _ => {
                return Err(fail(
                    "no _class_name: this is not a pipeline that diffusers saved".into(),
                ));
            }
        };
        let mut components = BTreeMap::new();
        for (folder, value) in keys.iter().filter(|(key, _)| !key.starts_with('_')) {
            match value.as_array().map(Vec::as_slice) {
                Some([Value::String(library), Value::String(class_name)]) => {
                    let component =
                        Component { library: library.clone(), class_name: class_name.clone() };
                    components.insert(folder.clone(), component);
                }
                // An optional component that is absent.
                Some([Value::Null, Value::Null]) => {}
                // Settings of the pipeline itself, such as `requires_safety_checker`.
                None if value.is_boolean() || value.is_null() => {}
                _ => return Err(fail(format!("{folder} = {value}: expected [library, class]"))),
            }
        }
        Ok(Self { class_name, components })
    }

    /// Writes the file into a pipeline's directory.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), PipelineError> {
        let path = Self::path(directory);
        let mut keys = Map::from_iter([
            ("_class_name".to_owned(), json!(self.class_name)),
            ("_diffusers_version".to_owned(), json!(DIFFUSERS_VERSION)),
        ]);
        for (folder, component) in &self.components {
            keys.insert(folder.clone(), json!([component.library, component.class_name]));
        }
        let text = format!("{:#}\n", Value::Object(keys));
        std::fs::write(&path, text).map_err(|source| PipelineError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// The class of a component.
    pub(crate) fn class_of(&self, directory: &Path, folder: &str) -> Result<&str, PipelineError> {
        self.components.get(folder).map(|c| c.class_name.as_str()).ok_or_else(|| {
            PipelineError::Index {
                path: Self::path(directory),
                reason: format!("{} has no component {folder}", self.class_name),
            }
        })
    }
}
