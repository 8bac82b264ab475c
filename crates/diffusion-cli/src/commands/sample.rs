//! `diffusion sample`: pictures from a run or a pipeline.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use diffusion_models::{Placement, read_tensors, write_tensors};
use diffusion_pipelines::{InitialNoise, PixelPipeline, SampleRequest, Samples};
use diffusion_samplers::TimestepSpacing;
use diffusion_train::{RunConfig, RunDir};

use super::{DeviceArgument, check_guidance, draw, finished_pipeline};
use crate::exit::usage;
use crate::output::outln;
use crate::picture;

/// Draw samples from a run or a pipeline directory
#[derive(Debug, clap::Args)]
pub(crate) struct Sample {
    /// A run, or a directory with model_index.json
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// How many samples [default: as many as classes are given, else 1]
    #[arg(short = 'n', value_name = "N", conflicts_with = "init_latents", value_parser = sample_count)]
    n: Option<usize>,
    /// Sampling steps [default: the run's, else diffusers']
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// A sampler by name instead of the pipeline's own: ddpm, ddim
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,
    /// Timesteps instead of the pipeline's own: leading, linspace, trailing
    #[arg(long, value_name = "NAME", value_parser = timestep_spacing)]
    grid: Option<TimestepSpacing>,
    /// DDIM's η: 0 is deterministic, 1 is DDPM's ancestral step
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Key of all noise: sample i is the same whatever -n and --batch-size
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Classes: one for all, or one for each sample, as in 0,1,2
    #[arg(long, value_name = "K,…", value_delimiter = ',', allow_negative_numbers = true)]
    class: Vec<i64>,
    /// s of u + s·(c − u); 1 is no guidance [default: the run's, else 1]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Start from the tensor `init_latents` of this file: N(0, 1), [batch, channels, height, width]
    #[arg(long, value_name = "FILE.safetensors")]
    init_latents: Option<PathBuf>,
    /// Samples that go through the network at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// FILE.png (a grid), FILE.safetensors (`latents` and `image`) or a directory (a PNG a sample)
    /// [default: samples/seed-N.png in a run, else samples.png]
    #[arg(short = 'o', value_name = "PATH")]
    out: Option<PathBuf>,
    /// Each pixel of a grid this many pixels large
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Sample {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let source = Source::of(&self.directory)?;
        let out = self.out.clone().unwrap_or_else(|| source.default_out(self.seed));
        let target = Target::of(&out)?;
        let request = self.request(&source)?;
        let device = self.device.select()?;
        diffusion_torch::keep_freed_memory();
        let pipeline = PixelPipeline::load(&source.pipeline, Placement::on(device))?;
        let samples = draw(&pipeline, &request)?;
        let files = self.write(&out, target, &samples)?;
        if self.json {
            let result = serde_json::json!({
                "files": files, "n": samples.image.size()[0], "scheduler": samples.scheduler_class,
                "evaluations": samples.evaluations, "seed": self.seed,
            });
            outln!("{result:#}");
        } else {
            outln!("{}", out.display());
        }
        Ok(())
    }

    fn request(&self, source: &Source) -> anyhow::Result<SampleRequest> {
        if self.batch_size == 0 {
            return Err(usage(anyhow!("--batch-size 0: expected at least 1")));
        }
        check_guidance(self.guidance)?;
        let initial_noise =
            match &self.init_latents {
                Some(path) => {
                    let tensor = read_tensors(path)?.remove("init_latents");
                    InitialNoise::Given(tensor.with_context(|| {
                        format!("{} has no tensor init_latents", path.display())
                    })?)
                }
                // As many as there are classes, where no count is given.
                None => InitialNoise::Drawn(self.n.unwrap_or(self.class.len().max(1))),
            };
        let defaults = source.config.as_ref().map(|config| &config.sampling);
        let untrained = source.config.as_ref().is_some_and(|config| {
            config.objective.class_conditional && config.objective.class_dropout <= 0.0
        });
        #[expect(clippy::float_cmp, reason = "exactly 1 is no guidance")]
        let needs_no_class =
            self.class.is_empty() || self.guidance.is_some_and(|scale| scale != 1.0);
        if untrained && needs_no_class {
            return Err(usage(anyhow!(
                "the run was trained with objective.class_dropout = 0 and does not know \"no class\": give --class, and no --guidance"
            )));
        }
        // Without a class there is nothing to guide towards.
        let guidance_scale = match (self.guidance, defaults) {
            (Some(scale), _) => scale,
            (None, Some(sampling)) if !self.class.is_empty() => sampling.guidance_scale,
            _ => 1.0,
        };
        Ok(SampleRequest {
            initial_noise,
            seed: self.seed,
            classes: self.class.clone(),
            guidance_scale,
            n_steps: self.steps.or(defaults.map(|sampling| sampling.steps)),
            sampler: self.sampler.clone(),
            timestep_spacing: self.grid,
            eta: self.eta,
            batch_size: self.batch_size,
        })
    }

    fn write(&self, out: &Path, target: Target, samples: &Samples) -> anyhow::Result<Vec<PathBuf>> {
        match target {
            Target::Grid => picture::write_grid(out, &samples.image, self.scale)?,
            Target::Tensors => {
                if let Some(parent) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(parent)
                        .with_context(|| format!("cannot create {}", parent.display()))?;
                }
                write_tensors(out, [("image", &samples.image), ("latents", &samples.latents)])?;
            }
            Target::Directory => return picture::write_each(out, &samples.image),
        }
        Ok(vec![out.to_owned()])
    }
}

/// What `-o` asks for.
#[derive(Debug, Clone, Copy)]
enum Target {
    Grid,
    Tensors,
    Directory,
}

impl Target {
    /// Known before the work begins, which a misspelt name should not cost.
    fn of(out: &Path) -> anyhow::Result<Self> {
        let extension = out.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            _ if out.is_dir() => Ok(Self::Directory),
            Some("png") => Ok(Self::Grid),
            Some("safetensors") => Ok(Self::Tensors),
            None => Ok(Self::Directory),
            Some(other) => Err(usage(anyhow!(
                "-o {}: .{other} is not known; expected .png, .safetensors or a directory",
                out.display()
            ))),
        }
    }
}

/// How many samples, 1 to 2²⁰.
pub(crate) fn sample_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1 << 20).contains(n))
        .ok_or_else(|| "expected 1 to 1048576".to_owned())
}

/// The names are those of diffusers' scheduler files.
fn timestep_spacing(name: &str) -> Result<TimestepSpacing, String> {
    serde_json::from_value(name.into())
        .map_err(|_| "expected leading, linspace or trailing".to_owned())
}

/// Where the pipeline is, and the run around it.
#[derive(Debug)]
struct Source {
    pipeline: PathBuf,
    config: Option<RunConfig>,
    run: Option<RunDir>,
}

impl Source {
    fn of(directory: &Path) -> anyhow::Result<Self> {
        if !directory.is_dir() {
            return Err(usage(anyhow!("{} is not a directory", directory.display())));
        }
        let run = RunDir::new(directory);
        if directory.join("model_index.json").exists() || !run.config().exists() {
            return Ok(Self { pipeline: directory.to_owned(), config: None, run: None });
        }
        let config = RunConfig::read(&run.config(), &[])?;
        let pipeline = finished_pipeline(&run)?;
        Ok(Self { pipeline, config: Some(config), run: Some(run) })
    }

    fn default_out(&self, seed: u64) -> PathBuf {
        match &self.run {
            Some(run) => run.samples().join(format!("seed-{seed}.png")),
            None => PathBuf::from("samples.png"),
        }
    }
}
