//! `cargo xtask setup`: libtorch, once per user, and the link to it that every build of this workspace goes through.
//!
//! The order of things: a `LIBTORCH` of the user's own is checked and used as it is.
//! Otherwise libtorch lies in a cache folder that all checkouts share, complete with a list of its files, and `.libtorch` points there.
//! The folder appears under its final name by one rename, after everything in it was verified, so that neither a kill nor a second set-up
//! at the same time leaves half of it behind.
mod contents;
mod link;
mod lock;
mod place;
mod version;
mod wheels;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::contents::State;
use self::lock::SetupLock;
pub(crate) use self::place::user_cache;
use self::place::{Cache, Variant};
use crate::workspace::Workspace;

/// The one version that `tch` 0.26 binds.
pub(crate) const LIBTORCH_VERSION: &str = "2.13.0";

/// Provide libtorch 2.13.0 (once per user, shared by all checkouts); silent when nothing is to do
#[derive(Args)]
#[command(after_help = "\
Where from: the torch wheel, by `python3 -m pip` from the index that pip is configured for.

Environment:
  LIBTORCH           a libtorch 2.13.0 of your own; it is checked and used as it is
  DIFFUSION_CACHE    where libtorch is kept [default: $XDG_CACHE_HOME/diffusion or ~/.cache/diffusion]
  DIFFUSION_LIBTORCH cpu or cuda; without it: cuda where an NVIDIA driver is found")]
pub(crate) struct Setup {
    /// Compare every file with its checksum, too, and mend what differs
    #[arg(long)]
    verify: bool,
}

impl Setup {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        provide_libtorch(workspace, if self.verify { Check::Checksums } else { Check::Sizes })
    }
}

/// Provides libtorch for a command that builds with it. Takes milliseconds and says nothing when it is there.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    place::check_compiler()?; // before half a gigabyte is fetched for nothing
    provide_libtorch(workspace, Check::Sizes)
}

/// How closely an existing copy is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Check {
    Sizes,
    Checksums,
}

fn provide_libtorch(workspace: &Workspace, check: Check) -> Result<()> {
    if std::env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        return Ok(()); // torch-sys asks that Python for its torch, and checks the version itself
    }
    if let Some(libtorch) = workspace.user_libtorch() {
        return version::check_user_libtorch(&libtorch);
    }
    place::check_platform()?;
    let cache = Cache::locate(Variant::choose()?)?;
    if check == Check::Checksums || contents::look(&cache.folder, cache.variant) != State::Complete
    {
        fill(&cache, check)?;
    }
    link::point(&workspace.libtorch_link(), &cache.folder.join("torch"))
}

/// Makes the cache folder complete: adopts what verifies, fetches what does not. One set-up at a time.
fn fill(cache: &Cache, check: Check) -> Result<()> {
    fs::create_dir_all(&cache.parent).with_context(|| {
        format!(
            "the cache folder {} cannot be made; set DIFFUSION_CACHE to one that can",
            cache.parent.display()
        )
    })?;
    let lock = SetupLock::take(&cache.parent.join(format!("{}.lock", cache.name)))?;
    if lock.is_exclusive() {
        remove_leftovers(cache);
    }
    match contents::look(&cache.folder, cache.variant) {
        State::Complete if check == Check::Sizes => return Ok(()), // another set-up was faster
        State::Absent => {}
        // Unpacked by hand, with a damaged marker, or asked to look closely: the checksums decide.
        _ => match contents::verify(&cache.folder, cache.variant) {
            Ok(entries) => {
                contents::mark(&cache.folder, cache.variant, &entries)?;
                eprintln!(
                    "libtorch {LIBTORCH_VERSION} in {} matches its checksums",
                    cache.folder.display()
                );
                return Ok(());
            }
            Err(reason) => eprintln!(
                "the libtorch in {} is not whole ({reason:#}); fetching it again",
                cache.folder.display()
            ),
        },
    }

    let started = Instant::now();
    let partial = unique_sibling(cache, "partial")?;
    fs::create_dir_all(&partial)
        .with_context(|| format!("{} cannot be made", partial.display()))?;
    let fetched = fetch(cache, &partial, &lock);
    if fetched.is_err() {
        // Nothing of use to a later try; pip keeps its own cache of downloads.
        drop(fs::remove_dir_all(&partial));
    }
    fetched?;
    put_in_place(cache, &partial)?;
    eprintln!(
        "libtorch {LIBTORCH_VERSION} is ready in {} ({:.0} s)",
        cache.folder.display(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn fetch(cache: &Cache, partial: &Path, lock: &SetupLock) -> Result<()> {
    wheels::fetch(partial, cache.variant, lock)?;
    eprintln!("verifying the checksums of what was unpacked");
    let entries = contents::verify(partial, cache.variant)
        .context("what pip unpacked is not a whole libtorch")?;
    contents::mark(partial, cache.variant, &entries)
}

/// Renames the finished folder to its name. A broken one is moved aside first: programs that run from it keep their open files.
fn put_in_place(cache: &Cache, partial: &Path) -> Result<()> {
    let aside = unique_sibling(cache, "broken")?;
    match fs::rename(&cache.folder, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("{} cannot be moved aside", cache.folder.display()));
        }
        _ => {}
    }
    let renamed = fs::rename(partial, &cache.folder);
    drop(fs::remove_dir_all(&aside)); // a leftover costs disk space only, and the next set-up tries again
    // Without a lock another set-up may have put its own copy there in between; a whole copy is as good as ours.
    if renamed.is_err() && contents::look(&cache.folder, cache.variant) == State::Complete {
        drop(fs::remove_dir_all(partial));
        return Ok(());
    }
    renamed.with_context(|| {
        format!("{} cannot be renamed to {}", partial.display(), cache.folder.display())
    })
}

/// What killed set-ups left: nobody else is at work while the lock is held.
fn remove_leftovers(cache: &Cache) {
    let Ok(siblings) = fs::read_dir(&cache.parent) else { return };
    for sibling in siblings.flatten() {
        let name = sibling.file_name();
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(&cache.name) else { continue };
        if rest.starts_with(".partial-") || rest.starts_with(".broken-") {
            eprintln!("removing what an interrupted set-up left: {}", sibling.path().display());
            drop(fs::remove_dir_all(sibling.path()));
        }
    }
}

fn unique_sibling(cache: &Cache, purpose: &str) -> Result<PathBuf> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    Ok(cache.parent.join(format!(
        "{}.{purpose}-{}-{}",
        cache.name,
        std::process::id(),
        now.as_nanos()
    )))
}

/// Bytes as a person reads them.
fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{} GB", bytes.div_ceil(1_000_000_000)),
    }
}

/// Fails with the remedy when the disk that holds `folder` has less than `needed` bytes free.
pub(crate) fn check_space(folder: &Path, needed: u64) -> Result<()> {
    if let Some(free) = place::free_bytes(folder)
        && free < needed
    {
        bail!(
            "{} has {} free, and what is to be unpacked takes {}; make room, or set DIFFUSION_CACHE to a folder on a larger disk",
            folder.display(),
            megabytes(free),
            megabytes(needed)
        );
    }
    Ok(())
}
