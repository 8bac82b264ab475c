//! Dependencies run strictly downward, as the architecture draws them: read from the manifests, so that optional and development ones count too.
use std::path::Path;

use super::Finding;

/// A crate and what of this workspace it may depend on.
struct Layer {
    folder: &'static str,
    below: &'static [&'static str],
    /// Whether it may depend on libtorch's bindings, and not only behind a feature.
    libtorch: bool,
}

const MATH: &str = "diffusion-math";
const SAMPLERS: &str = "diffusion-samplers";
const TORCH: &str = "diffusion-torch";
const MODELS: &str = "diffusion-models";
const PIPELINES: &str = "diffusion-pipelines";
const TRAIN: &str = "diffusion-train";
const CLI: &str = "diffusion-cli";

/// The drawing of docs/src/architecture.md. A crate that is not in it is a finding: it has to be placed.
const LAYERS: [Layer; 9] = [
    Layer { folder: "crates/diffusion-math", below: &[], libtorch: false },
    Layer { folder: "crates/diffusion-samplers", below: &[MATH], libtorch: false },
    Layer { folder: "crates/diffusion-torch", below: &[MATH], libtorch: true },
    Layer { folder: "crates/diffusion-models", below: &[MATH, TORCH], libtorch: true },
    Layer {
        folder: "crates/diffusion-pipelines",
        below: &[MATH, SAMPLERS, TORCH, MODELS],
        libtorch: true,
    },
    Layer {
        folder: "crates/diffusion-train",
        below: &[MATH, SAMPLERS, TORCH, MODELS, PIPELINES],
        libtorch: true,
    },
    Layer {
        folder: "crates/diffusion-cli",
        below: &[MATH, SAMPLERS, TORCH, MODELS, PIPELINES, TRAIN],
        libtorch: true,
    },
    Layer {
        folder: "benches",
        below: &[MATH, SAMPLERS, TORCH, MODELS, PIPELINES, TRAIN, CLI],
        libtorch: true,
    },
    Layer { folder: "xtask", below: &[], libtorch: false },
];

/// The crates that bind libtorch.
pub(super) const BINDINGS: [&str; 2] = ["tch", "torch-sys"];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some(layer) = LAYERS.iter().find(|layer| Path::new(layer.folder) == folder) else {
        let is_member = folder.starts_with("crates");
        return if is_member {
            vec![Finding::error(
                path,
                1,
                "this crate has no place in the layering: add it to xtask/src/tidy/layers.rs",
            )]
        } else {
            Vec::new()
        };
    };
    dependencies(text)
        .into_iter()
        .filter_map(|dependency| {
            layer
                .objection(&dependency)
                .map(|message| Finding::error(path, dependency.line, message))
        })
        .collect()
}

impl Layer {
    fn objection(&self, dependency: &Dependency) -> Option<String> {
        let name = dependency.package.as_str();
        if BINDINGS.contains(&name) && !self.libtorch && !dependency.optional {
            return Some(format!(
                "{} must build on a machine without libtorch, and depends on {name}",
                self.folder
            ));
        }
        let ours = name.starts_with("diffusion-");
        (ours && !self.below.contains(&name)).then(|| {
            let below = if self.below.is_empty() {
                "none of the workspace's crates".into()
            } else {
                self.below.join(", ")
            };
            format!("{} depends on {name}; it may depend on {below}", self.folder)
        })
    }
}

/// A dependency as a manifest writes it.
#[derive(Debug, PartialEq)]
pub(super) struct Dependency {
    pub(super) package: String,
    pub(super) line: usize,
    pub(super) optional: bool,
}

/// Every dependency of a manifest: normal, build, development, per target; as `name = …`, `name.workspace = …` or a table of its own.
pub(super) fn dependencies(text: &str) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut place = Place::Elsewhere;
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            place = Place::of(table);
            if let Place::Own(name) = &place {
                found.push(Dependency { package: name.clone(), line: index + 1, optional: false });
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        match (&place, found.last_mut()) {
            (Place::Table, _) => {
                let name = key.split('.').next().unwrap_or(key).trim().trim_matches('"');
                let package = inline(value, "package").unwrap_or(name).to_owned();
                found.push(Dependency {
                    package,
                    line: index + 1,
                    optional: inline(value, "optional") == Some("true"),
                });
            }
            (Place::Own(_), Some(last)) => match key.trim() {
                "package" => last.package = value.trim().trim_matches('"').to_owned(),
                "optional" => last.optional = value.trim() == "true",
                _ => {}
            },
            _ => {}
        }
    }
    found
}

/// Where in a manifest a line stands.
enum Place {
    /// In a table of dependencies.
    Table,
    /// In the table of one dependency.
    Own(String),
    Elsewhere,
}

impl Place {
    fn of(table: &str) -> Self {
        const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
        // `target.'cfg(unix)'.dependencies`: what is quoted may hold dots.
        let path = table.rsplit(['\'', ']']).next().unwrap_or(table).trim_start_matches('.');
        let mut parts =
            path.split('.').skip_while(|part| *part == "target" || !KINDS.contains(part));
        match (parts.next(), parts.next()) {
            (Some(_), None) => Self::Table,
            (Some(_), Some(name)) if !table.starts_with("workspace") => {
                Self::Own(name.trim_matches('"').to_owned())
            }
            _ => Self::Elsewhere,
        }
    }
}

/// The value of a key in an inline table: `{ package = "tch", optional = true }`.
fn inline<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    let pairs = table.trim().strip_prefix('{')?.strip_suffix('}')?.split(',');
    let value =
        pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.trim() == key)?.1;
    Some(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Dependency, check, dependencies};

    fn lines(folder: &str, text: &str) -> Vec<usize> {
        check(&Path::new(folder).join("Cargo.toml"), text)
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_dependency_upward_is_found_in_every_table() {
        for table in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(target_os = \"linux\")'.dependencies",
            "target.x86_64-unknown-linux-gnu.dependencies",
        ] {
            let text = format!(
                "[package]\nname = \"a\"\n[{table}]\nserde.workspace = true\ndiffusion-models.workspace = true # why\n"
            );
            assert_eq!(lines("crates/diffusion-samplers", &text), [5], "{table}");
        }
        assert_eq!(
            lines(
                "crates/diffusion-models",
                "[dependencies.diffusion-samplers]\nworkspace = true\n"
            ),
            [1]
        );
        assert_eq!(
            lines(
                "crates/diffusion-math",
                "[dependencies]\nx = { package = \"diffusion-cli\", path = \"..\" }\n"
            ),
            [2]
        );
        assert_eq!(lines("xtask", "[dependencies]\ndiffusion-math.workspace = true\n"), [2]);
    }

    #[test]
    fn a_dependency_downward_passes() {
        let text = "[dependencies]\ndiffusion-math.workspace = true\ndiffusion-torch = { workspace = true }\ntch.workspace = true\n";
        assert_eq!(lines("crates/diffusion-models", text), []);
    }

    #[test]
    fn libtorch_below_its_layer_is_found_unless_it_is_optional() {
        assert_eq!(lines("crates/diffusion-math", "[dependencies]\ntch.workspace = true\n"), [2]);
        assert_eq!(
            lines("crates/diffusion-samplers", "[dev-dependencies]\ntorch-sys = \"0.26\"\n"),
            [2]
        );
        assert_eq!(
            lines(
                "crates/diffusion-math",
                "[dependencies]\ntch = { workspace = true, optional = true }\n"
            ),
            []
        );
        assert_eq!(
            lines(
                "crates/diffusion-math",
                "[dependencies.tch]\nworkspace = true\noptional = true\n"
            ),
            []
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(lines("crates/diffusion-extra", "[package]\n"), [1]);
        assert_eq!(lines("", "[workspace]\n[workspace.dependencies]\ntch = \"0.26\"\n"), []);
    }

    #[test]
    fn features_and_comments_are_no_dependencies() {
        let text = "[features]\ntch = [\"dep:tch\"]\n[dependencies]\n# tch = \"1\"\nserde = \"1\"\n[package.metadata.docs]\ntch = 1\n";
        assert_eq!(
            dependencies(text),
            [Dependency { package: "serde".into(), line: 5, optional: false }]
        );
    }
}
