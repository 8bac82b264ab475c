//! Trains a small network for ten steps on the repository's digits and reads what the run wrote.
use std::path::Path;

use diffusion_torch::{DeviceRequest, select};
use diffusion_train::{RunConfig, Start, TrainingRun, read_metrics};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = select(DeviceRequest::Auto)?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::temp_dir().join(format!("with-train-{}", std::process::id()));
    let overrides = [
        format!("run.dir={:?}", folder.display().to_string()),
        format!("data.images={:?}", repository.join("data/mnist/t10k-images-idx3-ubyte.gz")),
        format!("data.labels={:?}", repository.join("data/mnist/t10k-labels-idx1-ubyte.gz")),
        "data.size=8".into(),
        "model.unet2d.block_out_channels=[8, 8, 8]".into(),
        "model.unet2d.attention_head_dim=8".into(),
        "train.steps=10".into(),
        "train.batch_size=8".into(),
    ];
    let config = RunConfig::read(&repository.join("configs/mnist.toml"), &overrides)?;
    let (mut run, _) = TrainingRun::open(config, Start::Fresh, device)?;
    let clock = std::time::Instant::now();
    while run.advance(&|| clock.elapsed().as_secs_f64())?.is_some() {}

    let metrics = read_metrics(&run.directory().metrics())?;
    let loss = metrics.last().ok_or("no metrics")?.loss;
    println!("{} steps, loss {loss:.3}, and a pipeline in diffusers' layout", metrics.len());
    assert!(metrics.len() == 10 && loss.is_finite());
    assert!(run.directory().pipeline().join("model_index.json").is_file());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
