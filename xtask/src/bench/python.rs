//! The peers' virtual environment: made once, in the per-user cache.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::workspace::run;

/// What is measured against, and what its loader of weights needs.
const PACKAGES: [&str; 2] = ["torch==2.13.0", "diffusers==0.42.1"];
const NAME: &str = "peers-torch-2.13.0-diffusers-0.42.1";

/// Wheels and unpacked files are on the disk together for a moment.
const NEEDED_BYTES: u64 = 9_000_000_000;

/// The environment's interpreter. The folder gets its name when everything is in it, so that one that is there is complete.
pub(super) fn interpreter() -> Result<PathBuf> {
    let cache = setup::user_cache()?;
    let folder = cache.join(NAME);
    if !folder.exists() {
        fs::create_dir_all(&cache)
            .with_context(|| format!("the cache folder {} cannot be made", cache.display()))?;
        setup::check_space(&cache, NEEDED_BYTES)?;
        let partial = cache.join(format!("{NAME}.partial-{}", std::process::id()));
        eprintln!(
            "making a Python environment with {} in {}, once",
            PACKAGES.join(" and "),
            folder.display()
        );
        let made = make(&partial).and_then(|()| {
            fs::rename(&partial, &folder)
                .with_context(|| format!("{} cannot be renamed", partial.display()))
        });
        if made.is_err() {
            drop(fs::remove_dir_all(&partial));
        }
        made?;
    }
    Ok(folder.join("bin/python"))
}

fn make(folder: &Path) -> Result<()> {
    let venv = Command::new("python3").args(["-m", "venv"]).arg(folder).status();
    if !venv
        .context("there is no python3 on the PATH; install it (`apt install python3`)")?
        .success()
    {
        bail!(
            "`python3 -m venv` failed; its message is above (`apt install python3-venv` is the usual remedy)"
        );
    }
    let python = folder.join("bin/python");
    let scratch = folder.join("tmp"); // the system's temporary folder may be small
    fs::create_dir_all(&scratch)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--only-binary", ":all:", "--no-compile"]).args(PACKAGES);
    pip.env("TMPDIR", &scratch).env("PIP_USER", "0").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    pip.env_remove("PIP_PREFIX").env_remove("PIP_TARGET").stdout(std::io::stderr());
    run(&mut pip).context("the packages could not be installed; pip's message is above")?;
    drop(fs::remove_dir_all(&scratch));
    // A first import writes the byte code, and shows that everything is there.
    run(Command::new(&python).args(["-c", "import torch, diffusers; diffusers.UNet2DModel"]))
        .context("the packages do not load")
}
