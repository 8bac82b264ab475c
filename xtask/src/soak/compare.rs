//! Whether two runs have the same files with the same bytes.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a run is: the rest (the resolved configuration, which names its folder, and pictures) follows from it.
const COMPARED: [&str; 2] = ["checkpoints", "pipeline"];

/// The first difference between two runs; timings do not count.
pub(super) fn difference(expected: &Path, found: &Path) -> Result<Option<String>> {
    for folder in COMPARED {
        let (expected, found) = (files(&expected.join(folder))?, files(&found.join(folder))?);
        for path in expected.keys().chain(found.keys()) {
            let named = |what| Some(format!("{folder}/{} {what}", path.display()));
            match (expected.get(path), found.get(path)) {
                (Some(_), None) => return Ok(named("is missing")),
                (None, _) => return Ok(named("should not be there")),
                (Some(expected), Some(found)) if bytes(expected)? != bytes(found)? => {
                    return Ok(named("differs"));
                }
                _ => {}
            }
        }
    }
    let (expected, found) = (metrics(expected)?, metrics(found)?);
    let first = expected.iter().zip(&found).position(|(a, b)| a != b);
    Ok(first.or((expected.len() != found.len()).then(|| expected.len().min(found.len()))).map(
        |line| {
            format!(
                "metrics.jsonl differs at line {} (of {} and {})",
                line + 1,
                expected.len(),
                found.len()
            )
        },
    ))
}

/// The lines of `metrics.jsonl`, whose last key is the time.
fn metrics(run: &Path) -> Result<Vec<String>> {
    let text = String::from_utf8(bytes(&run.join("metrics.jsonl"))?)?;
    Ok(text.lines().map(|line| line.split(",\"seconds\":").next().unwrap_or(line).into()).collect())
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Every file below a folder, by its path relative to it.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("{} cannot be read", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.to_path_buf(), path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::difference;

    const LINES: &str =
        "{\"step\":1,\"loss\":0.5,\"seconds\":1.0}\n{\"step\":2,\"loss\":0.4,\"seconds\":2.0}\n";
    const WEIGHTS: &str = "checkpoints/step-000002/weights.safetensors";

    /// A folder that goes when the test does.
    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn run(folder: &Path) {
        for (path, text) in
            [(WEIGHTS, "w"), ("pipeline/model_index.json", "{}"), ("metrics.jsonl", LINES)]
        {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
    }

    #[test]
    fn every_kind_of_difference_is_found_and_timings_are_none() {
        let scratch = Scratch(std::env::temp_dir().join(format!("soak-{}", std::process::id())));
        let changes: [(&str, Option<String>, &str); 7] = [
            ("metrics.jsonl", Some(LINES.replace("2.0", "3.5")), ""),
            (WEIGHTS, Some("v".into()), "differs"),
            (WEIGHTS, None, "is missing"),
            ("checkpoints/step-000002/more", Some(String::new()), "should not be there"),
            ("pipeline/model_index.json", Some("{ }".into()), "differs"),
            ("metrics.jsonl", Some(LINES.replace("0.4", "0.3")), "line 2"),
            ("metrics.jsonl", Some(LINES.repeat(2)), "line 3"),
        ];
        for (number, (path, text, expected)) in changes.into_iter().enumerate() {
            let (a, b) =
                (scratch.0.join(format!("{number}-a")), scratch.0.join(format!("{number}-b")));
            run(&a);
            run(&b);
            match text {
                Some(text) => fs::write(b.join(path), text).expect("a file can be written"),
                None => fs::remove_file(b.join(path)).expect("the file is there"),
            }
            let found = difference(&a, &b).expect("the files can be read").unwrap_or_default();
            assert!(found.contains(expected), "{path}: {found}");
            assert_eq!(found.is_empty(), expected.is_empty(), "{path}: {found}");
        }
    }
}
